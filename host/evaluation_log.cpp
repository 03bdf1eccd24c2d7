#include "host/evaluation_log.h"

#include <cmath>
#include <fstream>
#include <limits>
#include <map>
#include <string>

#include "host/checkpoint.h"

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

double best_evaluation(const std::filesystem::path& file) {
  std::map<uint64_t, std::vector<nlohmann::ordered_json>> evaluations;  // by environment steps
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);) {
    const auto row = nlohmann::ordered_json::parse(line, nullptr, false);
    if (row.is_object()) evaluations[row.value(kTimestepsKey, uint64_t{0})].push_back(row);
  }
  double best = -std::numeric_limits<double>::infinity();
  for (const auto& [timesteps, rows] : evaluations) {
    const double mean = summarise(rows).mean;
    if (mean > best) best = mean;
  }
  return best;
}

}  // namespace pendula
