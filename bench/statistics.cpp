#include "bench/statistics.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace pendula {
namespace {

// `sorted` is not empty; 0 <= q <= 1.
double quantile(const std::vector<double>& sorted, double q) {
  const double rank = q * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<size_t>(rank);
  const size_t above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (rank - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

}  // namespace

Statistics statistics_of(std::vector<double> values) {
  const bool bad =
      std::any_of(values.begin(), values.end(), [](double v) { return std::isnan(v); });
  if (bad || values.empty()) {
    constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
    return {kNan, kNan, kNan, kNan};
  }
  std::sort(values.begin(), values.end());
  Statistics s;
  s.median = quantile(values, 0.5);
  s.min = values.front();
  s.max = values.back();
  s.spread = (quantile(values, 0.75) - quantile(values, 0.25)) / s.median;
  return s;
}

}  // namespace pendula
