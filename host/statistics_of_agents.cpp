#include "host/statistics_of_agents.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

#include "kernels/philox.h"

namespace pendula {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr uint64_t kBootstrapKey = 0x626f6f7473747261;  // of Philox; any constant does

// The IQMs of all resamples, ascending. A resample is the number of times that each value was
// drawn: with the values sorted, its ranks are known without sorting it.
std::vector<double> resampled_iqms(const std::vector<double>& sorted) {
  const size_t n = sorted.size(), cut = n / 4;
  std::vector<double> iqms;
  std::vector<uint32_t> times(n);
  for (uint32_t resample = 0; resample < kBootstrapResamples; ++resample) {
    std::fill(times.begin(), times.end(), 0);
    for (size_t first = 0; first < n; first += 4) {
      const Uint4 drawn =
          philox(Uint4{static_cast<uint32_t>(first / 4), resample, 0, 0}, kBootstrapKey);
      const size_t live = std::min<size_t>(4, n - first);
      for (uint32_t i = 0; i < live; ++i) ++times[below(word(drawn, i), static_cast<uint32_t>(n))];
    }
    double sum = 0.0;
    size_t rank = 0;  // of the value's first copy
    for (size_t i = 0; i < n; ++i) {
      const size_t begin = std::max(rank, cut), end = std::min(rank + times[i], n - cut);
      if (begin < end) sum += static_cast<double>(end - begin) * sorted[i];
      rank += times[i];
    }
    iqms.push_back(sum / static_cast<double>(n - 2 * cut));
  }
  std::sort(iqms.begin(), iqms.end());
  return iqms;
}

}  // namespace

double interquartile_mean(const std::vector<double>& sorted) {
  const size_t cut = sorted.size() / 4;
  double sum = 0.0;
  for (size_t i = cut; i < sorted.size() - cut; ++i) sum += sorted[i];
  return sum / static_cast<double>(sorted.size() - 2 * cut);
}

double quantile(const std::vector<double>& sorted, double share) {
  const double rank = share * static_cast<double>(sorted.size() - 1);
  const size_t below = static_cast<size_t>(rank);
  const size_t above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (sorted[above] - sorted[below]) * (rank - static_cast<double>(below));
}

AgentStatistics statistics_of_agents(std::vector<double> values) {
  AgentStatistics s;
  s.agents = values.size();
  const auto finite = [](double x) { return std::isfinite(x); };
  if (values.empty() || !std::all_of(values.begin(), values.end(), finite)) {
    s.mean = s.iqm = s.iqm_ci_low = s.iqm_ci_high = kNan;
    s.quantiles.fill(kNan);
    return s;
  }
  std::sort(values.begin(), values.end());
  for (const double value : values) s.mean += value;
  s.mean /= static_cast<double>(values.size());
  s.iqm = interquartile_mean(values);
  const std::vector<double> iqms = resampled_iqms(values);
  s.iqm_ci_low = quantile(iqms, 0.025);
  s.iqm_ci_high = quantile(iqms, 0.975);
  for (size_t i = 0; i < kQuantiles.size(); ++i) s.quantiles[i] = quantile(values, kQuantiles[i]);
  return s;
}

}  // namespace pendula
