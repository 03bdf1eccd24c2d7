// The programs of one environment on the CPU, as a table of functions. They are compiled once per
// level of the processor's instructions (host/cpu_programs_impl.h), and the rest of the CPU backend
// once for every processor. So nothing but plain data crosses here: a std::vector's function that
// is compiled with AVX-512 beside the programs could be the one that the linker keeps for all.
#pragma once

#include <cstdint>

#include "kernels/plan.h"

namespace pendula {

class Pool;

// Pool::barrier(), for who must not include host/pool.h.
void wait_for_others(Pool& pool);

// What the programs of a run work on.
struct CpuSetup {
  Plan plan;
  const double* env_params;  // in the order of the environment's kParams
  char* arena;               // plan.arena_bytes
  HostPage* page;
};

// One of the pool's workers. Each of them calls the same functions.
struct CpuWorker {
  Pool* pool;
  int index, count;
  char* scratch;  // this worker's own
  uint64_t scratch_bytes;
};

struct CpuEvaluation {
  int episodes;       // of each agent
  float* returns;     // (agents, episodes)
  uint32_t* lengths;  // the same shape
  const bool* stop;   // where set and true, the rest is not played
};

enum class PlayPolicy : int32_t { kActor, kZero, kRandom };

// kRows episodes of one agent side by side, and what one step of them gives: (dimension, ld) arrays
// in the worker's scratch, which hold until the next step.
struct PlayTile {
  PlayPolicy policy;
  int agent;
  uint64_t first;  // episode
  int t;           // time step, 0, 1, ... one call after the other
  int ld;
  const float *state, *obs;  // before the step
  const float* action;       // in the environment's units
  const float *reward, *terminated;
};

struct CpuPrograms {
  // Scratch that a worker needs.
  uint64_t (*scratch_bytes)(const Plan& plan);

  // This worker's share of the state before the first iteration.
  void (*initialise)(const CpuSetup& setup, const CpuWorker& worker);

  // This worker's share of one slice of an iteration. Returns once all workers are done.
  void (*slice)(const CpuSetup& setup, const CpuWorker& worker);

  // `slices` slices of one agent's iterations, without the others; one worker alone.
  void (*turn)(const CpuSetup& setup, const CpuWorker& worker, int agent, int slices);

  // Whether the launch goes on, once all agents have had their turn; one worker alone.
  void (*end_turn)(const CpuSetup& setup, const CpuWorker& worker);

  // This worker's share of an evaluation.
  void (*evaluate)(const CpuSetup& setup, const CpuWorker& worker, const CpuEvaluation& to);

  // The next step of a tile; one worker alone.
  void (*play)(const CpuSetup& setup, const CpuWorker& worker, PlayTile& tile);
};

}  // namespace pendula
