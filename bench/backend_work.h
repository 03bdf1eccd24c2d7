// A training run as measured work: one call is so many whole iterations of a Backend. One unit is
// one iteration.
#pragma once

#include <memory>

#include "bench/case.h"
#include "host/config.h"

namespace pendula {

struct BackendRun {
  Config config;
  int threads = 0;                    // of the CPU
  int64_t first_steps = 0;            // before the measurement: fill the ring, make no update
  int64_t updates_per_iteration = 0;  // of each agent, that are due from then on
  double call_seconds = 0.005;        // that one call takes, at least: a power of two of iterations
};

// Throws Error: kMemory where the run does not fit, kDevice where there is no such device or where
// it computed what it should not. Each call checks that the updates made are those due, that
// nothing became NaN or Inf, and every report row of every agent.
std::unique_ptr<Work> make_backend_work(const BackendRun& run);

}  // namespace pendula
