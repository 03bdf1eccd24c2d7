// The rollout in the grid plan where it is tuned: rollout_length steps of environments whose states
// stay in registers, one in each thread, through observe -> actor -> noise -> step -> ring. The
// same numbers as kernels/rollout.h, but for the products, which are those of kernels/grid_actor.h.
#pragma once

#include <type_traits>

#include "envs/environment.h"
#include "kernels/env_tile.h"
#include "kernels/grid_actor.h"
#include "kernels/noise.h"

namespace PENDULA_PROGRAMS {

template <class Env, class Actor>
struct GridRollout {
  static constexpr int S = Env::kStateDim, O = Env::kObsDim, A = Env::kActionDim;
  Context<Env, float> context;
  GridLayout grid_layout;
  char* memory;
  bool ahead;  // see rollout_turn()

  PENDULA_FN int parts() const { return (context.plan.num_envs + Actor::kRows - 1) / Actor::kRows; }
  PENDULA_FN int grid() const { return context.plan.agents * parts(); }

  template <class B>
  PENDULA_FN void operator()(B& b) const {
    const Plan& p = context.plan;
    const auto [k, part] = place(b.index(), parts());
    const AgentView<float> agent = context.agent(k);
    const AgentHyper& h = agent.hyper();
    const RolloutTurn turn = rollout_turn(p, context.control(), agent.counters(), ahead);
    if (!turn.due) return;

    const bool lag = p.policy_lag != 0;
    const ActorData data{p.actor, grid_layout.actor,
                         agent.at(lag ? p.actor_lagged : p.actor_params),
                         reinterpret_cast<const uint32_t*>(
                             memory + static_cast<uint64_t>(k) * grid_layout.bytes +
                             (lag ? grid_layout.actor_lagged : grid_layout.actor_params)),
                         shared_memory()};
    const Actor actor(data);
    const int env = part * Actor::kRows + thread_index();
    const bool live = thread_index() < Actor::kRows && env < p.num_envs;
    const uint64_t steps_before = turn.iteration * steps_per_iteration(p);
    const bool warmup = std::is_same_v<Actor, NoActor> || steps_before < p.warmup_steps;
    const uint64_t begin = turn.iteration * static_cast<uint64_t>(p.rollout_length);
    uint64_t row = begin % p.ring_rows;

    Environment e = load(agent, env, live);
    Draws draws;
    for (int l = 0; l < p.rollout_length; ++l) {
      const uint64_t t = begin + static_cast<uint64_t>(l);  // time step of every environment
      float action[A] = {};
      if (!warmup) {
        float obs[O];
        Env::observe(context.env, e.state, obs);
        actor.act(obs, action);
      }
      if (l == 0 || t % kNoiseSteps == 0) draw(p, h, warmup, env, t, draws);
      const float sigma = static_cast<float>(
          sigma_at(h, steps_before + static_cast<uint64_t>(l) * static_cast<uint64_t>(p.num_envs)));
      add_noise(p, h, warmup, static_cast<int>(t % kNoiseSteps), sigma, draws, e, action);
      step(agent, env, live, t, row, action, e);
      row = row + 1 == p.ring_rows ? 0 : row + 1;
    }
    save(agent, env, live, part, e, agent.rollout_sums(turn.iteration));
  }

 private:
  static constexpr int kRecord = record_size(S, A);

  // A thread's environment.
  struct Environment {
    float state[S], ou[A];
    float steps, returns;
    float ended[4];  // over the episodes that ended: 1, return, length, not finite
  };
  // For kNoiseSteps time steps.
  struct Draws {
    float number[A][kNoiseSteps], normal[A][kNoiseSteps], uniformly[kNoiseSteps];
  };

  PENDULA_FN Environment load(const AgentView<float>& agent, int env, bool live) const {
    const Plan& p = context.plan;
    Environment e{};
    if (!live) return e;
    for (int d = 0; d < S; ++d) {
      e.state[d] = agent.at(p.env_state)[static_cast<int64_t>(d) * p.num_envs + env];
    }
    if (p.noise == NoiseType::kOu) {
      for (int d = 0; d < A; ++d) {
        e.ou[d] = agent.at(p.ou_noise)[static_cast<int64_t>(d) * p.num_envs + env];
      }
    }
    e.returns = agent.at(p.episode_return)[env];
    e.steps = static_cast<float>(static_cast<int32_t>(agent.episode_step()[env]));
    return e;
  }

  // draw_noise of kernels/noise.h.
  PENDULA_FN void draw(const Plan& p, const AgentHyper& h, bool warmup, int env, uint64_t t,
                       Draws& out) const {
    const NoiseCall call{h.seed, t / kNoiseSteps};
    const uint32_t index = static_cast<uint32_t>(env);
    const float rung = static_cast<float>(ladder_rung(p, h));
    const float ladder = fma(to_real<float>(index), rung, 1.0f);
    if (!warmup) call.uniformly(index, static_cast<float>(h.epsilon), out.uniformly);
    for (int d = 0; d < A; ++d) {
      if (warmup || h.epsilon > 0.0) call.actions(index, d, out.number[d]);
      if (!warmup || p.noise == NoiseType::kOu) call.normals(index, d, ladder, out.normal[d]);
    }
  }

  // number j of four, which registers cannot be indexed by.
  static PENDULA_FN float pick(const float (&x)[kNoiseSteps], int j) {
    return j < 2 ? (j == 0 ? x[0] : x[1]) : (j == 2 ? x[2] : x[3]);
  }

  // advance_ou and behaviour_action of kernels/noise.h; the result in the environment's units.
  PENDULA_FN void add_noise(const Plan& p, const AgentHyper& h, bool warmup, int j, float sigma,
                            const Draws& draws, Environment& e, float (&action)[A]) const {
    const bool ou = p.noise == NoiseType::kOu;
    for (int d = 0; d < A; ++d) {
      float noise = warmup ? 0.0f : pick(draws.normal[d], j);
      if (ou) {
        const float keep = static_cast<float>(1.0 - h.ou_theta * h.ou_dt);
        const float scale = sigma * static_cast<float>(std::sqrt(h.ou_dt));
        noise = e.ou[d] = fma(keep, e.ou[d], scale * pick(draws.normal[d], j));
      }
      const bool uniformly = warmup || (h.epsilon > 0.0 && pick(draws.uniformly, j) == 1.0f);
      const float a = uniformly ? pick(draws.number[d], j)
                                : behaviour_action(action[d], ou ? 1.0f : sigma, noise, 0.0f);
      action[d] = a * Env::action_bound(context.env, d);
    }
  }

  // For time step t: the environment's step, the record, the end of the episode.
  PENDULA_FN void step(const AgentView<float>& agent, int env, bool live, uint64_t t, uint64_t row,
                       const float (&action)[A], Environment& e) const {
    const Plan& p = context.plan;
    float next[S];
    const StepResult<float> r = Env::step(context.env, e.state, action, next);
    struct alignas(16) Record {
      float at[kRecord];
    } record{};
    for (int d = 0; d < S; ++d) record.at[d] = e.state[d];
    for (int d = 0; d < A; ++d) record.at[S + d] = action[d];
    record.at[S + A] = r.reward;
    if (live) {
      reinterpret_cast<Record*>(agent.at(
          p.ring))[row * static_cast<uint64_t>(p.num_envs) + static_cast<uint64_t>(env)] = record;
    }
    for (int d = 0; d < S; ++d) e.state[d] = next[d];
    e.returns += r.reward;
    e.steps += 1.0f;
    const bool done =
        live && (r.terminated > 0.0f || e.steps >= static_cast<float>(p.max_episode_steps));
    mark_ends(agent, env, live, row, done);
    if (done) {
      e.ended[0] += 1.0f;
      e.ended[1] += e.returns;
      e.ended[2] += e.steps;
      e.ended[3] += not_finite(e);
      e.returns = e.steps = 0.0f;
      for (int d = 0; d < A; ++d) e.ou[d] = 0.0f;
      reset_state<Env>(context.env, agent.hyper().seed, Purpose::kReset, static_cast<uint64_t>(env),
                       t + 1, e.state);
    }
  }

  // The bits of the ring that say where episodes end: of a warp's environments, one word.
  PENDULA_FN void mark_ends(const AgentView<float>& agent, int env, bool live, uint64_t row,
                            [[maybe_unused]] bool done) const {
    uint32_t bits = 0;
#if PENDULA_DEVICE
    bits = __ballot_sync(0xffffffffu, done);
#endif
    const uint64_t words = static_cast<uint64_t>((context.plan.num_envs + 31) / 32);
    if (live && env % 32 == 0)
      agent.ring_end()[row * words + static_cast<uint64_t>(env / 32)] = bits;
  }

  // 1 where the state or the episode's return is NaN or Inf.
  static PENDULA_FN float not_finite(const Environment& e) {
    float zero = e.returns * 0.0f;
    for (int d = 0; d < S; ++d) zero = fma(e.state[d], 0.0f, zero);
    return zero == 0.0f ? 0.0f : 1.0f;
  }

  // Back to the agent's state; sums over kRows environments, in the order of kernels/rollout.h, to
  // the rows of `sums`.
  PENDULA_FN void save(const AgentView<float>& agent, int env, bool live, int part, Environment& e,
                       float* sums) const {
    const Plan& p = context.plan;
    if (live) {
      for (int d = 0; d < S; ++d) {
        agent.at(p.env_state)[static_cast<int64_t>(d) * p.num_envs + env] = e.state[d];
      }
      if (p.noise == NoiseType::kOu) {
        for (int d = 0; d < A; ++d) {
          agent.at(p.ou_noise)[static_cast<int64_t>(d) * p.num_envs + env] = e.ou[d];
        }
      }
      agent.at(p.episode_return)[env] = e.returns;
      agent.episode_step()[env] = static_cast<uint32_t>(static_cast<int32_t>(e.steps));
      e.ended[3] += not_finite(e);
    }
    block_sync();                                              // the actor's memory is free
    float* ended = reinterpret_cast<float*>(shared_memory());  // (4, kRows)
    for (int d = 0; d < 4 && thread_index() < Actor::kRows; ++d) {
      ended[d * Actor::kRows + thread_index()] = e.ended[d];
    }
    block_sync();
    constexpr int kTiles = Actor::kRows / kRows;
    const int warp = thread_index() / 32, lane = thread_index() % 32;
    for (int i = warp; i < 4 * kTiles; i += kWarps) {
      const int tile = i / 4, d = i % 4, whole = part * kTiles + tile;
      const float* from = ended + d * Actor::kRows + tile * kRows;
      float sum = from[lane] + from[lane + 32];
      for (int lanes = 16; lanes > 0; lanes /= 2) sum = add_over(sum, lanes);
      if (lane == 0 && whole < p.env_tiles) sums[whole * 4 + d] = sum;
    }
  }
};

}  // namespace PENDULA_PROGRAMS
