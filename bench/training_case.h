// A case that runs a Backend: what the suites of training have in common.
#pragma once

#include <string>
#include <vector>

#include "bench/network.h"
#include "bench/suites.h"
#include "host/config.h"

namespace pendula {

// One case of a suite, before it is multiplied by threads (CPU) or precisions (CUDA).
struct Plain {
  std::string suite;
  std::string network;  // "": none in the loop
  Config config;
  int64_t updates_per_iteration = 0;  // of each agent
  bool mind_batch = false;            // it is a key of the rows
  bool mind_envs = true;              // so are num_envs and the rollout's length
  bool mind_plan = false;             // so is config.plan, on a GPU
  bool mind_lag = false;              // so is policy_lag
  bool counts_updates = false;        // and not steps, which are few
  bool counts_per_agent = false;      // these updates for one agent, too
  std::vector<std::string> precisions = {"fp32", "tf32"};  // on a GPU
  double call_seconds = 0.005;                             // see BackendRun
};

// The machine's rate of products of that shape, times `scale`: OpenBLAS's, each thread with
// products of its own, or the GPU's peak at that precision.
Ceiling product_ceiling(const Target& target, const ProductShape& shape, int threads,
                        const std::string& precision, double scale);

// FLOP of an update of one agent.
double batch_flop(const Config& config);

// The config that all suites begin with: Pendulum, Adam, a network `hidden` twice.
Config base_config(const std::vector<int64_t>& hidden, Sizes sizes);

// One case for each number of threads, or for each precision.
std::vector<Case> make_cases(const Target& target, const std::vector<Plain>& all);

}  // namespace pendula
