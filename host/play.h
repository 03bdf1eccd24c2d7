// Playing episodes on the CPU, step by step, to look at them.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "host/backend.h"
#include "host/cpu_programs.h"

namespace pendula {

// One step: state and observation before it. The pointers hold until the callback returns.
struct PlayStep {
  int64_t episode;
  int64_t t;
  const float* state;   // (state_dim)
  const float* obs;     // (obs_dim)
  const float* action;  // (action_dim), in the environment's units
  float reward;
  bool terminated;  // the episode ended by itself
  bool truncated;   // the time limit ended it
};

// A backend whose episodes can be watched.
class PlayableBackend : public Backend {
 public:
  // Plays `episodes` episodes of one of the run's agents, from the initial states that evaluate()
  // has for it, and calls `step` for each step in order.
  virtual void play(PlayPolicy policy, int agent, int64_t episodes,
                    const std::function<void(const PlayStep&)>& step) = 0;
};

// The CPU backend of config.env.id. threads: 0 means as many as are useful. Throws Error(kMemory)
// where the arena does not fit, Error(kDevice) where the processor lacks what config.simd asks for.
std::unique_ptr<PlayableBackend> make_cpu_backend(const Config& config, int threads);

}  // namespace pendula
