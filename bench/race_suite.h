// The suite `race`: whole trainings, each seed in a process of its own. "fixed": the same work as
// bench/peers/ give others. The shipped recipes: how long until the task is solved.
#pragma once

#include <vector>

#include "bench/suites.h"

namespace pendula {

// The configs that race, as text: compiled in, so that the binary needs no checkout beside it.
struct RaceConfigs {
  const char* workload;  // bench/peers/workload.json
  const char* pendulum;  // configs/pendulum.json
  const char* cartpole;
  const char* cartpole_swingup;
};
extern const RaceConfigs race_configs;

// One case for each number of threads of the fixed work; each recipe with the most of them.
std::vector<Case> race_cases(const Target& target);

}  // namespace pendula
