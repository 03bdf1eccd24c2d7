// The rollout: rollout_length steps of every environment. One block takes a tile of kRows
// environments through observe -> actor -> noise -> step -> ring; an environment whose episode
// ended (terminated, or max_episode_steps reached) starts a new one, after its record is written.
#pragma once

#include "kernels/mlp.h"
#include "kernels/noise.h"
#include "kernels/program.h"
#include "kernels/replay_ring.h"

namespace pendula::inline PENDULA_LEVEL {

// Initial state of an episode of `index` (environment or episode) that starts at `step`.
template <class Env, class T>
PENDULA_FN void reset_state(const typename Env::template Params<T>& env, uint64_t seed,
                            Purpose purpose, uint64_t index, uint64_t step, T* state) {
  T u[Env::kStateDim];
  for (int d = 0; d < Env::kStateDim; ++d) {
    const Uint4 r = random(seed, purpose, static_cast<uint32_t>(d / 4), index, step);
    u[d] = uniform01<T>(word(r, static_cast<uint32_t>(d % 4)));
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

// The actor's action for the tile. Ends with a barrier.
template <class T, class B>
PENDULA_FN void act_tile(B& b, const NetworkLayout& actor, const T* params, const Hidden<T>& hidden,
                         const Environments<T>& e) {
  T* action = e.action;
  forward_hidden(b, actor, kRows, params, e.obs, hidden);
  forward_head(b, actor, kRows, params, e.obs, hidden,
               [=](int m, int n, auto v) { store(action + m * B::kLd + n, tanh(v)); });
  b.sync();
}

template <class Env, class T>
struct Rollout {
  Context<Env, T> context;

  PENDULA_FN int grid() const { return context.plan.agents * context.plan.env_tiles; }

  template <class B>
  PENDULA_FN void operator()(B& b) const {
    constexpr int S = Env::kStateDim, A = Env::kActionDim;
    const Plan& p = context.plan;
    if (context.control().slice != 0) return;
    const auto [k, tile] = place(b.index(), p.env_tiles);
    const AgentView<T> agent = context.agent(k);
    const AgentHyper& h = agent.hyper();
    const AgentCounters& c = agent.counters();
    if (c.fault != 0) return;

    const Environments<T> e = allocate_environments<T>(b, p);
    T* episode_return = b.template shared<T>(B::kLd);
    uint32_t* episode_step = b.template shared<uint32_t>(B::kLd);
    T* ended = b.template shared<T>(4 * B::kLd);  // sums of each environment, as rollout_sums
    const Hidden<T> hidden = allocate_hidden<T>(b, p.actor, false);

    const int first = tile * kRows;
    const int n_envs = p.num_envs - first < kRows ? p.num_envs - first : kRows;
    const T* actor = agent.at(p.policy_lag != 0 ? p.actor_lagged : p.actor_params);
    T* env_state = agent.at(p.env_state) + first;
    T* returns = agent.at(p.episode_return) + first;
    uint32_t* steps = agent.episode_step() + first;
    const uint64_t steps_before = c.iteration * steps_per_iteration(p);
    const bool warmup = steps_before < p.warmup_steps;

    b.for_each(kRows, [=](int n) {  // environments beyond the last stand still at 0
      const bool live = n < n_envs;
      for (int d = 0; d < S; ++d) {
        e.state[d * B::kLd + n] = live ? env_state[d * p.num_envs + n] : T(0);
      }
      for (int d = 0; d < A; ++d) e.action[d * B::kLd + n] = T(0);
      episode_return[n] = live ? returns[n] : T(0);
      episode_step[n] = live ? steps[n] : 0;
      for (int d = 0; d < 4; ++d) ended[d * B::kLd + n] = T(0);
    });
    b.sync();

    for (int l = 0; l < p.rollout_length; ++l) {
      const uint64_t t = c.iteration * static_cast<uint64_t>(p.rollout_length) +
                         static_cast<uint64_t>(l);  // time step of every environment
      if (!warmup) {
        observe_tile<Env>(b, context.env, e);
        act_tile(b, p.actor, actor, hidden, e);
      }
      const T sigma = static_cast<T>(
          sigma_at(h, steps_before + static_cast<uint64_t>(l) * static_cast<uint64_t>(p.num_envs)));
      b.for_each(n_envs, [&](int n) {
        for (int d = 0; d < A; ++d) {
          T* a = e.action + d * B::kLd + n;
          *a = behaviour_action(h, *a, sigma, warmup, static_cast<uint32_t>(d),
                                static_cast<uint64_t>(first + n), t);
        }
      });
      b.sync();
      step_tile<Env>(b, context.env, e);

      const uint64_t row = t % p.ring_rows;
      T* records = agent.at(p.ring) +
                   (row * static_cast<uint64_t>(p.num_envs) + static_cast<uint64_t>(first)) *
                       static_cast<uint64_t>(p.record_size);
      b.for_each(n_envs, [&](int n) {
        T* record = records + static_cast<int64_t>(n) * p.record_size;
        const T reward = e.reward[n];
        T finite = reward - reward;  // 0, or NaN
        for (int d = 0; d < S; ++d) {
          record[d] = e.state[d * B::kLd + n];
          finite += e.next[d * B::kLd + n] - e.next[d * B::kLd + n];
        }
        for (int d = 0; d < A; ++d) {
          const T a = e.action[d * B::kLd + n] * Env::action_bound(context.env, d);
          record[S + d] = a;
          finite += a - a;
        }
        record[S + A] = reward;
        for (int d = S + A + 1; d < p.record_size; ++d) record[d] = T(0);

        episode_return[n] += reward;
        episode_step[n] += 1;
        const bool done = e.terminated[n] != T(0) ||
                          episode_step[n] >= static_cast<uint32_t>(p.max_episode_steps);
        e.done[n] = done ? T(1) : T(0);
        ended[3 * B::kLd + n] += finite == T(0) ? T(0) : T(1);
        T state[S];
        for (int d = 0; d < S; ++d) state[d] = e.next[d * B::kLd + n];
        if (done) {
          ended[n] += T(1);
          ended[B::kLd + n] += episode_return[n];
          ended[2 * B::kLd + n] += static_cast<T>(episode_step[n]);
          reset_state<Env, T>(context.env, h.seed, Purpose::kReset,
                              static_cast<uint64_t>(first + n), t + 1, state);
          episode_return[n] = T(0);
          episode_step[n] = 0;
        }
        for (int d = 0; d < S; ++d) e.state[d * B::kLd + n] = state[d];
      });
      b.sync();
      const int words = (p.num_envs + 31) / 32;
      uint32_t* end_bits = agent.ring_end() + row * static_cast<uint64_t>(words) + first / 32;
      b.for_each((n_envs + 31) / 32, [=](int w) {
        uint32_t bits = 0;
        for (int i = 0; i < 32 && 32 * w + i < n_envs; ++i) {
          bits |= (e.done[32 * w + i] != T(0) ? 1u : 0u) << i;
        }
        end_bits[w] = bits;
      });
      b.sync();
    }

    b.for_each(n_envs, [=](int n) {
      for (int d = 0; d < S; ++d) env_state[d * p.num_envs + n] = e.state[d * B::kLd + n];
      returns[n] = episode_return[n];
      steps[n] = episode_step[n];
    });
    T* sums = agent.work_at(p.rollout_sums) + tile * 4;
    for (int d = 0; d < 4; ++d) {
      const T sum = b.template reduce<T>(n_envs, [=](int n) { return ended[d * B::kLd + n]; });
      b.for_each(1, [=](int) { sums[d] = sum; });
    }
  }
};

}  // namespace pendula::inline PENDULA_LEVEL
