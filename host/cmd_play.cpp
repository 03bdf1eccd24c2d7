#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <fstream>
#include <iostream>
#include <optional>

#include "host/checkpoint.h"
#include "host/commands.h"
#include "host/config_io.h"
#include "host/environments.h"
#include "host/error.h"
#include "host/play.h"
#include "host/resume.h"
#include "host/run_directory.h"

namespace pendula {
namespace {

// 9 significant digits: enough to read the same float back.
void append(std::string& line, const float* values, int n) {
  for (int i = 0; i < n; ++i) line += fmt::format(",{:.9g}", values[i]);
}

std::string header(const EnvironmentInfo& env) {
  std::string line = "t,episode";
  for (int i = 0; i < env.state_dim; ++i) line += fmt::format(",state_{}", i);
  for (int i = 0; i < env.obs_dim; ++i) line += fmt::format(",obs_{}", i);
  for (int i = 0; i < env.action_dim; ++i) line += fmt::format(",action_{}", i);
  return line + ",reward,terminated,truncated\n";
}

Config config_for_environment(const std::string& id) {
  const nlohmann::json text = {{"env", {{"id", id}}}};
  return parse_config(text.dump(), "play");
}

// Who plays.
struct Player {
  PlayPolicy policy = PlayPolicy::kActor;
  std::optional<int64_t> agent;  // where its number was given
};

// Throws Error(kUsage) for what is neither a policy's name nor a number.
Player player_of(const std::string& text) {
  if (text.empty()) return {};
  if (text == "zero") return {PlayPolicy::kZero, {}};
  if (text == "random") return {PlayPolicy::kRandom, {}};
  int64_t agent = 0;
  const auto [last, error] = std::from_chars(text.data(), text.data() + text.size(), agent);
  if (error != std::errc() || last != text.data() + text.size()) {
    throw Error(ExitCode::kUsage,
                "--agent takes zero, random, or the number of one of the run's "
                "agents (0 is the first), not \"" +
                    text + "\"");
  }
  return {PlayPolicy::kActor, agent};
}

// The number of the agent of `run` that plays. Throws Error(kUsage) where there is none such.
int agent_of(const Player& player, int64_t agents, const std::string& run) {
  const int64_t agent = player.agent.value_or(0);
  if (agent >= 0 && agent < agents) return static_cast<int>(agent);
  const std::string allowed =
      agents == 1 ? "one agent, number 0" : fmt::format("{} agents, 0 to {}", agents, agents - 1);
  throw Error(ExitCode::kUsage, fmt::format("--agent {}: {} has {}; name one of its agents, or "
                                            "leave --agent out to watch agent 0",
                                            agent, run, allowed));
}

}  // namespace

int run_play(const PlayOptions& options, std::ostream& out) {
  const bool environment = find_environment(options.target) != nullptr;
  const Player player = player_of(options.agent);
  if (environment && player.policy == PlayPolicy::kActor) {
    throw Error(ExitCode::kUsage, "\"" + options.target +
                                      "\" is an environment and has no trained actor; say --agent "
                                      "zero or --agent random, or name a run");
  }
  std::optional<ResolvedRun> run;
  if (!environment) run = resolve_run(options.target, options.parent);
  Config config = run ? load_config((run->run_dir / "config.json").string())
                      : config_for_environment(options.target);
  const int agent = agent_of(player, config.agents, options.target);
  if (run) config.simd = viewed_simd(config.simd, run->run_dir);
  if (options.seed) {
    config.seed = *options.seed;
    config.per_agent.erase("/seed");
  }
  config.replay.capacity = 2 * config.env.num_envs * config.rollout.length;  // not needed here
  const EnvironmentInfo& env = *find_environment(config.env.id);
  const auto backend = make_cpu_backend(config, 1);
  backend->initialise();
  if (run && player.policy == PlayPolicy::kActor) {
    load_checkpoint(run->checkpoint, backend->tensors(), *backend, [](const std::string& name) {
      return name.rfind("agents.actor.", 0) == 0 && name.find(".adam_") == std::string::npos;
    });
  }

  if (config.agents > 1 && player.policy == PlayPolicy::kActor && !player.agent && !options.quiet) {
    std::cerr << fmt::format("note: agent 0 of the run's {} plays; --agent 1 is the next\n",
                             config.agents);
  }
  std::ofstream file;
  const bool csv = !options.csv.empty();
  const bool to_stdout = options.csv == "-";
  if (csv && !to_stdout) {
    file.open(options.csv);
    if (!file) {
      throw Error(ExitCode::kFiles, "cannot write " + options.csv +
                                        ": check that its directory exists and may be written to");
    }
  }
  std::ostream& rows = to_stdout ? out : file;
  if (csv) rows << header(env);
  std::vector<double> returns;
  std::vector<int64_t> lengths;
  double sum = 0.0;
  backend->play(player.policy, agent, options.episodes, [&](const PlayStep& s) {
    if (s.t == 0) sum = 0.0;
    sum += static_cast<double>(s.reward);
    if (s.terminated || s.truncated) {
      returns.push_back(sum);
      lengths.push_back(s.t + 1);
    }
    if (!csv) return;
    std::string line = fmt::format("{},{}", s.t, s.episode);
    append(line, s.state, env.state_dim);
    append(line, s.obs, env.obs_dim);
    append(line, s.action, env.action_dim);
    append(line, &s.reward, 1);
    rows << line << fmt::format(",{},{}\n", int{s.terminated}, int{s.truncated});
  });
  if (csv && !to_stdout) {
    file.close();
    if (!file) throw Error(ExitCode::kFiles, "cannot write all of " + options.csv + ": disk full?");
  }
  double mean = 0.0;
  for (double r : returns) mean += r / static_cast<double>(returns.size());
  if (options.json) {
    nlohmann::ordered_json result;
    result["env"] = config.env.id;
    result["policy"] = player.policy == PlayPolicy::kActor ? "actor" : options.agent;
    if (config.agents > 1) result["agent"] = agent;
    result["rollout/ep_rew_mean"] = mean;
    result["returns"] = returns;
    result["lengths"] = lengths;
    (to_stdout ? std::cerr : out) << result.dump(2) << '\n';
  } else {
    std::ostream& summary = to_stdout ? std::cerr : out;
    for (size_t i = 0; i < returns.size(); ++i) {
      summary << fmt::format("episode {}: return {:.2f}, {} steps\n", i, returns[i], lengths[i]);
    }
    summary << fmt::format("mean return {:.2f} over {} episodes\n", mean, returns.size());
  }
  return 0;
}

}  // namespace pendula
