#include "host/evaluation_log.h"

#include <cmath>
#include <limits>
#include <stdexcept>

namespace pendula {
namespace {

using nlohmann::ordered_json;

double number(const ordered_json& row, const char* key) {
  const auto found = row.find(key);
  return found != row.end() && found->is_number() ? found->get<double>()
                                                  : std::numeric_limits<double>::quiet_NaN();
}

ordered_json or_null(double value) {  // JSON has no NaN
  return std::isfinite(value) ? ordered_json(value) : ordered_json(nullptr);
}

}  // namespace

EvaluationSummary summarise(const std::vector<ordered_json>& rows,
                            const std::vector<bool>& diverged) {
  if (rows.empty() || rows.size() != diverged.size()) {
    throw std::logic_error("summarise: not one row and one flag per agent");
  }
  EvaluationSummary s{};
  s.timesteps = rows.front().at("time/total_timesteps").get<uint64_t>();
  s.episodes = rows.front().at("eval/episodes").get<uint64_t>();
  s.agents = rows.size();
  if (rows.size() == 1) {  // without the rounding of the sums below
    const auto& row = rows.front();
    s.mean = number(row, "eval/mean_reward");
    s.std = number(row, "eval/std_reward");
    s.length = number(row, "eval/mean_ep_length");
    s.diverged = diverged[0] ? 1 : 0;
    return s;
  }
  std::vector<double> means;
  double squares = 0.0;
  for (size_t k = 0; k < rows.size(); ++k) {
    const double mean = number(rows[k], "eval/mean_reward");
    if (diverged[k] || !std::isfinite(mean)) continue;
    means.push_back(mean);
    s.mean += mean;
    s.length += number(rows[k], "eval/mean_ep_length");
    squares += std::pow(number(rows[k], "eval/std_reward"), 2);
  }
  const double going = static_cast<double>(means.size());  // none: 0 / 0
  s.diverged = rows.size() - means.size();
  s.mean /= going;
  s.length /= going;
  for (const double mean : means) squares += std::pow(mean - s.mean, 2);
  s.std = std::sqrt(squares / going);  // within the agents, and between them
  s.across = statistics_of_agents(std::move(means));
  return s;
}

ordered_json evaluation_row(const EvaluationSummary& summary) {
  ordered_json row;
  row["time/total_timesteps"] = summary.timesteps;
  row["eval/mean_reward"] = or_null(summary.mean);
  row["eval/std_reward"] = or_null(summary.std);
  row["eval/mean_ep_length"] = or_null(summary.length);
  row["eval/episodes"] = summary.episodes;
  add_statistics(row, summary);
  return row;
}

void add_statistics(ordered_json& row, const EvaluationSummary& summary) {
  const AgentStatistics& s = summary.across;
  row["eval/iqm"] = or_null(s.iqm);
  row["eval/iqm_ci_low"] = or_null(s.iqm_ci_low);
  row["eval/iqm_ci_high"] = or_null(s.iqm_ci_high);
  ordered_json& quantiles = row["eval/quantiles"] = ordered_json::object();
  constexpr const char* kNames[kQuantiles.size()] = {"min", "5", "25", "50", "75", "95", "max"};
  for (size_t i = 0; i < kQuantiles.size(); ++i) quantiles[kNames[i]] = or_null(s.quantiles[i]);
  row["eval/agents"] = summary.agents;
  row["eval/agents_diverged"] = summary.diverged;
}

}  // namespace pendula
