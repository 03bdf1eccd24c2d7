// The batches of all updates of a slice, in the grid plan where it is tuned: transitions that are
// drawn as kernels/replay_ring.h says, as the rows of inputs that the passes take, rounded to tf32.
#pragma once

#include "kernels/grid_memory.h"
#include "kernels/replay_ring.h"

namespace PENDULA_PROGRAMS {

// A thread takes a sample; what lies behind the batch in its last tile are samples like any other.
template <class Env>
struct SampleBatches {
  Context<Env, float> context;
  GridLayout grid_layout;
  char* memory;

  PENDULA_FN int tiles() const { return (grid_layout.rows + kThreads - 1) / kThreads; }
  PENDULA_FN int parts() const { return context.plan.update_slots * tiles(); }
  PENDULA_FN int grid() const { return context.plan.agents * parts(); }

  template <class B>
  PENDULA_FN void operator()(B& b) const {
    const auto [k, part] = place(b.index(), parts());
    const int slot = part / tiles(), first = part % tiles() * kThreads;
    const AgentView<float> agent = context.agent(k);
    const uint64_t update = agent.counters().updates + static_cast<uint64_t>(slot);
    const int rows = batch_tiles(agent.hyper().batch_size) * kGridRows;
    if (!agent.update_due(update) || first >= rows) return;
    char* mine = memory + static_cast<uint64_t>(k) * grid_layout.bytes;
    const int64_t row0 = static_cast<int64_t>(slot) * grid_layout.rows + first;
    float* x = reinterpret_cast<float*>(mine + grid_layout.x) + row0 * kGridInputs;
    float* next = reinterpret_cast<float*>(mine + grid_layout.next) + row0 * kGridInputs;
    float* outcome = reinterpret_cast<float*>(mine + grid_layout.outcome) + row0 * 2;
    b.for_each(rows - first < kThreads ? rows - first : kThreads, [&](int n) {
      take(agent, update, static_cast<uint64_t>(first + n), x + n * kGridInputs,
           next + n * kGridInputs, outcome + 2 * n);
    });
  }

 private:
  static constexpr int S = Env::kStateDim, O = Env::kObsDim, A = Env::kActionDim;
  static constexpr int kRecord = record_size(S, A);

  // 16 bytes at a time: four memory transactions of a warp in place of one for each number.
  struct alignas(16) Four {
    float at[4];
  };
  struct Row {
    Four half[2];
    PENDULA_FN float& operator[](int i) { return half[i / 4].at[i % 4]; }
  };

  PENDULA_FN void take(const AgentView<float>& agent, uint64_t update, uint64_t i, float* x,
                       float* next, float* outcome) const {
    const Plan& p = agent.plan;
    const AgentCounters& c = agent.counters();
    const uint64_t last = (c.iteration + 1) * static_cast<uint64_t>(p.rollout_length);
    const uint64_t index = sample_index(p, agent.hyper().seed, update, i, c.ring_first, last);
    Four record[kRecord / 4];
    const Four* from =
        reinterpret_cast<const Four*>(agent.at(p.ring) + index * static_cast<uint64_t>(kRecord));
    PENDULA_UNROLL
    for (int d = 0; d < kRecord / 4; ++d) record[d] = from[d];
    const auto field = [&](int d) { return record[d / 4].at[d % 4]; };

    float state[S], action[A], after[S], obs[O];
    Row row{}, next_row{};
    PENDULA_UNROLL
    for (int d = 0; d < S; ++d) state[d] = field(d);
    PENDULA_UNROLL
    for (int d = 0; d < A; ++d) action[d] = field(S + d);
    const StepResult<float> result = Env::step(context.env, state, action, after);
    Env::observe(context.env, state, obs);
    PENDULA_UNROLL
    for (int d = 0; d < O; ++d) row[d] = rounded(obs[d]);
    PENDULA_UNROLL
    for (int d = 0; d < A; ++d) {
      row[O + d] = rounded(action[d] * (1.0f / Env::action_bound(context.env, d)));
    }
    Env::observe(context.env, after, obs);
    PENDULA_UNROLL
    for (int d = 0; d < O; ++d) next_row[d] = rounded(obs[d]);
    row[kGridInputs - 1] = next_row[kGridInputs - 1] = 1.0f;
    for (int h = 0; h < 2; ++h) {
      reinterpret_cast<Four*>(x)[h] = row.half[h];
      reinterpret_cast<Four*>(next)[h] = next_row.half[h];
    }
    outcome[0] = static_cast<float>(p.reward_scale) * field(S + A);
    outcome[1] = static_cast<float>(agent.hyper().gamma) * (1.0f - result.terminated);
  }

  static PENDULA_FN float rounded(float x) { return Tf32::from_bits(to_tf32(x)); }
};

}  // namespace PENDULA_PROGRAMS
