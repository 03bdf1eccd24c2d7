// What must hold between the keys of a config, and what the run makes of counts that do not fit.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "host/config.h"

namespace pendula {

// Environment steps of one agent in one iteration: num_envs * rollout.length.
int64_t steps_per_iteration(const Config& config);

// The smallest number of iterations that has at least so many steps.
int64_t iterations_of(const Config& config, int64_t steps);

// Rows of the replay ring; a row is one step of all environments of an agent. The capacity in use
// is this times num_envs.
int64_t ring_rows(const Config& config);

// A relation that does not hold.
struct RelationProblem {
  std::vector<std::string> paths;  // the keys it is between, the one to change first
  std::string text;
};

// All relations that do not hold, for every agent: "agent 3: ..." where their values differ. Every
// single value must be in its range. Throws nothing.
std::vector<RelationProblem> broken_relations(const Config& config);

// Sentences on what is rounded: the capacity down to whole rows; the total, the end of the warm-up
// and the intervals up to whole iterations. Empty when nothing is.
std::vector<std::string> config_notes(const Config& config);

}  // namespace pendula
