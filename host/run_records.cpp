#include "host/run_records.h"

#include <cmath>

#include "host/version.h"

namespace pendula {

using nlohmann::ordered_json;

ordered_json meta_record(const DeviceInfo& device) {
  const VersionInfo& v = version_info();
  ordered_json m;
  m["version"] = v.version;
  m["commit"] = v.commit;
  m["compiler"] = v.compiler;
  m["flags"] = v.flags;
  for (const auto& [key, value] : device.meta.items()) m[key] = value;
  return m;
}

ordered_json result_record(const Config& config, const RunEnd& end,
                           const std::vector<ordered_json>& rows,
                           const EvaluationSummary& summary) {
  const auto number = [](double value) {  // JSON has no NaN
    return std::isfinite(value) ? ordered_json(value) : ordered_json(nullptr);
  };
  ordered_json result;
  result["name"] = config.name;
  result["eval/mean_reward"] = number(summary.mean);
  result["eval/std_reward"] = number(summary.std);
  result["eval/mean_ep_length"] = number(summary.length);
  result["eval/episodes"] = config.eval.final_episodes;
  result["time/total_timesteps"] = end.timesteps;
  result["time/updates"] = end.updates;
  result["time/time_elapsed"] = end.seconds;
  result["time/evaluation"] = end.evaluation_seconds;
  result["seed"] = config.seed;
  result["stopped_by"] = end.reason;
  if (config.agents > 1) {
    add_statistics(result, summary);
    result["agents"] = rows;
  }
  return result;
}

}  // namespace pendula
