#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "host/checkpoint.h"
#include "host/commands.h"
#include "host/config_io.h"
#include "host/device.h"
#include "host/error.h"
#include "host/evaluation_log.h"
#include "host/metrics.h"
#include "host/resume.h"
#include "host/run_directory.h"
#include "host/training_state.h"

namespace pendula {

int run_eval(const EvalOptions& options, std::ostream& out) {
  const ResolvedRun run = resolve_run(options.run, options.parent);
  std::vector<std::string> overrides;
  if (!options.device.empty()) overrides.push_back("device=" + options.device);
  Config config = load_config((run.run_dir / "config.json").string(), overrides);
  config.replay.capacity = 2 * config.env.num_envs * config.rollout.length;  // not needed here
  config.simd = viewed_simd(config.simd, run.run_dir);
  // What trained with tf32 or bf16 can be looked at on a machine without a GPU.
  if (config.precision != Precision::kFp32) config.precision = Precision::kAuto;
  const int64_t episodes = options.episodes > 0 ? options.episodes : config.eval.final_episodes;
  const auto backend = make_backend(config, options.threads);
  backend->initialise();
  const LoadedCheckpoint loaded =
      load_checkpoint(run.checkpoint, backend->tensors(), *backend, [](const std::string& name) {
        const bool actor = name.rfind("agents.actor.", 0) == 0;
        return (actor && name.find(".adam_") == std::string::npos) || name == "agents.counters";
      });
  const uint64_t timesteps = loaded.info.value(kTimestepsKey, uint64_t{0});
  auto rows = evaluation_rows(backend->evaluate(episodes), config.agents, timesteps);
  const std::vector<bool> diverged = diverged_agents(read_counters(*backend));
  const EvaluationSummary summary = summarise(rows, diverged);
  for (size_t k = 0; rows.size() > 1 && k < rows.size(); ++k) {
    if (diverged[k]) rows[k]["diverged"] = true;
  }
  if (options.json) {
    nlohmann::ordered_json result;
    result["run"] = run.run_dir.string();
    result["checkpoint"] = run.checkpoint.string();
    result["device"] = backend->device().name;
    const auto& row = rows.size() == 1 ? rows.front() : evaluation_row(summary);
    for (const auto& [key, value] : row.items()) result[key] = value;
    if (rows.size() > 1) result["agents"] = rows;
    out << result.dump(2) << '\n';
    return 0;
  }
  const auto line = [](const nlohmann::ordered_json& row) {
    const auto number = [&](const char* key) {
      return row.at(key).is_number() ? row.at(key).get<double>()
                                     : std::numeric_limits<double>::quiet_NaN();
    };
    return fmt::format(
        "eval/mean_reward {:.2f} +- {:.2f} over {} episodes of {:.1f} steps, at step {}\n",
        number("eval/mean_reward"), number("eval/std_reward"), number("eval/episodes"),
        number("eval/mean_ep_length"), number("time/total_timesteps"));
  };
  if (rows.size() == 1) {
    out << line(rows.front());
    return 0;
  }
  const AgentStatistics& s = summary.across;
  out << fmt::format("{} agents", summary.agents)
      << (summary.diverged > 0 ? fmt::format(", {} of them diverged and left out", summary.diverged)
                               : "")
      << ": " << line(evaluation_row(summary))
      << fmt::format(
             "eval/iqm {:.2f}, 95% interval {:.2f} to {:.2f}; worst {:.2f}, median {:.2f}, "
             "best {:.2f}\n",
             s.iqm, s.iqm_ci_low, s.iqm_ci_high, s.quantiles.front(),
             s.quantiles[kQuantiles.size() / 2], s.quantiles.back());
  constexpr size_t kLines = 100;
  for (size_t k = 0; k < std::min(rows.size(), kLines); ++k) {
    out << "agent " << k << (diverged[k] ? " (diverged): " : ": ") << line(rows[k]);
  }
  if (rows.size() > kLines) out << "...; --json has every agent\n";
  return 0;
}

}  // namespace pendula
