// A tile of kRows environments in a block's scratch, and what rollout, evaluation and play do with
// it: reset, observe, act, step.
#pragma once

#include "envs/environment.h"
#include "kernels/mlp.h"
#include "kernels/philox.h"
#include "kernels/program.h"

namespace PENDULA_PROGRAMS {

// Initial states of episodes that start at `step`. index: of environment or episode, one (uint64_t)
// or as many as V has lanes (Words<V>).
template <class Env, class V, class Index>
PENDULA_FN void reset_state(const typename Env::template Params<Scalar<V>>& env, uint64_t seed,
                            Purpose purpose, Index index, uint64_t step, V* state) {
  V u[Env::kStateDim];
  for (int d = 0; d < Env::kStateDim; ++d) {
    const auto r = random(seed, purpose, static_cast<uint32_t>(d / 4), index, step);
    u[d] = uniform01<V>(word(r, static_cast<uint32_t>(d % 4)));
  }
  Env::reset(env, u, state);
}

// A tile of environments and what a step computes.
template <class T>
struct Environments {
  T* state;       // (state_dim, kLd)
  T* next;        // (state_dim, kLd)
  T* obs;         // (obs_dim, kLd)
  T* action;      // (action_dim, kLd), in units of the bound
  T* reward;      // (kLd)
  T* terminated;  // (kLd)
  T* done;        // (kLd): the episode ended with this step, 0 or 1
};

template <class T, class B>
PENDULA_FN Environments<T> allocate_environments(B& b, const Plan& p) {
  Environments<T> e;
  e.state = b.template shared<T>(p.state_dim * B::kLd);
  e.next = b.template shared<T>(p.state_dim * B::kLd);
  e.obs = b.template shared<T>(p.obs_dim * B::kLd);
  e.action = b.template shared<T>(p.action_dim * B::kLd);
  e.reward = b.template shared<T>(B::kLd);
  e.terminated = b.template shared<T>(B::kLd);
  e.done = b.template shared<T>(B::kLd);
  return e;
}

// state -> obs. Ends with a barrier.
template <class Env, class T, class B>
PENDULA_FN void observe_tile(B& b, const typename Env::template Params<T>& env,
                             const Environments<T>& e) {
  b.template for_lanes<T>(kRows, [&](int n, auto tag) {
    using V = decltype(tag);
    V state[Env::kStateDim], obs[Env::kObsDim];
    for (int d = 0; d < Env::kStateDim; ++d) state[d] = load_as<V>(e.state + d * B::kLd + n);
    Env::observe(env, state, obs);
    for (int d = 0; d < Env::kObsDim; ++d) store(e.obs + d * B::kLd + n, obs[d]);
  });
  b.sync();
}

// (state, action) -> next, reward, terminated. Ends with a barrier.
template <class Env, class T, class B>
PENDULA_FN void step_tile(B& b, const typename Env::template Params<T>& env,
                          const Environments<T>& e) {
  b.template for_lanes<T>(kRows, [&](int n, auto tag) {
    using V = decltype(tag);
    V state[Env::kStateDim], action[Env::kActionDim], next[Env::kStateDim];
    for (int d = 0; d < Env::kStateDim; ++d) state[d] = load_as<V>(e.state + d * B::kLd + n);
    for (int d = 0; d < Env::kActionDim; ++d) {
      action[d] = load_as<V>(e.action + d * B::kLd + n) * V(Env::action_bound(env, d));
    }
    const StepResult<V> r = Env::step(env, state, action, next);
    for (int d = 0; d < Env::kStateDim; ++d) store(e.next + d * B::kLd + n, next[d]);
    store(e.reward + n, r.reward);
    store(e.terminated + n, r.terminated);
  });
  b.sync();
}

// The actor's action for the tile, `rows` of it (see kernels/mlp.h). Ends with a barrier.
template <class T, class B>
PENDULA_FN void act_tile(B& b, const NetworkLayout& actor, int rows, const T* params,
                         const Hidden<T>& hidden, const Environments<T>& e) {
  T* action = e.action;
  forward_hidden(b, actor, rows, params, e.obs, hidden);
  forward_head(b, actor, rows, params, e.obs, hidden,
               [=](int m, int n, auto v) { store(action + m * B::kLd + n, tanh(v)); });
  b.sync();
}

}  // namespace PENDULA_PROGRAMS
