#include "host/program_memory.h"

#include <algorithm>

#include "envs/list.h"
#include "host/measuring_block.h"
#include "kernels/replay_ring.h"
#include "kernels/rollout.h"

namespace pendula {
namespace {

using Measure = MeasuringBlock<kCudaLd>;

BlockMemory split(const Measure& m, uint64_t shared_bytes) {
  BlockBump bump;
  uint64_t offset = 0;
  for (size_t size : m.sizes) bump.take(size, shared_bytes, offset);
  return {bump.shared_used, bump.spill_used, nullptr};
}

}  // namespace

// The allocations of each program, in its own order (kernels/rollout.h, ...). One too few ends the
// launch with a trap.

BlockMemory measure_rollout(const Plan& p, uint64_t shared_bytes) {
  Measure m;
  allocate_rollout<float>(m, p);
  return split(m, shared_bytes);
}

ProgramMemory measure_programs(const Plan& p, uint64_t shared_bytes, int multiprocessors) {
  constexpr int kLd = Measure::kLd;
  ProgramMemory memory;
  memory.resident_blocks = multiprocessors;
  memory.acts_beside = p.policy_lag != 0;
  {
    Measure m;
    allocate_rollout<float>(m, p);
    allocate_hidden<float>(m, p.actor, false);
    memory.rollout = split(m, shared_bytes);
  }
  {
    Measure m;
    allocate_batch<float>(m, p);
    for (int i = 0; i < 5; ++i) m.shared<float>(kLd);
    allocate_turns<float>(m, widest_hidden(p));
    allocate_hidden<float>(m, p.critic, true);
    memory.critic_gradient = split(m, shared_bytes);
  }
  {
    Measure m;
    allocate_batch<float>(m, p);
    m.shared<float>(kLd);
    m.shared<float>(p.action_dim * kLd);
    for (int i = 0; i < 2; ++i) m.shared<float>(kLd);
    allocate_hidden<float>(m, p.actor, true);
    allocate_hidden<float>(m, p.critic, true);
    memory.actor_gradient = split(m, shared_bytes);
  }
  {
    Measure m;
    m.shared<float>(kAdamChunk);
    memory.optimizer = split(m, shared_bytes);
  }
  {
    Measure m;
    allocate_environments<float>(m, p);
    for (int i = 0; i < 2; ++i) m.shared<float>(kLd);
    allocate_hidden<float>(m, p.actor, false);
    memory.evaluate = split(m, shared_bytes);
  }
  return memory;
}

uint64_t ProgramMemory::turn_spill_bytes() const {
  return std::max({rollout.spill_bytes, critic_gradient.spill_bytes, actor_gradient.spill_bytes,
                   optimizer.spill_bytes});
}

uint64_t ProgramMemory::shared_spill_bytes() const {
  return std::max(turn_spill_bytes(), evaluate.spill_bytes) *
         static_cast<uint64_t>(resident_blocks);
}

uint64_t ProgramMemory::spill_bytes() const {
  const uint64_t apart =
      acts_beside ? rollout.spill_bytes * static_cast<uint64_t>(resident_blocks) : 0;
  return shared_spill_bytes() + apart;
}

void ProgramMemory::set_spill(char* spill) {
  for (BlockMemory* m : {&rollout, &critic_gradient, &actor_gradient, &optimizer, &evaluate}) {
    m->spill = spill;
  }
  if (acts_beside) rollout.spill += shared_spill_bytes();
}

}  // namespace pendula
