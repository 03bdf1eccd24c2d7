// One update of an agent by one block, with its networks in shared memory (kernels/tile_network.h):
// what critic_update.h, actor_update.h and adam.h compute, with tf32 products and sums in another
// order. A warp takes 16 rows of a pass through sample, target, forward and backward without a
// barrier; the warps meet for the products that sum over rows.
#pragma once

#include "kernels/adam.h"
#include "kernels/tile_batch.h"
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
  static constexpr int O = Env::kObsDim, A = Env::kActionDim;
  using Ref = const Context<Env, float>&;
  using ActorLayout = TileLayout<A>;
  using CriticLayout = TileLayout<1>;

  PENDULA_FN TileUpdate(Ref context, const TileArrays& arrays, const TileParts& actor,
                        const TileParts& critic)
      : context_(context), arrays_(arrays), actor_(actor), critic_(critic), sampler_(context) {}

  // Update `number` of the agent, number `slot` of its slice. next_due: the next one is made in the
  // same iteration. Begins and ends behind a barrier.
  PENDULA_FN void run(const AgentView<float>& agent, uint64_t number, int slot, bool next_due) {
    batch_ = static_cast<int>(agent.hyper().batch_size);
    inverse_ = 1.0f / static_cast<float>(batch_);
    update_critic(agent, number, slot, next_due);
    update_actor(agent, number, slot);
  }

 private:
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

  // For rows g and g + 8, from the next observation in the warp's columns of d.
  PENDULA_FN void td_target(const Lane& l, const AgentView<float>& agent, const BatchRow& row,
                            int first, float (&y)[2]) const {
    const Plan& p = context_.plan;
    const TileNetwork<A> actor{actor_.target, p.actor.activation};
    const TileNetwork<1> critic{critic_.target, p.critic.activation};
    Units h1, h2;
    float mu[A][2], q[2];
    actor.template first_layer<rows>(l, arrays_.d, first, h1);
    actor.second_layer(l, h1, h2);
    act(l, actor, h2, first, arrays_.d, mu);
    critic.template first_layer<rows>(l, arrays_.d, first, h1);
    critic.second_layer(l, h1, h2);
    critic.output(l, h2, 0, q);
    td_targets(l, agent, row, q, y);
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
        const bool prefetch = next_due && batch_ <= rows;
        const BatchRow row = sampler_.take(l, agent, number, pass, prefetch, arrays_.x, arrays_.d);
        float y[2], q[2], delta[1][2];
        td_target(l, agent, row, first, y);
        Units h1, h2;
        critic.template first_layer<rows>(l, arrays_.x, first, h1);
        put_units<rows>(l, h1, arrays_.h);
        critic.second_layer(l, h1, h2);
        critic.output(l, h2, 0, q);
        for (int w = 0; w < 2; ++w) {
          const bool live = pass + first + l.g + 8 * w < batch_;
          const LossTerm term = loss_term(p.loss, q[w] - y[w]);
          delta[0][w] = live ? inverse_ * term.slope : 0.0f;
          if (live && l.q == 0) {
            loss_sum += term.value;
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
    sums(0).put(l, loss_sum);
    sums(1).put(l, q_sum);
    block_sync();
    if (thread_index() < 2) losses[thread_index()] = sums(thread_index()).get();
    update_network<1>(agent, number, slot, false);
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
        if (batch_ > rows) sampler_.take(l, agent, number, pass, false, arrays_.x, nullptr);
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
    sums(0).put(l, loss_sum);
    block_sync();
    if (thread_index() == 0) losses[2] = sums(0).get();
    update_network<A>(agent, number, slot, true);
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

  PENDULA_FN WarpSums sums(int which) const { return {arrays_.scalars + kWarps * which}; }

  // kernels/adam.h, from the gradient in arrays.h. Ends with a barrier.
  template <int outputs>
  PENDULA_FN void update_network(const AgentView<float>& agent, uint64_t number, int slot,
                                 bool is_actor) const {
    using Layout = TileLayout<outputs>;
    const Plan& p = context_.plan;
    const NetworkLayout& net = is_actor ? p.actor : p.critic;
    const TileParts& parts = is_actor ? actor_ : critic_;
    const OptimizerView<float> o = optimizer_view(agent, is_actor, slot);
    const float* grad = arrays_.h;
    const TileAdam adam(agent, o.lr, number);

    float square = 0.0f;
    for (int i = thread_index(); i < Layout::kCount; i += kThreads) {
      square = fma(grad[i], grad[i], square);
    }
    sums(2).put(lane_place(thread_index()), square);
    block_sync();
    const float norm2 = sums(2).get();
    if (thread_index() == 0) o.sumsq[0] = norm2;
    const float scale = clip_scale(p, norm2);
    for (int i = thread_index(); i < Layout::kCount; i += kThreads) {
      const int at = Layout::in_arena(net, i);
      if (at < 0) continue;
      adam.step(grad[i] * scale, parts.params[i], parts.m != nullptr ? parts.m[i] : o.m[at],
                parts.v != nullptr ? parts.v[i] : o.v[at], parts.target[i]);
    }
    block_sync();
  }

  Ref context_;
  const TileArrays arrays_;
  const TileParts actor_, critic_;
  BatchSampler<Env, rows> sampler_;
  int batch_ = 0;
  float inverse_ = 0.0f;
};

}  // namespace PENDULA_PROGRAMS
