// The body of host/cpu_programs.h for one environment and the level that the file is compiled for.
// Every function here must stand in the level's namespace, or be inlined: tests/levels_test.cpp
// looks at what the objects define. No containers, no std::function, no text.
#pragma once

#include "host/cpu_programs.h"
#include "kernels/block_cpu.h"
#include "kernels/evaluate.h"
#include "kernels/initialise.h"
#include "kernels/iteration.h"

namespace PENDULA_PROGRAMS {

// Adds up what a program takes from shared().
struct CountingBlock {
  static constexpr int kLd = CpuBlock::kLd;
  uint64_t bytes = 0;

  template <class T>
  PENDULA_FN T* shared(int n) {
    bytes += (static_cast<uint64_t>(n) * sizeof(T) + 63) / 64 * 64;
    return nullptr;
  }
};

// This worker's blocks of a program; leaves the rest undone where *stop is set.
template <class Program>
void run_share(const Program& program, const CpuWorker& worker, const bool* stop = nullptr) {
  const int64_t blocks = program.grid();
  const int end = static_cast<int>(blocks * (worker.index + 1) / worker.count);
  for (int i = static_cast<int>(blocks * worker.index / worker.count); i < end; ++i) {
    if (stop != nullptr && CpuBlock::load_shared(stop)) return;
    CpuBlock block(i, {worker.scratch, worker.scratch_bytes});
    program(block);
  }
}

// One program after the other, with a barrier of all workers between them.
struct InSlice {
  const CpuWorker& worker;

  template <class Program>
  void operator()(const Program& program) const {
    run_share(program, worker);
    if (worker.count > 1) wait_for_others(*worker.pool);
  }
};

// All parts of one program after the other, for one agent.
struct InTurn {
  const CpuWorker& worker;
  int agent;

  template <class Program>
  void operator()(const Program& program) const {
    const int parts = program.parts();
    for (int i = 0; i < parts; ++i) {
      CpuBlock block(agent * parts + i, {worker.scratch, worker.scratch_bytes});
      program(block);
    }
  }
};

template <class Env>
struct CpuProgramsOf {
  using T = float;

  static PENDULA_FN Context<Env, T> context(const CpuSetup& setup) {
    Context<Env, T> c{setup.plan, {}, setup.arena, setup.page};
    constexpr int kCount = sizeof Env::kParams / sizeof Env::kParams[0];
    T* values = reinterpret_cast<T*>(&c.env);
    for (int i = 0; i < kCount; ++i) values[i] = static_cast<T>(setup.env_params[i]);
    return c;
  }

  // What the most demanding program takes, added up generously.
  static uint64_t scratch_bytes(const Plan& p) {
    CountingBlock c;
    allocate_batch<T>(c, p);
    allocate_rollout<T>(c, p);
    allocate_turns<T>(c, widest_hidden(p));
    allocate_hidden<T>(c, p.critic, true);
    allocate_hidden<T>(c, p.actor, true);
    c.shared<T>(kAdamChunk);
    c.shared<T>((16 + p.action_dim) * CpuBlock::kLd);
    int widest = p.obs_dim + p.action_dim;
    if (widest_hidden(p) > widest) widest = widest_hidden(p);
    const uint64_t product = transpose_bytes<T>(widest, kRows) + packing_bytes<T>(widest);
    return (c.bytes + product + 4096) / 4096 * 4096;
  }

  static void initialise(const CpuSetup& setup, const CpuWorker& worker) {
    run_share(Initialise<Env, T>{context(setup)}, worker);
  }

  static void slice(const CpuSetup& setup, const CpuWorker& worker) {
    for_each_program(context(setup), InSlice{worker});
  }

  static void turn(const CpuSetup& setup, const CpuWorker& worker, int agent, int slices) {
    const Context<Env, T> c = context(setup);
    for (int i = 0; i < slices; ++i) {
      for_each_agent_program<Env, T, const Context<Env, T>&>(c, InTurn{worker, agent});
    }
  }

  static void end_turn(const CpuSetup& setup, const CpuWorker& worker) {
    CpuBlock block(0, {worker.scratch, worker.scratch_bytes});
    SetHalt<Env, T>{context(setup)}(block);
  }

  static void evaluate(const CpuSetup& setup, const CpuWorker& worker, const CpuEvaluation& to) {
    run_share(Evaluate<Env, T>{context(setup), to.episodes, to.returns, to.lengths, to.stop},
              worker, to.stop);
  }

  static void play(const CpuSetup& setup, const CpuWorker& worker, PlayTile& tile) {
    constexpr int S = Env::kStateDim, A = Env::kActionDim, kLd = CpuBlock::kLd;
    const Context<Env, T> c = context(setup);
    const AgentView<T> agent = c.agent(tile.agent);
    const uint64_t seed = agent.hyper().seed;
    // The same places in every call: the state stays where the last step left it.
    CpuBlock b(0, {worker.scratch, worker.scratch_bytes});
    const Environments<T> e = allocate_environments<T>(b, c.plan);
    T* action = b.template shared<T>(A * kLd);
    const Hidden<T> hidden = allocate_hidden<T>(b, c.plan.actor, false);

    for (int n = 0; n < kRows; ++n) {
      const uint64_t episode = tile.first + static_cast<uint64_t>(n);
      T state[S];
      for (int d = 0; d < S; ++d) state[d] = e.next[d * kLd + n];
      if (tile.t == 0) {
        reset_state<Env, T>(c.env, seed, Purpose::kEvalReset, episode, 0, state);
      }
      for (int d = 0; d < S; ++d) e.state[d * kLd + n] = state[d];
      for (int d = 0; d < A; ++d) {
        const uint32_t w = step_word(seed, Purpose::kPlayAction, static_cast<uint32_t>(d), episode,
                                     static_cast<uint64_t>(tile.t));
        e.action[d * kLd + n] =
            tile.policy == PlayPolicy::kRandom ? uniform<T>(w, T(-1), T(1)) : T(0);
      }
    }
    observe_tile<Env>(b, c.env, e);
    if (tile.policy == PlayPolicy::kActor) {
      act_tile(b, c.plan.actor, kRows, agent.at(c.plan.actor_params), hidden, e);
    }
    step_tile<Env>(b, c.env, e);
    for (int d = 0; d < A; ++d) {
      const T bound = Env::action_bound(c.env, d);
      for (int n = 0; n < kRows; ++n) action[d * kLd + n] = e.action[d * kLd + n] * bound;
    }
    tile.ld = kLd;
    tile.state = e.state;
    tile.obs = e.obs;
    tile.action = action;
    tile.reward = e.reward;
    tile.terminated = e.terminated;
  }
};

}  // namespace PENDULA_PROGRAMS

// Defines cpu_<Env>_<level>.
#define PENDULA_CPU_PROGRAMS(Env) PENDULA_CPU_PROGRAMS_AT(Env, PENDULA_LEVEL)
#define PENDULA_CPU_PROGRAMS_AT(Env, level) PENDULA_CPU_PROGRAMS_OF(Env, level)
#define PENDULA_CPU_PROGRAMS_OF(Env, level)                              \
  namespace pendula {                                                    \
  extern const CpuPrograms cpu_##Env##_##level;                          \
  const CpuPrograms cpu_##Env##_##level = {                              \
      CpuProgramsOf<Env>::scratch_bytes, CpuProgramsOf<Env>::initialise, \
      CpuProgramsOf<Env>::slice,         CpuProgramsOf<Env>::turn,       \
      CpuProgramsOf<Env>::end_turn,      CpuProgramsOf<Env>::evaluate,   \
      CpuProgramsOf<Env>::play};                                         \
  }
