// Evaluation: episodes of the deterministic policy from initial states of their own (a function of
// the agent's seed and the episode's number). Reads the actor and nothing else of the training
// state.
#pragma once

#include "kernels/env_tile.h"

namespace PENDULA_PROGRAMS {

inline constexpr int kStopSteps = 64;  // between two looks at the stop flag

template <class Env, class T>
struct Evaluate {
  Context<Env, T> context;
  int episodes;                // of each agent
  T* returns;                  // (agents, episodes), undiscounted, unscaled; NaN where a state is
  uint32_t* lengths;           // (agents, episodes)
  const bool* stop = nullptr;  // where set and true, the rest is not played; null on the GPU

  PENDULA_FN int tiles() const { return (episodes + kRows - 1) / kRows; }
  PENDULA_FN int grid() const { return context.plan.agents * tiles(); }

  template <class B>
  PENDULA_FN void operator()(B& b) const {
    constexpr int S = Env::kStateDim;
    const Plan& p = context.plan;
    const auto [k, tile] = place(b.index(), tiles());
    const AgentView<T> agent = context.agent(k);
    const Environments<T> e = allocate_environments<T>(b, p);
    T* total = b.template shared<T>(B::kLd);
    T* length = b.template shared<T>(B::kLd);
    const Hidden<T> hidden = allocate_hidden<T>(b, p.actor, false);
    const T* actor = agent.at(p.actor_params);
    const uint64_t seed = agent.hyper().seed;
    const int first = tile * kRows;
    const int n_episodes = episodes - first < kRows ? episodes - first : kRows;

    b.for_each(kRows, [&](int n) {
      T state[S];
      reset_state<Env, T>(context.env, seed, Purpose::kEvalReset, static_cast<uint64_t>(first + n),
                          0, state);
      for (int d = 0; d < S; ++d) e.state[d * B::kLd + n] = state[d];
      total[n] = T(0);
      length[n] = T(0);
      e.done[n] = n < n_episodes ? T(0) : T(1);
    });
    b.sync();
    for (int t = 0; t < p.max_episode_steps; ++t) {
      const T running =
          b.template reduce<T>(kRows, [=](int n) { return e.done[n] == T(0) ? T(1) : T(0); });
      if (running == T(0)) break;
      if (stop != nullptr && t % kStopSteps == 0 && B::load_shared(stop)) break;
      observe_tile<Env>(b, context.env, e);
      act_tile(b, p.actor, b.template padded<T>(n_episodes), actor, hidden, e);
      step_tile<Env>(b, context.env, e);
      b.for_each(kRows, [=](int n) {
        if (e.done[n] == T(0)) {
          T finite = T(0);  // NaN where the state is not: a reward need not show it
          for (int d = 0; d < S; ++d) finite = fma(e.next[d * B::kLd + n], T(0), finite);
          total[n] += e.reward[n] + finite;
          length[n] += T(1);
          e.done[n] = e.terminated[n];
          for (int d = 0; d < S; ++d) e.state[d * B::kLd + n] = e.next[d * B::kLd + n];
        }
      });
      b.sync();
    }
    T* r = returns + static_cast<int64_t>(k) * episodes + first;
    uint32_t* l = lengths + static_cast<int64_t>(k) * episodes + first;
    b.for_each(n_episodes, [=](int n) {
      r[n] = total[n];
      l[n] = static_cast<uint32_t>(length[n]);
    });
  }
};

}  // namespace PENDULA_PROGRAMS
