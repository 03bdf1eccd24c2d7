// The scratch memory that a block of each program takes on a GPU, from its own allocations. Plain
// C++: it needs no GPU, and no CUDA.
#pragma once

#include <cstdint>

#include "kernels/block_memory.h"
#include "kernels/plan.h"

namespace pendula {

// The memory of a block of each program.
struct ProgramMemory {
  BlockMemory rollout, critic_gradient, actor_gradient, optimizer, evaluate;
  BlockMemory plain{0, 0, nullptr};  // of programs that take none
  int resident_blocks = 1;           // of a program that spills
  bool acts_beside = false;          // policy_lag 1: rollouts run at the same time as the others

  // What a block of a rollout or an update takes of the spill area.
  uint64_t turn_spill_bytes() const;
  // The spill area, in bytes; 0 where everything fits in shared memory.
  uint64_t spill_bytes() const;
  void set_spill(char* spill);

 private:
  uint64_t shared_spill_bytes() const;  // of programs that follow each other
};

// shared_bytes: the most that a block may have.
// measure_rollout: of one whose actor lies elsewhere (kernels/tile_trainer.h, column_trainer.h).
BlockMemory measure_rollout(const Plan& plan, uint64_t shared_bytes);
ProgramMemory measure_programs(const Plan& plan, uint64_t shared_bytes, int multiprocessors);

}  // namespace pendula
