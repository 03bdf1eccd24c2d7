#include <fmt/format.h>

#include <limits>

#include "host/checkpoint.h"
#include "host/commands.h"
#include "host/config_io.h"
#include "host/device.h"
#include "host/error.h"
#include "host/metrics.h"
#include "host/resume.h"
#include "host/run_directory.h"

namespace pendula {

int run_eval(const EvalOptions& options, std::ostream& out) {
  const ResolvedRun run = resolve_run(options.run, options.parent);
  std::vector<std::string> overrides;
  if (!options.device.empty()) overrides.push_back("device=" + options.device);
  Config config = load_config((run.run_dir / "config.json").string(), overrides);
  config.replay.capacity = 2 * config.env.num_envs * config.rollout.length;  // not needed here
  config.simd = viewed_simd(config.simd, run.run_dir);
  const int64_t episodes = options.episodes > 0 ? options.episodes : config.eval.final_episodes;
  const auto backend = make_backend(config, options.threads);
  backend->initialise();
  const LoadedCheckpoint loaded =
      load_checkpoint(run.checkpoint, backend->tensors(), *backend, [](const std::string& name) {
        return name.rfind("agents.actor.", 0) == 0 && name.find(".adam_") == std::string::npos;
      });
  const uint64_t timesteps = loaded.info.value(kTimestepsKey, uint64_t{0});
  const auto rows = evaluation_rows(backend->evaluate(episodes), config.agents, timesteps);
  if (options.json) {
    nlohmann::ordered_json result;
    result["run"] = run.run_dir.string();
    result["checkpoint"] = run.checkpoint.string();
    result["device"] = backend->device().name;
    if (rows.size() == 1) {
      for (const auto& [key, value] : rows.front().items()) result[key] = value;
    } else {
      result["agents"] = rows;
    }
    out << result.dump(2) << '\n';
    return 0;
  }
  for (const auto& row : rows) {
    const auto number = [&](const char* key) {
      return row.at(key).is_number() ? row.at(key).get<double>()
                                     : std::numeric_limits<double>::quiet_NaN();
    };
    if (rows.size() > 1) out << "agent " << row.at("agent") << ": ";
    out << fmt::format(
        "eval/mean_reward {:.2f} +- {:.2f} over {} episodes of {:.1f} steps, at step {}\n",
        number("eval/mean_reward"), number("eval/std_reward"), number("eval/episodes"),
        number("eval/mean_ep_length"), number("time/total_timesteps"));
  }
  return 0;
}

}  // namespace pendula
