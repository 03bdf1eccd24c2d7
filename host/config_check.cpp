#include "host/config_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <set>

#include "host/agent_values.h"

namespace pendula {

int64_t steps_per_iteration(const Config& config) {
  return config.env.num_envs * config.rollout.length;
}

int64_t iterations_of(const Config& config, int64_t steps) {
  const int64_t each = steps_per_iteration(config);
  return (steps + each - 1) / each;
}

int64_t ring_rows(const Config& config) { return config.replay.capacity / config.env.num_envs; }

namespace {

// While a rollout writes its rows, as many again must be there to sample from.
int64_t needed_rows(const Config& config) { return 2 * config.rollout.length; }

// Between the keys of one agent.
std::vector<RelationProblem> broken_of_agent(const Config& config) {
  std::vector<RelationProblem> broken;
  const int64_t rows = ring_rows(config);
  if (rows < needed_rows(config)) {
    broken.push_back(
        {{"/replay/capacity", "/rollout/length", "/env/num_envs"},
         fmt::format("a capacity of {} holds {} rows of {} environments, a "
                     "rollout.length of {} needs {}; use a replay.capacity of at "
                     "least {}",
                     config.replay.capacity, rows, config.env.num_envs, config.rollout.length,
                     needed_rows(config), needed_rows(config) * config.env.num_envs)});
  }
  // The run and the warm-up both end with a whole iteration.
  const int64_t each = steps_per_iteration(config);
  const int64_t total = iterations_of(config, config.total_timesteps) * each;
  const int64_t warmup = iterations_of(config, config.replay.warmup_steps) * each;
  const double updates = static_cast<double>(total - warmup) * config.ddpg.updates_per_step;
  if (updates < 1) {
    broken.push_back({{"/replay/warmup_steps", "/total_timesteps", "/ddpg/updates_per_step",
                       "/rollout/length", "/env/num_envs"},
                      fmt::format("no update would ever run: {} steps in all, {} of them warm-up, "
                                  "{} updates per step; lower replay.warmup_steps or raise "
                                  "total_timesteps",
                                  total, warmup, config.ddpg.updates_per_step)});
  }
  // What an iteration is cut into must be countable.
  const double per_iteration = static_cast<double>(each) * config.ddpg.updates_per_step;
  if (per_iteration > 1e6) {
    broken.push_back({{"/ddpg/updates_per_step", "/env/num_envs", "/rollout/length"},
                      fmt::format("{} updates in one iteration of {} steps are more than 1000000; "
                                  "lower ddpg.updates_per_step or env.num_envs",
                                  per_iteration, each)});
  }
  if (config.noise.decay_steps == 0 && config.noise.sigma_final != config.noise.sigma) {
    broken.push_back({{"/noise/sigma_final", "/noise/sigma", "/noise/decay_steps"},
                      fmt::format("a sigma_final of {} is never reached from a sigma of {} as "
                                  "noise.decay_steps is 0; set decay_steps, or make the two equal",
                                  config.noise.sigma_final, config.noise.sigma)});
  }
  if (config.noise.sigma_ladder != 1 && config.env.num_envs < 2) {
    broken.push_back({{"/noise/sigma_ladder", "/env/num_envs"},
                      fmt::format("a sigma_ladder of {} needs more than one environment; raise "
                                  "env.num_envs, or set noise.sigma_ladder to 1",
                                  config.noise.sigma_ladder)});
  }
  const double pull = config.noise.ou_theta * config.noise.ou_dt;
  if (config.noise.type == NoiseType::kOu && static_cast<float>(1 - pull) <= -1) {
    broken.push_back(
        {{"/noise/ou_theta", "/noise/ou_dt"},
         fmt::format("an ou_theta of {} times an ou_dt of {} is {}: the noise would "
                     "grow without bound, or never fade, from 2 on; lower noise.ou_theta or "
                     "noise.ou_dt",
                     config.noise.ou_theta, config.noise.ou_dt, pull)});
  }
  return broken;
}

// Between the keys that are the population's.
std::vector<RelationProblem> broken_of_population(const Config& config) {
  std::vector<RelationProblem> broken;
  constexpr int64_t kMaxEpisodes = int64_t{1} << 26;
  const int64_t episodes = std::max(config.eval.episodes, config.eval.final_episodes);
  if (episodes > kMaxEpisodes / config.agents) {
    broken.push_back({{"/eval/final_episodes", "/eval/episodes", "/agents"},
                      fmt::format("{} episodes of {} agents are more than {} in one evaluation; "
                                  "lower eval.episodes and eval.final_episodes",
                                  episodes, config.agents, kMaxEpisodes)});
  }
  if (!config.per_agent.contains("/seed") &&
      config.seed > UINT64_MAX - static_cast<uint64_t>(config.agents - 1)) {
    broken.push_back({{"/seed", "/agents"},
                      fmt::format("the seeds of {} agents, from {} on, go beyond 2^64 - 1; lower "
                                  "seed",
                                  config.agents, config.seed)});
  }
  const PbtConfig& pbt = config.population.pbt;
  if (pbt.interval > 0 && config.agents < 2) {
    broken.push_back({{"/population/pbt/interval", "/agents"},
                      fmt::format("population-based training each {} steps needs more than one "
                                  "agent; raise agents, or set population.pbt.interval to 0",
                                  pbt.interval)});
  }
  return broken;
}

std::vector<RelationProblem> wrong_lengths(const Config& config) {
  std::vector<RelationProblem> broken;
  for (const auto& [path, spec] : config.per_agent) {
    if (!spec->is_array() || spec->size() == static_cast<size_t>(config.agents)) continue;
    broken.push_back(
        {{path, "/agents"},
         fmt::format("a list of {} values for {} agents; give one value for each agent, or set "
                     "agents to {}",
                     spec->size(), config.agents, spec->size())});
  }
  return broken;
}

}  // namespace

std::vector<RelationProblem> broken_relations(const Config& config) {
  std::vector<RelationProblem> broken = wrong_lengths(config);
  if (!broken.empty()) return broken;
  if (config.per_agent.empty()) {
    broken = broken_of_agent(config);
  } else {  // of each relation the first agent for which it does not hold
    std::set<std::vector<std::string>> told;
    for (int64_t k = 0; k < config.agents; ++k) {
      for (RelationProblem& problem : broken_of_agent(agent_config(config, k))) {
        if (!told.insert(problem.paths).second) continue;
        problem.text = fmt::format("agent {}: {}", k, problem.text);
        broken.push_back(std::move(problem));
      }
    }
  }
  for (RelationProblem& problem : broken_of_population(config)) {
    broken.push_back(std::move(problem));
  }
  return broken;
}

std::vector<std::string> config_notes(const Config& config) {
  std::vector<std::string> notes;
  const NoiseConfig none;
  if (config.noise.type != NoiseType::kOu &&
      (config.noise.ou_theta != none.ou_theta || config.noise.ou_dt != none.ou_dt)) {
    notes.push_back("noise.ou_theta and noise.ou_dt have no effect while noise.type is not \"ou\"");
  }
  const int64_t capacity = ring_rows(config) * config.env.num_envs;
  if (capacity != config.replay.capacity) {
    notes.push_back(
        fmt::format("replay.capacity: {} is rounded down to {}, whole rows of {} "
                    "environments",
                    config.replay.capacity, capacity, config.env.num_envs));
  }
  struct Count {
    const char* name;
    int64_t steps;
  };
  const Count counts[] = {
      {"total_timesteps", config.total_timesteps},
      {"replay.warmup_steps", config.replay.warmup_steps},
      {"report.interval", config.report.interval},
      {"eval.interval", config.eval.interval},
      {"checkpoint.interval", config.checkpoint.interval},
      {"population.pbt.interval", config.population.pbt.interval},
  };
  const int64_t each = steps_per_iteration(config);
  for (const Count& count : counts) {
    const int64_t rounded = iterations_of(config, count.steps) * each;
    if (rounded == count.steps) continue;
    notes.push_back(
        fmt::format("{}: {} is rounded up to {}, whole iterations of {} steps "
                    "(env.num_envs x rollout.length)",
                    count.name, count.steps, rounded, each));
  }
  return notes;
}

}  // namespace pendula
