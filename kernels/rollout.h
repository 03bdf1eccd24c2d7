// The rollout: rollout_length steps of every environment. One block takes a tile of kRows
// environments through observe -> actor -> noise -> step -> ring; an environment whose episode
// ended (terminated, or max_episode_steps reached) starts a new one, after its record is written.
#pragma once

#include "kernels/env_tile.h"
#include "kernels/noise.h"
#include "kernels/record.h"
#include "kernels/replay_ring.h"

namespace PENDULA_PROGRAMS {

// What a rollout keeps of a tile's episodes.
template <class T>
struct Episodes {
  T* steps;    // (kLd): taken in the episode
  T* returns;  // (kLd): rewards of the episode so far
  T* ended;    // (4, kLd): sums over those that ended: 1, return, length, not finite
};

template <class T>
struct RolloutTile {
  Environments<T> environments;
  Episodes<T> episodes;
  Noise<T> noise;
};

template <class T, class B>
PENDULA_FN RolloutTile<T> allocate_rollout(B& b, const Plan& p) {
  RolloutTile<T> tile;
  tile.environments = allocate_environments<T>(b, p);
  tile.episodes.steps = b.template shared<T>(B::kLd);
  tile.episodes.returns = b.template shared<T>(B::kLd);
  tile.episodes.ended = b.template shared<T>(4 * B::kLd);
  tile.noise = allocate_noise<T>(b, p);
  return tile;
}

template <class Env, class T, class Held = Context<Env, T>>
struct Rollout {
  Held context;
  bool ahead = false;  // see rollout_turn()

  PENDULA_FN int parts() const { return context.plan.env_tiles; }
  PENDULA_FN int grid() const { return context.plan.agents * parts(); }

  template <class B>
  PENDULA_FN void operator()(B& b) const {
    const Plan& p = context.plan;
    const auto [k, tile] = place(b.index(), p.env_tiles);
    const AgentView<T> agent = context.agent(k, b.resident());
    const AgentHyper& h = agent.hyper();
    const RolloutTurn turn = rollout_turn(p, context.control(), agent.counters(), ahead);
    if (!turn.due) return;

    const RolloutTile<T> s = allocate_rollout<T>(b, p);
    const Hidden<T> hidden = allocate_hidden<T>(b, p.actor, false);
    const int first = tile * kRows;
    const int n_envs = p.num_envs - first < kRows ? p.num_envs - first : kRows;
    const int rows = b.template padded<T>(n_envs);
    const T* actor = agent.at(p.policy_lag != 0 ? p.actor_lagged : p.actor_params);
    const uint64_t steps_before = turn.iteration * steps_per_iteration(p);
    const bool warmup = steps_before < p.warmup_steps;
    const uint64_t begin = turn.iteration * static_cast<uint64_t>(p.rollout_length);
    const uint64_t first_row = begin % p.ring_rows;  // of the ring

    load_tile(b, agent, first, n_envs, first_row, s);
    for (int l = 0; l < p.rollout_length; ++l) {
      const uint64_t t = begin + static_cast<uint64_t>(l);  // time step of every environment
      if (!warmup) {
        observe_tile<Env>(b, context.env, s.environments);
        act_tile(b, p.actor, rows, actor, hidden, s.environments);
      }
      if (l == 0 || t % kNoiseSteps == 0) {
        draw_noise<A>(b, p, h, warmup, first, n_envs, t, s.noise);
      }
      T sigma = static_cast<T>(
          sigma_at(h, steps_before + static_cast<uint64_t>(l) * static_cast<uint64_t>(p.num_envs)));
      if (p.noise == NoiseType::kOu) {
        advance_ou<A>(b, h, warmup, n_envs, t, sigma, s.noise);
        sigma = T(1);
      }
      step_and_store(b, agent, first, n_envs, t, ring_row(p, first_row, l), warmup, sigma, s);
    }
    save_tile(b, agent, tile, n_envs, s, agent.rollout_sums(turn.iteration));
  }

 private:
  static constexpr int S = Env::kStateDim, A = Env::kActionDim;

  // Environments beyond the last stand at 0. Clears the bits of the ring that tell where episodes
  // end, in the rows that will be written. Ends with a barrier.
  template <class B>
  PENDULA_FN void load_tile(B& b, const AgentView<T>& agent, int first, int n_envs,
                            uint64_t first_row, const RolloutTile<T>& s) const {
    const Plan& p = agent.plan;
    const Episodes<T> episodes = s.episodes;
    const T* returns = agent.at(p.episode_return) + first;
    const uint32_t* steps = agent.episode_step() + first;
    const int ou_dims = p.noise == NoiseType::kOu ? A : 0;
    b.template for_lanes<T>(kRows, [=](int n, auto tag) {
      const decltype(tag) zero(T(0));
      for (int d = 0; d < S; ++d) store(s.environments.state + d * B::kLd + n, zero);
      for (int d = 0; d < 4; ++d) store(episodes.ended + d * B::kLd + n, zero);
      for (int d = 0; d < ou_dims; ++d) store(s.noise.ou + d * B::kLd + n, zero);
      store(episodes.returns + n, zero);
      store(episodes.steps + n, zero);
    });
    for (int d = 0; d < S; ++d) {
      const T* from = agent.at(p.env_state) + static_cast<int64_t>(d) * p.num_envs + first;
      T* state = s.environments.state + d * B::kLd;
      b.for_each(n_envs, [=](int n) { state[n] = from[n]; });
    }
    for (int d = 0; d < ou_dims; ++d) {
      const T* from = agent.at(p.ou_noise) + static_cast<int64_t>(d) * p.num_envs + first;
      T* ou = s.noise.ou + d * B::kLd;
      b.for_each(n_envs, [=](int n) { ou[n] = from[n]; });
    }
    b.for_each(n_envs, [=](int n) { episodes.returns[n] = returns[n]; });
    b.for_each(n_envs,
               [=](int n) { episodes.steps[n] = static_cast<T>(static_cast<int32_t>(steps[n])); });
    b.for_each(p.rollout_length, [=, &p](int l) {
      uint32_t* bits = end_bits(agent, ring_row(p, first_row, l), first);
      for (int w = 0; w < n_envs; w += 32) bits[w / 32] = 0;
    });
    b.sync();
  }

  // For time step t: the action, the environment's step, the record, the end of the episode. Ends
  // with a barrier.
  template <class B>
  PENDULA_SHARED_FN void step_and_store(B& b, const AgentView<T>& agent, int first, int n_envs,
                                        uint64_t t, uint64_t row, bool warmup, T sigma,
                                        const RolloutTile<T>& tile) const {
    constexpr int kRecord = record_size(S, A), kLd = B::kLd;
    const Plan& p = agent.plan;
    const auto env = context.env;  // a copy, which no store can change
    const int j = static_cast<int>(t % kNoiseSteps);
    const T* const number = tile.noise.number + j * A * kLd;
    const T* uniformly = tile.noise.uniformly + j * kLd;
    const T* mu = tile.environments.action;
    T* states = tile.environments.state;
    T* returns = tile.episodes.returns;
    T* steps = tile.episodes.steps;
    T* records = agent.at(p.ring) +
                 (row * static_cast<uint64_t>(p.num_envs) + static_cast<uint64_t>(first)) * kRecord;
    const bool stream = stream_records(p, records);
    const T limit = static_cast<T>(p.max_episode_steps);
    b.template for_lanes<T>(n_envs, [=, this, &agent, &tile](int n, auto tag) PENDULA_INLINE {
      using V = decltype(tag);
      V state[S], action[A], next[S], record[kRecord];
      for (int d = 0; d < S; ++d) state[d] = load_as<V>(states + d * kLd + n);
      for (int d = 0; d < A; ++d) {
        V a = load_as<V>(number + d * kLd + n);
        if (!warmup) {
          a = behaviour_action(load_as<V>(mu + d * kLd + n), V(sigma), a,
                               load_as<V>(uniformly + n));
        }
        action[d] = a * V(Env::action_bound(env, d));
      }
      const StepResult<V> r = Env::step(env, state, action, next);

      for (V& value : record) value = V(T(0));
      for (int d = 0; d < S; ++d) record[d] = state[d];
      for (int d = 0; d < A; ++d) record[S + d] = action[d];
      record[S + A] = r.reward;
      store_records<kRecord>(records + n * kRecord, record, n_envs - n, stream);

      const V step = load_as<V>(steps + n) + V(T(1));
      for (int d = 0; d < S; ++d) store(states + d * kLd + n, next[d]);
      store(returns + n, load_as<V>(returns + n) + r.reward);
      store(steps + n, step);
      const auto done = (r.terminated > V(T(0))) | (step >= V(limit));
      if (any(done)) end_episodes<V, B>(agent, first, n, n_envs, t, row, done, tile);
    });
    b.sync();
  }

  // Where done: adds up the episodes that ended, marks them in the ring, and starts new ones.
  template <class V, class B, class Mask>
  PENDULA_SHARED_FN void end_episodes(const AgentView<T>& agent, int first, int n, int n_envs,
                                      uint64_t t, uint64_t row, Mask done,
                                      const RolloutTile<T>& s) const {
    constexpr int kLd = B::kLd;
    const V none(T(0));
    const Episodes<T>& episodes = s.episodes;
    const V returns = load_as<V>(episodes.returns + n), steps = load_as<V>(episodes.steps + n);
    const V add[4] = {V(T(1)), returns, steps, not_finite<V, kLd>(s, n)};
    for (int d = 0; d < 4; ++d) {
      T* ended = episodes.ended + d * kLd + n;
      store(ended, load_as<V>(ended) + select(done, add[d], none));
    }
    store(episodes.returns + n, select(done, none, returns));
    store(episodes.steps + n, select(done, none, steps));
    if (agent.plan.noise == NoiseType::kOu) {
      for (int d = 0; d < A; ++d) {
        T* ou = s.noise.ou + d * kLd + n;
        store(ou, select(done, none, load_as<V>(ou)));
      }
    }
    const uint32_t live = n_envs - n < 32 ? (1u << (n_envs - n)) - 1 : ~0u;
    B::or_into(end_bits(agent, row, first) + n / 32, (mask_bits(done) & live) << n % 32);

    Words<V> index;
    count_from(static_cast<uint32_t>(first + n), index);
    V state[S];
    reset_state<Env>(context.env, agent.hyper().seed, Purpose::kReset, index, t + 1, state);
    for (int d = 0; d < S; ++d) {
      T* at = s.environments.state + d * kLd + n;
      store(at, select(done, state[d], load_as<V>(at)));
    }
  }

  // 1 where the state or the episode's return is NaN or Inf: no later step makes it finite again.
  template <class V, int kLd>
  static PENDULA_FN V not_finite(const RolloutTile<T>& s, int n) {
    V zero = load_as<V>(s.episodes.returns + n) * V(T(0));
    for (int d = 0; d < S; ++d) {
      zero = fma(load_as<V>(s.environments.state + d * kLd + n), V(T(0)), zero);
    }
    return as_real(!(zero == V(T(0))), zero);
  }

  // The environments go back to the agent's state, sums over those of the tile to row `tile` of
  // `all_sums`.
  template <class B>
  PENDULA_FN void save_tile(B& b, const AgentView<T>& agent, int tile, int n_envs,
                            const RolloutTile<T>& s, T* all_sums) const {
    const Plan& p = agent.plan;
    const int first = tile * kRows;
    const Episodes<T> episodes = s.episodes;
    T* returns = agent.at(p.episode_return) + first;
    uint32_t* steps = agent.episode_step() + first;
    for (int d = 0; d < S; ++d) {
      T* to = agent.at(p.env_state) + static_cast<int64_t>(d) * p.num_envs + first;
      const T* state = s.environments.state + d * B::kLd;
      b.for_each(n_envs, [=](int n) { to[n] = state[n]; });
    }
    for (int d = 0; d < (p.noise == NoiseType::kOu ? A : 0); ++d) {
      T* to = agent.at(p.ou_noise) + static_cast<int64_t>(d) * p.num_envs + first;
      const T* ou = s.noise.ou + d * B::kLd;
      b.for_each(n_envs, [=](int n) { to[n] = ou[n]; });
    }
    b.for_each(n_envs, [=](int n) {
      returns[n] = episodes.returns[n];
      steps[n] = static_cast<uint32_t>(static_cast<int32_t>(episodes.steps[n]));
    });
    b.for_each(n_envs,
               [=](int n) { episodes.ended[3 * B::kLd + n] += not_finite<T, B::kLd>(s, n); });
    b.sync();
    T sum[4];
    for (int d = 0; d < 4; ++d) {
      const T* ended = episodes.ended + d * B::kLd;
      sum[d] = b.template reduce<T>(n_envs, [=](int n) { return ended[n]; });
    }
    T* sums = all_sums + tile * 4;
    b.for_each(1, [&](int) {
      for (int d = 0; d < 4; ++d) sums[d] = sum[d];
    });
    stream_fence();  // other threads sample the records next
  }

  // Whether records are written past the caches: where no cache holds the ring anyway.
  static PENDULA_FN bool stream_records(const Plan& p, const T* records) {
    constexpr uint64_t kCached = uint64_t{8} << 20;  // bytes
    const uint64_t bytes = p.ring_rows * static_cast<uint64_t>(p.num_envs) *
                           static_cast<uint64_t>(p.record_size) * sizeof(T);
    return bytes > kCached && reinterpret_cast<uintptr_t>(records) % kVectorBytes == 0;
  }

  // Row l of those that this rollout writes.
  static PENDULA_FN uint64_t ring_row(const Plan& p, uint64_t first_row, int l) {
    const uint64_t row = first_row + static_cast<uint64_t>(l);
    return row < p.ring_rows ? row : row - p.ring_rows;
  }

  // The bits of a tile in a row of the ring.
  static PENDULA_FN uint32_t* end_bits(const AgentView<T>& agent, uint64_t row, int first) {
    const int words = (agent.plan.num_envs + 31) / 32;
    return agent.ring_end() + row * static_cast<uint64_t>(words) + first / 32;
  }
};

}  // namespace PENDULA_PROGRAMS
