// One update of an agent by one block, with its networks in shared memory (kernels/tile_network.h):
// what critic_update.h, actor_update.h and adam.h compute, with tf32 products and sums in another
// order. A warp takes 16 rows of a pass through sample, target, forward and backward without a
// barrier; the warps meet for the products that sum over rows.
#pragma once

#include "kernels/adam.h"
#include "kernels/replay_ring.h"
#include "kernels/tile_gradient.h"

namespace PENDULA_PROGRAMS {

// A network of an agent in shared memory, each part TileLayout::kCount floats. m, v: null where the
// moments stay in the arena.
struct TileParts {
  float *params, *target, *m, *v;
};

template <class Env, int rows>
class TileUpdate {
 public:
  static constexpr int S = Env::kStateDim, O = Env::kObsDim, A = Env::kActionDim;
  static constexpr int kRecord = record_size(S, A);
  static constexpr int kOnes = kTileInputs - 1;
  static_assert(O + A <= kOnes, "the inputs of the critic do not fit into a tile");
  using Ref = const Context<Env, float>&;
  using ActorLayout = TileLayout<A>;
  using CriticLayout = TileLayout<1>;

  PENDULA_FN TileUpdate(Ref context, const TileArrays& arrays, const TileParts& actor,
                        const TileParts& critic)
      : context_(context), arrays_(arrays), actor_(actor), critic_(critic) {}

  // Update `number` of the agent, number `slot` of its slice. next_due: the next one is made in the
  // same iteration. Begins and ends behind a barrier.
  PENDULA_FN void run(const AgentView<float>& agent, uint64_t number, int slot, bool next_due) {
    const Plan& p = context_.plan;
    batch_ = static_cast<int>(agent.hyper().batch_size);
    inverse_ = 1.0f / static_cast<float>(batch_);
    update_critic(agent, number, slot, next_due);
    update_actor(agent, number, slot);
  }

 private:
  static constexpr uint64_t kNothing = ~uint64_t{0};

  // Lanes 0 to 15 have a row each.
  struct Row {
    float reward, continues;
  };

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

  // Rows first .. of the pass that starts at `pass`: x, and with next the next observation in the
  // warp's columns of d.
  PENDULA_FN Row sample(const Lane& l, const AgentView<float>& agent, uint64_t number, int pass,
                        bool next_due, bool next) {
    Row row{0.0f, 0.0f};
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
      float* x = arrays_.x;
      for (int d = 0; d < O; ++d) x[tile_at<rows>(d, r)] = obs[d];
      for (int d = 0; d < A; ++d) {
        x[tile_at<rows>(O + d, r)] = action[d] * (1.0f / Env::action_bound(context_.env, d));
      }
      for (int d = O + A; d < kTileInputs; ++d) x[tile_at<rows>(d, r)] = d == kOnes ? 1.0f : 0.0f;
      if (next) {
        Env::observe(context_.env, after, obs);
        for (int d = 0; d < kTileInputs; ++d) {
          arrays_.d[tile_at<rows>(d, r)] = d < O ? obs[d] : 0.0f;
        }
      }
      row = {reward, 1.0f - result.terminated};
      // The next batch: its loads are under way while this one is worked on.
      if (next && next_due && batch_ <= rows) {
        fetch(agent, number + 1, r);
        fetched_ = number + 1;
      }
    }
    sync_warp();
    return row;
  }

  // Of the lane that has row g (which = 0) or g + 8 (1).
  static PENDULA_FN float of_row([[maybe_unused]] const Lane& l, float x,
                                 [[maybe_unused]] int which) {
#if PENDULA_DEVICE
    return __shfl_sync(0xffffffffu, x, l.g + 8 * which);
#else
    return x;
#endif
  }

  // tanh of the actor's outputs, into the inputs O .. of x.
  PENDULA_FN void act(const Lane& l, const TileNetwork<A>& actor, const Units& h2, int first,
                      float* x, float (&mu)[A][2]) const {
    sync_warp();  // the inputs have been read
    for (int a = 0; a < A; ++a) {
      float v[2];
      actor.output(l, h2, a, v);
      for (int w = 0; w < 2; ++w) {
        mu[a][w] = tanh(v[w]);
        if (l.q == 0) x[tile_at<rows>(O + a, first + l.g + 8 * w)] = mu[a][w];
      }
    }
    sync_warp();
  }

  // kernels/td_target.h, for rows g and g + 8.
  PENDULA_FN void td_target(const Lane& l, const AgentView<float>& agent, const Row& row, int first,
                            float (&y)[2]) const {
    const Plan& p = context_.plan;
    const TileNetwork<A> actor{actor_.target, p.actor.activation};
    const TileNetwork<1> critic{critic_.target, p.critic.activation};
    const float gamma = static_cast<float>(agent.hyper().gamma);
    const float scale = static_cast<float>(p.reward_scale);
    Units h1, h2;
    float mu[A][2], q[2];
    actor.template first_layer<rows>(l, arrays_.d, first, h1);
    actor.second_layer(l, h1, h2);
    act(l, actor, h2, first, arrays_.d, mu);
    critic.template first_layer<rows>(l, arrays_.d, first, h1);
    critic.second_layer(l, h1, h2);
    critic.output(l, h2, 0, q);
    for (int w = 0; w < 2; ++w) {
      const float bootstrap = gamma * of_row(l, row.continues, w) * q[w];
      y[w] = scale * of_row(l, row.reward, w) + bootstrap;
    }
    sync_warp();  // the warp's columns of d are written again
  }

  // Two functions of their own: together they would need more registers than there are.
  PENDULA_SHARED_FN void update_critic(const AgentView<float>& agent, uint64_t number, int slot,
                                       bool next_due) {
    const Plan& p = context_.plan;
    const Lane l = lane_place(thread_index());
    float* losses = agent.work_at(p.losses) + slot * p.partials * 3;
    const TileNetwork<1> critic{critic_.params, p.critic.activation};
    TileGradient<1> gradient;
    gradient.clear();
    float loss_sum = 0.0f, q_sum = 0.0f;
    const int first = l.warp * kWarpRows;
    for (int pass = 0; pass < batch_; pass += rows) {
      Units d1;
      if (first < rows) {
        const Row row = sample(l, agent, number, pass, next_due, true);
        float y[2], q[2], delta[1][2];
        td_target(l, agent, row, first, y);
        Units h1, h2;
        critic.template first_layer<rows>(l, arrays_.x, first, h1);
        put_units<rows>(l, h1, arrays_.h);
        critic.second_layer(l, h1, h2);
        critic.output(l, h2, 0, q);
        for (int w = 0; w < 2; ++w) {
          const bool live = pass + first + l.g + 8 * w < batch_;
          const float d = q[w] - y[w];
          const bool linear = p.loss == Loss::kHuber && !(abs(d) <= 1.0f);
          const float square = p.loss == Loss::kHuber ? 0.5f * d * d : d * d;
          const float slope = p.loss == Loss::kHuber ? d : d + d;
          const float sign = select(d < 0.0f, -1.0f, select(d > 0.0f, 1.0f, d));
          delta[0][w] = live ? inverse_ * (linear ? sign : slope) : 0.0f;
          if (live && l.q == 0) {
            loss_sum += linear ? abs(d) - 0.5f : square;
            q_sum += q[w];
          }
        }
        gradient.add_head(l, delta, h2, pass == 0, arrays_.heads);
        critic.last_delta(l, delta, h2);
        put_units<rows>(l, h2, arrays_.d);
        critic.first_delta(l, h2, d1);
        times_slope<rows>(l, critic.act, arrays_.h, d1);
      }
      add_layers(l, d1, gradient);
    }
    gradient.template finish<rows>(l, arrays_);
    put_loss(l, loss_sum, 0);
    put_loss(l, q_sum, 1);
    block_sync();
    if (thread_index() < 2) losses[thread_index()] = loss_of_warps(thread_index());
    adam<1>(agent, number, slot, false);
  }

  PENDULA_SHARED_FN void update_actor(const AgentView<float>& agent, uint64_t number, int slot) {
    const Plan& p = context_.plan;
    const Lane l = lane_place(thread_index());
    float* losses = agent.work_at(p.losses) + slot * p.partials * 3;
    const TileNetwork<A> actor{actor_.params, p.actor.activation};
    const TileNetwork<1> critic{critic_.params, p.critic.activation};
    TileGradient<A> gradient;
    gradient.clear();
    float loss_sum = 0.0f;
    const int first = l.warp * kWarpRows;
    for (int pass = 0; pass < batch_; pass += rows) {
      Units d1;
      if (first < rows) {
        // One pass: the observations of the critic's update are still there.
        if (batch_ > rows) sample(l, agent, number, pass, false, false);
        Units h1, h2;
        float mu[A][2], q[2], delta[1][2];
        actor.template first_layer<rows>(l, arrays_.x, first, h1);
        put_units<rows>(l, h1, arrays_.h);
        actor.second_layer(l, h1, h2);
        put_units<rows>(l, h2, arrays_.d);
        act(l, actor, h2, first, arrays_.x, mu);

        critic.template first_layer<rows>(l, arrays_.x, first, h1);
        critic.second_layer(l, h1, h2);
        critic.output(l, h2, 0, q);
        for (int w = 0; w < 2; ++w) {
          const bool live = pass + first + l.g + 8 * w < batch_;
          delta[0][w] = live ? -inverse_ : 0.0f;
          if (live && l.q == 0) loss_sum += -q[w];
        }
        critic.last_delta(l, delta, h2);
        critic.first_delta(l, h2, d1);
        // Anew rather than kept: 8 products against 32 registers.
        critic.template first_layer<rows>(l, arrays_.x, first, h1);
        times_slope(critic.act, h1, d1);
        float da[A][2];
        action_delta(l, d1, mu, da);

        get_units<rows>(l, arrays_.d, h2);
        gradient.add_head(l, da, h2, pass == 0, arrays_.heads);
        actor.last_delta(l, da, h2);
        put_units<rows>(l, h2, arrays_.d);
        actor.first_delta(l, h2, d1);
        times_slope<rows>(l, actor.act, arrays_.h, d1);
        // The action is no input of the actor.
        sync_warp();
        for (int a = 0; a < A; ++a) {
          if (l.q == 0) {
            arrays_.x[tile_at<rows>(O + a, first + l.g)] = 0.0f;
            arrays_.x[tile_at<rows>(O + a, first + l.g + 8)] = 0.0f;
          }
        }
      }
      add_layers(l, d1, gradient);
    }
    gradient.template finish<rows>(l, arrays_);
    put_loss(l, loss_sum, 0);
    block_sync();
    if (thread_index() == 0) losses[2] = loss_of_warps(0);
    adam<A>(agent, number, slot, true);
  }

  // dL/da through the tanh of the actor's head, from the critic's d1.
  PENDULA_FN void action_delta(const Lane& l, const Units& d1, const float (&mu)[A][2],
                               float (&da)[A][2]) const {
    const float* w1 = critic_.params + CriticLayout::kW1;
    for (int a = 0; a < A; ++a) {
      float v[2] = {0.0f, 0.0f};
      PENDULA_UNROLL
      for (int t = 0; t < kUnitTiles; ++t) {
        PENDULA_UNROLL
        for (int i = 0; i < 4; ++i) {
          v[i >> 1] = fma(d1.c[t][i], w1[unit_of(l, t, i) * kTileInputs + O + a], v[i >> 1]);
        }
      }
      for (int w = 0; w < 2; ++w) {
        da[a][w] = sum_over_columns(v[w]) * (1.0f - mu[a][w] * mu[a][w]);
      }
    }
  }

  // The products over the rows of a pass: layer 2 from d and h, then layer 1 from d1 and x. Ends
  // with a barrier.
  template <class Gradient>
  PENDULA_FN void add_layers(const Lane& l, const Units& d1, Gradient& gradient) const {
    block_sync();
    gradient.template add_second<rows>(l, arrays_.d, arrays_.h);
    block_sync();
    if (l.warp * kWarpRows < rows) put_units<rows>(l, d1, arrays_.d);
    block_sync();
    gradient.template add_first<rows>(l, arrays_.d, arrays_.x);
    block_sync();
  }

  PENDULA_FN void put_loss(const Lane& l, float sum, int which) const {
    const float of_warp = sum_over_rows(sum_over_columns(sum));
    if (l.g == 0 && l.q == 0) arrays_.scalars[8 * which + l.warp] = of_warp;
  }
  PENDULA_FN float loss_of_warps(int which) const {
    float sum = 0.0f;
    for (int w = 0; w < kWarps; ++w) sum += arrays_.scalars[8 * which + w];
    return sum;
  }

  // kernels/adam.h, from the gradient in arrays.h. Ends with a barrier.
  template <int outputs>
  PENDULA_FN void adam(const AgentView<float>& agent, uint64_t number, int slot,
                       bool is_actor) const {
    using Layout = TileLayout<outputs>;
    const Plan& p = context_.plan;
    const NetworkLayout& net = is_actor ? p.actor : p.critic;
    const TileParts& parts = is_actor ? actor_ : critic_;
    const OptimizerView<float> o = optimizer_view(agent, is_actor, slot);
    const float* grad = arrays_.h;
    const uint64_t t = number + 1;
    const float b1 = static_cast<float>(p.beta1), b2 = static_cast<float>(p.beta2);
    const float c1 = static_cast<float>(1.0 - p.beta1), c2 = static_cast<float>(1.0 - p.beta2);
    const float step = static_cast<float>(o.lr / (1.0 - power(p.beta1, t)));
    const float scale_v = static_cast<float>(1.0 / std::sqrt(1.0 - power(p.beta2, t)));
    const float eps = static_cast<float>(p.eps), decay = static_cast<float>(p.weight_decay);
    const float tau = static_cast<float>(agent.hyper().tau);
    const bool update_target = t % static_cast<uint64_t>(p.target_update_interval) == 0;
    const bool copy = tau == 1.0f;

    float square = 0.0f;
    for (int i = thread_index(); i < Layout::kCount; i += kThreads) {
      square = fma(grad[i], grad[i], square);
    }
    put_loss(lane_place(thread_index()), square, 2);
    block_sync();
    const float norm2 = loss_of_warps(2);
    if (thread_index() == 0) o.sumsq[0] = norm2;
    float scale = 1.0f;
    if (p.max_grad_norm > 0.0) {
      scale = min(static_cast<float>(p.max_grad_norm) / (sqrt(norm2) + 1e-6f), 1.0f);
    }
    for (int i = thread_index(); i < Layout::kCount; i += kThreads) {
      const int at = Layout::in_arena(net, i);
      if (at < 0) continue;
      float* m_at = parts.m != nullptr ? parts.m + i : o.m + at;
      float* v_at = parts.v != nullptr ? parts.v + i : o.v + at;
      const float w = parts.params[i];
      const float g = fma(decay, w, grad[i] * scale);
      const float m = fma(b1, *m_at, c1 * g);
      const float v = fma(b2, *v_at, c2 * g * g);
      const float next = w - step * m / fma(sqrt(v), scale_v, eps);
      *m_at = m;
      *v_at = v;
      parts.params[i] = next;
      if (update_target) {
        const float target = parts.target[i];
        parts.target[i] = copy ? next : fma(tau, next - target, target);
      }
    }
    block_sync();
  }

  Ref context_;
  const TileArrays arrays_;
  const TileParts actor_, critic_;
  float record_[S + A + 1] = {};
  uint64_t fetched_ = kNothing;  // the update whose record it is
  int batch_ = 0;
  float inverse_ = 0.0f;
};

}  // namespace PENDULA_PROGRAMS
