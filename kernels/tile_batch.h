// The batch of an update as a block's warps take it: lane n of a warp has row n of the warp's 16,
// and what the update needs of a record is put into arrays of (inputs, rows).
#pragma once

#include "kernels/program.h"
#include "kernels/replay_ring.h"
#include "kernels/tile_network.h"

namespace PENDULA_PROGRAMS {

// Whether the networks of an environment can be tiles: the critic's inputs and a 1.
template <class Env>
inline constexpr bool kHasTiles = Env::kObsDim + Env::kActionDim < kTileInputs;

// What lanes 0 to 15 keep of their row's record.
struct BatchRow {
  float reward, continues;
};

// x of the lane that has row g (which = 0) or g + 8 (1).
PENDULA_FN float of_row([[maybe_unused]] const Lane& l, float x, [[maybe_unused]] int which) {
#if PENDULA_DEVICE
  return __shfl_sync(0xffffffffu, x, l.g + 8 * which);
#else
  return x;
#endif
}

// rows: samples of a pass, 16 for each warp that takes part.
template <class Env, int rows>
class BatchSampler {
 public:
  static constexpr int S = Env::kStateDim, O = Env::kObsDim, A = Env::kActionDim;
  static constexpr int kRecord = record_size(S, A);
  static constexpr int kOnes = kTileInputs - 1;
  static_assert(O + A <= kOnes, "the inputs of the critic do not fit into a tile");
  using Ref = const Context<Env, float>&;

  PENDULA_FN explicit BatchSampler(Ref context) : context_(context) {}

  // The warp's rows of the pass that starts at sample `pass` of update `number`: x (observation,
  // action, 1) and, where it is not null, the next observation. prefetch: the batch of the next
  // update is wanted too, and fits into one pass: its loads are under way while this one is worked
  // on.
  PENDULA_FN BatchRow take(const Lane& l, const AgentView<float>& agent, uint64_t number, int pass,
                           bool prefetch, float* x, float* next) {
    BatchRow row{0.0f, 0.0f};
    const int lane = thread_index() % 32;
    if (lane < kWarpRows) {
      const int r = l.warp * kWarpRows + lane;
      if (pass != 0 || fetched_ != number) fetch(agent, number, pass + r);
      fetched_ = kNothing;
      float state[S], action[A], after[S], obs[O];
      for (int d = 0; d < S; ++d) state[d] = record_[d];
      for (int d = 0; d < A; ++d) action[d] = record_[S + d];
      const float reward = record_[S + A];
      const StepResult<float> result = Env::step(context_.env, state, action, after);
      Env::observe(context_.env, state, obs);
      for (int d = 0; d < O; ++d) x[tile_at<rows>(d, r)] = obs[d];
      for (int d = 0; d < A; ++d) {
        x[tile_at<rows>(O + d, r)] = action[d] * (1.0f / Env::action_bound(context_.env, d));
      }
      for (int d = O + A; d < kTileInputs; ++d) x[tile_at<rows>(d, r)] = d == kOnes ? 1.0f : 0.0f;
      if (next != nullptr) {
        Env::observe(context_.env, after, obs);
        for (int d = 0; d < kTileInputs; ++d) next[tile_at<rows>(d, r)] = d < O ? obs[d] : 0.0f;
      }
      row = {reward, 1.0f - result.terminated};
      if (prefetch) {
        fetch(agent, number + 1, r);
        fetched_ = number + 1;
      }
    }
    sync_warp();
    return row;
  }

 private:
  static constexpr uint64_t kNothing = ~uint64_t{0};

  // The record of sample i, with the words that sample_tile takes.
  PENDULA_FN void fetch(const AgentView<float>& agent, uint64_t number, int i) {
    const Plan& p = agent.plan;
    const AgentCounters& c = agent.counters();
    const uint64_t last = (c.iteration + 1) * static_cast<uint64_t>(p.rollout_length);
    const float* record =
        agent.at(p.ring) +
        sample_index(p, agent.hyper().seed, number, static_cast<uint64_t>(i), c.ring_first, last) *
            static_cast<uint64_t>(kRecord);
    PENDULA_UNROLL
    for (int d = 0; d < S + A + 1; ++d) record_[d] = record[d];
  }

  Ref context_;
  float record_[S + A + 1] = {};
  uint64_t fetched_ = kNothing;  // the update whose record it is
};

// kernels/td_target.h, for rows g and g + 8. q: the target critic's value of the next state.
PENDULA_FN void td_targets(const Lane& l, const AgentView<float>& agent, const BatchRow& row,
                           const float (&q)[2], float (&y)[2]) {
  const float gamma = static_cast<float>(agent.hyper().gamma);
  const float scale = static_cast<float>(agent.plan.reward_scale);
  for (int w = 0; w < 2; ++w) {
    const float bootstrap = gamma * of_row(l, row.continues, w) * q[w];
    y[w] = scale * of_row(l, row.reward, w) + bootstrap;
  }
}

// l(d) and its derivative, of kernels/critic_update.h.
struct LossTerm {
  float value, slope;
};
PENDULA_FN LossTerm loss_term(Loss loss, float d) {
  if (loss != Loss::kHuber) return {d * d, d + d};
  const float sign = select(d < 0.0f, -1.0f, select(d > 0.0f, 1.0f, d));
  const bool linear = !(abs(d) <= 1.0f);
  return {linear ? abs(d) - 0.5f : 0.5f * d * d, linear ? sign : d};
}

// A sum of each warp's, for the whole block: put, a barrier, then get.
struct WarpSums {
  float* scalars;  // (8 warps)

  PENDULA_FN void put(const Lane& l, float of_thread) const {
    const float of_warp = sum_over_rows(sum_over_columns(of_thread));
    if (l.g == 0 && l.q == 0) scalars[l.warp] = of_warp;
  }
  PENDULA_FN float get() const {
    float sum = 0.0f;
    for (int w = 0; w < kWarps; ++w) sum += scalars[w];
    return sum;
  }
};

// An update's share of kernels/adam.h that is the same for all parameters of a network.
class TileAdam {
 public:
  // number: of the update. lr: of the network.
  PENDULA_FN TileAdam(const AgentView<float>& agent, double lr, uint64_t number) {
    const Plan& p = agent.plan;
    const uint64_t t = number + 1;
    b1_ = static_cast<float>(p.beta1), b2_ = static_cast<float>(p.beta2);
    c1_ = static_cast<float>(1.0 - p.beta1), c2_ = static_cast<float>(1.0 - p.beta2);
    step_ = static_cast<float>(lr / (1.0 - power(p.beta1, t)));
    scale_v_ = static_cast<float>(1.0 / std::sqrt(1.0 - power(p.beta2, t)));
    eps_ = static_cast<float>(p.eps), decay_ = static_cast<float>(p.weight_decay);
    tau_ = static_cast<float>(agent.hyper().tau);
    update_target_ = t % static_cast<uint64_t>(p.target_update_interval) == 0;
  }

  // gradient: summed, and scaled for clipping.
  PENDULA_FN void step(float gradient, float& param, float& m_at, float& v_at,
                       float& target_at) const {
    const float w = param;
    const float g = fma(decay_, w, gradient);
    const float m = fma(b1_, m_at, c1_ * g);
    const float v = fma(b2_, v_at, c2_ * g * g);
    const float next = w - step_ * m / fma(sqrt(v), scale_v_, eps_);
    m_at = m;
    v_at = v;
    param = next;
    if (update_target_) {
      const float target = target_at;
      target_at = tau_ == 1.0f ? next : fma(tau_, next - target, target);
    }
  }

 private:
  float b1_, b2_, c1_, c2_, step_, scale_v_, eps_, decay_, tau_;
  bool update_target_;
};

// What clipping makes of a gradient whose squares add up to norm2.
PENDULA_FN float clip_scale(const Plan& p, float norm2) {
  if (!(p.max_grad_norm > 0.0)) return 1.0f;
  return min(static_cast<float>(p.max_grad_norm) / (sqrt(norm2) + 1e-6f), 1.0f);
}

}  // namespace PENDULA_PROGRAMS
