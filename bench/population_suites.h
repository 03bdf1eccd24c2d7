// The suites of many agents and of one agent with a small batch: what the block plan and the
// cluster plan are for.
#pragma once

#include <vector>

#include "bench/suites.h"

namespace pendula {

// Updates of 1 to 64 agents (1 to 4,096 on a GPU) in one run, in total and per agent, an update per
// environment step. On a GPU a row per plan that it can have: block, cluster, and, for few agents,
// grid.
std::vector<Case> population_cases(const Target& target);

// Updates of one agent at batches of 16 to 256; on a GPU a row per plan that it can have.
std::vector<Case> small_batch_cases(const Target& target);

}  // namespace pendula
