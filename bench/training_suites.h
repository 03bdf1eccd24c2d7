// The suites that run a Backend: stepping, acting, updating, and all of it. From Config alone, so
// that they measure every backend alike.
#pragma once

#include <vector>

#include "bench/suites.h"

namespace pendula {

// Environments with random actions, each step written to the replay ring. No actor, no updates.
std::vector<Case> env_cases(const Target& target);

// The same with the actor in the loop and its noise.
std::vector<Case> rollout_cases(const Target& target);

// Updates, with so few environment steps that these do not count: 64 per 16 to 64 updates.
std::vector<Case> update_cases(const Target& target);

// Training without evaluation, with few and with many environments.
std::vector<Case> train_cases(const Target& target);

}  // namespace pendula
