#include "host/evaluation_log.h"

#include <cmath>
#include <limits>

namespace pendula {
namespace {

double number(const nlohmann::ordered_json& row, const char* key) {
  const auto found = row.find(key);
  return found != row.end() && found->is_number() ? found->get<double>()
                                                  : std::numeric_limits<double>::quiet_NaN();
}

}  // namespace

EvaluationSummary summarise(const std::vector<nlohmann::ordered_json>& rows) {
  if (rows.size() == 1) {  // without the rounding of the sums below
    const auto& row = rows.front();
    return {number(row, "eval/mean_reward"), number(row, "eval/std_reward"),
            number(row, "eval/mean_ep_length")};
  }
  const double agents = static_cast<double>(rows.size());
  EvaluationSummary s{};
  for (const auto& row : rows) {
    s.mean += number(row, "eval/mean_reward") / agents;
    s.length += number(row, "eval/mean_ep_length") / agents;
  }
  double variance = 0.0;  // within the agents, and between them
  for (const auto& row : rows) {
    variance += (std::pow(number(row, "eval/std_reward"), 2) +
                 std::pow(number(row, "eval/mean_reward") - s.mean, 2)) /
                agents;
  }
  s.std = std::sqrt(variance);
  return s;
}

}  // namespace pendula
