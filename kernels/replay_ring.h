// The replay ring: records of (state, action, reward), time-major, record (row t, environment e) at
// ((t mod ring_rows) * num_envs + e) * record_size. Actions in the environment's units. What
// follows a state is not stored but computed again by the environment's step, so that an episode's
// end needs no special case: `terminated` comes from step, and the time limit never stops the
// bootstrap.
#pragma once

#include "envs/environment.h"
#include "kernels/philox.h"
#include "kernels/plan.h"

namespace PENDULA_PROGRAMS {

// Rows that may be sampled once `rows` have been written. With policy_lag 1 the next rollout may
// run beside the updates, so the rows that it overwrites are left out.
PENDULA_FN uint64_t sampled_rows(const Plan& p, uint64_t rows) {
  const uint64_t room =
      p.ring_rows - (p.policy_lag != 0 ? static_cast<uint64_t>(p.rollout_length) : 0);
  return rows < room ? rows : room;
}

// The rows that are sampled where rows first .. last - 1 have been written: `count` of the ring's,
// from `oldest` on.
struct SampledRows {
  uint32_t count;
  uint64_t oldest;
};
PENDULA_FN SampledRows rows_to_sample(const Plan& p, uint64_t first, uint64_t last) {
  const uint64_t n = sampled_rows(p, last - first);
  return {static_cast<uint32_t>(n), (last - n) % p.ring_rows};
}

// Index of the record that two random words name: uniform over the sampled rows and all
// environments.
PENDULA_FN uint64_t record_index(const Plan& p, const SampledRows& rows, uint32_t row_word,
                                 uint32_t env_word) {
  const uint64_t row = rows.oldest + below(row_word, rows.count);
  const uint32_t env = below(env_word, static_cast<uint32_t>(p.num_envs));
  return (row < p.ring_rows ? row : row - p.ring_rows) * static_cast<uint64_t>(p.num_envs) + env;
}

// The same of sample i of update `update`: a call of Philox has words for two samples.
PENDULA_FN uint64_t sample_index(const Plan& p, uint64_t seed, uint64_t update, uint64_t i,
                                 uint64_t first, uint64_t last) {
  const Uint4 r = random(seed, Purpose::kSample, 0, i / 2, update);
  const SampledRows rows = rows_to_sample(p, first, last);
  return record_index(p, rows, (i & 1) != 0 ? r.z : r.x, (i & 1) != 0 ? r.w : r.y);
}

// A tile of sampled transitions.
template <class T>
struct Batch {
  T* x;          // (obs_dim + action_dim, kLd): obs, then action in units of its bound
  T* next_x;     // the same shape: next_obs, then room for the next action
  T* reward;     // (kLd)
  T* continues;  // (kLd): 0 where terminated, else 1
  T* state;      // (state_dim, kLd)
};

template <class T, class B>
PENDULA_FN Batch<T> allocate_batch(B& b, const Plan& p) {
  Batch<T> s;
  s.x = b.template shared<T>((p.obs_dim + p.action_dim) * B::kLd);
  s.next_x = b.template shared<T>((p.obs_dim + p.action_dim) * B::kLd);
  s.reward = b.template shared<T>(B::kLd);
  s.continues = b.template shared<T>(B::kLd);
  s.state = b.template shared<T>(p.state_dim * B::kLd);
  return s;
}

// Gathers samples first .. first + rows - 1 of update `update`, and up to the next multiple of
// twice the lanes; first must be even. Those beyond the batch are samples like any other. Ends with
// a barrier.
template <class Env, class T, class B>
PENDULA_FN void sample_tile(B& b, const AgentView<T>& agent,
                            const typename Env::template Params<T>& env, uint64_t update, int first,
                            int rows, const Batch<T>& s) {
  constexpr int S = Env::kStateDim, O = Env::kObsDim, A = Env::kActionDim;
  const Plan& p = agent.plan;
  const T* ring = agent.at(p.ring);
  const uint64_t seed = agent.hyper().seed;
  const uint64_t last = (agent.counters().iteration + 1) * static_cast<uint64_t>(p.rollout_length);
  const SampledRows sampled = rows_to_sample(p, agent.counters().ring_first, last);
  const auto gather = [&](int n, uint32_t row_word, uint32_t env_word) {
    const T* record = ring + record_index(p, sampled, row_word, env_word) *
                                 static_cast<uint64_t>(record_size(S, A));
    for (int d = 0; d < S; ++d) s.state[d * B::kLd + n] = record[d];
    for (int d = 0; d < A; ++d) s.x[(O + d) * B::kLd + n] = record[S + d];
    s.reward[n] = record[S + A];
  };
  b.template for_lanes<T>((rows + 1) / 2, [&](int pair, auto tag) {
    using V = decltype(tag);
    Words<V> call;
    count_from(static_cast<uint32_t>(first / 2 + pair), call);
    const auto r = random(seed, Purpose::kSample, 0, call, update);
    for (int i = 0; i < kCountOf<V>; ++i) {
      const int n = 2 * (pair + i);
      gather(n, lane_word(r.x, i), lane_word(r.y, i));
      gather(n + 1, lane_word(r.z, i), lane_word(r.w, i));
    }
  });
  b.sync();
  b.template for_lanes<T>(rows, [&](int n, auto tag) {
    using V = decltype(tag);
    V state[S], action[A], next[S], obs[O];
    for (int d = 0; d < S; ++d) state[d] = load_as<V>(s.state + d * B::kLd + n);
    for (int d = 0; d < A; ++d) action[d] = load_as<V>(s.x + (O + d) * B::kLd + n);
    const StepResult<V> r = Env::step(env, state, action, next);
    Env::observe(env, state, obs);
    for (int d = 0; d < O; ++d) store(s.x + d * B::kLd + n, obs[d]);
    Env::observe(env, next, obs);
    for (int d = 0; d < O; ++d) store(s.next_x + d * B::kLd + n, obs[d]);
    for (int d = 0; d < A; ++d) {
      store(s.x + (O + d) * B::kLd + n, action[d] * V(T(1) / Env::action_bound(env, d)));
    }
    store(s.continues + n, V(T(1)) - r.terminated);
  });
  b.sync();
}

}  // namespace PENDULA_PROGRAMS
