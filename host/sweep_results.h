// What a population over a config's distributions came to: each agent's values, its final return
// and the area under its curve of evaluations, best first.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "host/config.h"

namespace pendula {

// One evaluation of all agents.
struct EvaluationPoint {
  int64_t timesteps;                // of one agent, environment steps
  std::vector<double> mean_reward;  // per agent; NaN: unknown
};

// The evaluations of a run of so many agents, in order. Throws Error(kFiles) where they cannot be
// read or an agent is missing from one.
std::vector<EvaluationPoint> read_evaluations(const std::filesystem::path& run_dir, int64_t agents);

// Mean of an agent's curve over the steps from its first evaluation to its last, by trapezoids; of
// one evaluation its value. NaN where a point is unknown.
double area_under_curve(const std::vector<EvaluationPoint>& points, size_t agent);

struct SweptAgent {
  double final_return = 0;  // eval/mean_reward of the last evaluation; NaN: unknown
  double area = 0;          // area_under_curve
  bool diverged = false;    // frozen at a NaN or an Inf
};

// The agents, highest `value` first; those that diverged or have no value last; equal ones in the
// order of their numbers.
std::vector<int64_t> ranking(const std::vector<SweptAgent>& agents, double SweptAgent::*value);

struct SweepResults {
  std::vector<std::string> keys;  // that differ between the agents, but for the seed
  std::vector<SweptAgent> agents;
  std::vector<int64_t> by_return, by_area;  // ranking()

  // The number of the agent of the highest final return, or -1 where none has one.
  int64_t best() const;
};

// `result`: what result.json of the run holds. Throws Error(kFiles) as read_evaluations and
// load_checkpoint do.
SweepResults sweep_results(const Config& config, const std::filesystem::path& run_dir,
                           const nlohmann::ordered_json& result);

// What sweep.json holds: every agent with its seed, its values, final return and area (null:
// unknown), and whether it diverged.
nlohmann::ordered_json sweep_record(const Config& config, const SweepResults& results);

// The config of agent `agent` alone, ready to train, under the name `<name>-best`; its "result"
// says what the agent reached.
Config best_config(const Config& config, const SweepResults& results, int64_t agent);

}  // namespace pendula
