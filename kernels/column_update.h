// One update of an agent by a cluster of blocks, each with its columns of the networks in shared
// memory (kernels/column_network.h): what critic_update.h, actor_update.h and adam.h compute, with
// tf32 products and sums in another order. Every block takes the whole batch through its columns, a
// warp 16 rows of a pass; the blocks meet where a sum goes over all columns:
//
//   critic   the target actor's action; both values, of the target and of the batch
//   actor    its action; dQ/da
//   each     the gradient of the first layer, summed by the block that owns the units; the first
//            layer, updated (and between them, for clipping, the norm)
//
// Sums over blocks are taken in a fixed order of the ranks: of a head by each block for itself, of
// the first layer by the owner.
#pragma once

#include "kernels/adam.h"
#include "kernels/cluster.h"
#include "kernels/column_network.h"
#include "kernels/tile_batch.h"

namespace PENDULA_PROGRAMS {

// A network of an agent, this block's part. m, v: as ColumnLayout::own_place, or null where the
// moments stay in the arena.
struct ColumnParts {
  float *params, *target, *m, *v;
};

template <class Env>
class ColumnUpdate {
 public:
  static constexpr int O = Env::kObsDim, A = Env::kActionDim, rows = kColumnRows;
  using Ref = const Context<Env, float>&;

  // scratch: ColumnBytes::scratch() floats.
  PENDULA_FN ColumnUpdate(Ref context, const ColumnBytes& bytes, int rank, float* scratch,
                          const ColumnParts& actor, const ColumnParts& critic)
      : context_(context),
        bytes_(bytes),
        rank_(rank),
        scratch_(scratch),
        actor_(actor),
        critic_(critic),
        sampler_(context) {}

  // Update `number` of the agent, number `slot` of its slice. next_due: the next one is made in the
  // same iteration. Begins and ends behind a barrier of the cluster.
  PENDULA_FN void run(const AgentView<float>& agent, uint64_t number, int slot, bool next_due) {
    batch_ = static_cast<int>(agent.hyper().batch_size);
    inverse_ = 1.0f / static_cast<float>(batch_);
    update_critic(agent, number, slot, next_due);
    update_actor(agent, number, slot);
  }

 private:
  // Two functions of their own: together they would need more registers than there are.
  PENDULA_SHARED_FN void update_critic(const AgentView<float>& agent, uint64_t number, int slot,
                                       bool next_due) {
    const Plan& p = context_.plan;
    const Lane l = lane_place(thread_index());
    const int first = l.warp * kWarpRows;
    const ColumnNetwork<A> target_actor = actor_network(actor_.target);
    const ColumnNetwork<1> target = critic_network(critic_.target);
    const ColumnNetwork<1> critic = critic_network(critic_.params);
    float loss_sum = 0.0f, q_sum = 0.0f;
    for (int pass = 0; pass < batch_; pass += rows) {
      const bool prefetch = next_due && batch_ <= rows;
      const BatchRow row = sampler_.take(l, agent, number, pass, prefetch, x(), next());
      Columns h2;
      float v[2], q[2], y[2], delta[1][2];
      target_actor.second_layer(l, load_inputs<rows>(l, next(), first), h2);
      act(l, target_actor, h2, first, next());
      target.second_layer(l, load_inputs<rows>(l, next(), first), h2);
      target.output(l, h2, 0, v);
      give(l, 0, first, v);
      const Inputs inputs = load_inputs<rows>(l, x(), first);
      critic.second_layer(l, inputs, h2);
      critic.output(l, h2, 0, v);
      give(l, 1, first, v);
      meet();
      take(l, 0, first, target.p[target.at.b3()], v);
      td_targets(l, agent, row, v, y);
      take(l, 1, first, critic.p[critic.at.b3()], q);
      for (int w = 0; w < 2; ++w) {
        const bool live = pass + first + l.g + 8 * w < batch_;
        const LossTerm term = loss_term(p.loss, q[w] - y[w]);
        delta[0][w] = live ? inverse_ * term.slope : 0.0f;
        if (live && l.q == 0) {
          loss_sum += term.value;
          q_sum += q[w];
        }
      }
      Columns d2 = h2;
      critic.last_delta(l, delta, d2);
      add_pass(l, critic, inputs, delta, h2, d2, pass == 0);
    }
    sums(0).put(l, loss_sum);
    sums(1).put(l, q_sum);
    block_sync();
    if (rank_ == 0 && thread_index() < 2) {
      losses(agent, slot)[thread_index()] = sums(thread_index()).get();
    }
    update_network<1>(agent, number, slot, false);
  }

  PENDULA_SHARED_FN void update_actor(const AgentView<float>& agent, uint64_t number, int slot) {
    const Lane l = lane_place(thread_index());
    const int first = l.warp * kWarpRows;
    const ColumnNetwork<A> actor = actor_network(actor_.params);
    const ColumnNetwork<1> critic = critic_network(critic_.params);
    float loss_sum = 0.0f;
    for (int pass = 0; pass < batch_; pass += rows) {
      // One pass: the observations of the critic's update are still there.
      if (batch_ > rows) sampler_.take(l, agent, number, pass, false, x(), nullptr);
      Columns h2, d2;
      actor.second_layer(l, load_inputs<rows>(l, x(), first), h2);
      float mu[A][2], da[A][2], q[2], delta[1][2];
      act(l, actor, h2, first, x(), &mu);

      const Inputs with_action = load_inputs<rows>(l, x(), first);
      critic.second_layer(l, with_action, d2);
      critic.output(l, d2, 0, q);
      give(l, A, first, q);
      for (int w = 0; w < 2; ++w) {
        delta[0][w] = pass + first + l.g + 8 * w < batch_ ? -inverse_ : 0.0f;
      }
      critic.last_delta(l, delta, d2);
      action_delta(l, critic, with_action, d2, da);
      for (int a = 0; a < A; ++a) give(l, a, first, da[a]);
      meet();
      for (int a = 0; a < A; ++a) {
        take(l, a, first, 0.0f, da[a]);
        for (int w = 0; w < 2; ++w) da[a][w] = da[a][w] * (1.0f - mu[a][w] * mu[a][w]);
      }
      take(l, A, first, critic.p[critic.at.b3()], q);
      for (int w = 0; w < 2; ++w) {
        if (l.q == 0 && pass + first + l.g + 8 * w < batch_) loss_sum += -q[w];
      }

      // The action is no input of the actor.
      for (int a = 0; a < A; ++a) {
        if (l.q == 0) {
          for (int w = 0; w < 2; ++w) x()[tile_at<rows>(O + a, first + l.g + 8 * w)] = 0.0f;
        }
      }
      sync_warp();
      d2 = h2;
      actor.last_delta(l, da, d2);
      add_pass(l, actor, load_inputs<rows>(l, x(), first), da, h2, d2, pass == 0);
    }
    sums(0).put(l, loss_sum);
    block_sync();
    if (rank_ == 0 && thread_index() == 0) losses(agent, slot)[2] = sums(0).get();
    update_network<A>(agent, number, slot, true);
  }

  // tanh of the actor's outputs, into the inputs O .. of to and, where it is not null, into mu.
  PENDULA_FN void act(const Lane& l, const ColumnNetwork<A>& actor, const Columns& h2, int first,
                      float* to, float (*mu)[A][2] = nullptr) {
    float v[2];
    for (int a = 0; a < A; ++a) {
      actor.output(l, h2, a, v);
      give(l, a, first, v);
    }
    meet();
    for (int a = 0; a < A; ++a) {
      take(l, a, first, actor.p[actor.at.b3() + a], v);
      for (int w = 0; w < 2; ++w) {
        const float action = tanh(v[w]);
        if (mu != nullptr) (*mu)[a][w] = action;
        if (l.q == 0) to[tile_at<rows>(O + a, first + l.g + 8 * w)] = action;
      }
    }
    sync_warp();
  }

  // The columns' share of dL/da.
  PENDULA_FN void action_delta(const Lane& l, const ColumnNetwork<1>& critic, const Inputs& inputs,
                               const Columns& d2, float (&da)[A][2]) const {
    for (int a = 0; a < A; ++a) da[a][0] = da[a][1] = 0.0f;
    PENDULA_UNROLL_BY(1)
    for (int chunk = 0; chunk < critic.chunks(); ++chunk) {
      Units h1, d1;
      critic.first_layer(l, inputs, chunk, h1);
      critic.first_delta(l, d2, chunk, d1);
      times_slope(critic.act, h1, d1);
      const float* w1 = critic.p + chunk * kTileWidth * kTileInputs;
      for (int a = 0; a < A; ++a) {
        PENDULA_UNROLL
        for (int t = 0; t < kUnitTiles; ++t) {
          PENDULA_UNROLL
          for (int i = 0; i < 4; ++i) {
            da[a][i >> 1] =
                fma(d1.c[t][i], w1[unit_of(l, t, i) * kTileInputs + O + a], da[a][i >> 1]);
          }
        }
      }
    }
    for (int a = 0; a < A; ++a) {
      for (int w = 0; w < 2; ++w) da[a][w] = sum_over_columns(da[a][w]);
    }
  }

  // Adds a pass to the gradient. inputs: of the network, as in x.
  template <int outputs>
  PENDULA_FN void add_pass(const Lane& l, const ColumnNetwork<outputs>& net, const Inputs& inputs,
                           const float (&delta)[outputs][2], const Columns& h2, const Columns& d2,
                           bool first_pass) const {
    const ColumnGradient<outputs, rows> gradient = gradient_of<outputs>();
    gradient.add_heads(l, delta, h2, d2, first_pass);
    put_units<rows>(l, d2, at(bytes_.d2()));
    PENDULA_UNROLL_BY(1)
    for (int chunk = 0; chunk < net.chunks(); ++chunk) {
      Units h1, d1;
      net.first_layer(l, inputs, chunk, h1);
      net.first_delta(l, d2, chunk, d1);
      times_slope(net.act, h1, d1);
      put_units<rows>(l, h1, at(bytes_.h()));
      put_units<rows>(l, d1, at(bytes_.d()));
      block_sync();
      gradient.add_second(l, at(bytes_.d2()), at(bytes_.h()), chunk, first_pass);
      gradient.add_first(l, at(bytes_.d()), x(), chunk, first_pass);
      block_sync();
    }
  }

  // kernels/adam.h, from the gradient of all passes. Ends with a barrier of the cluster; behind it
  // block 0 still reads the others' squares(), until the next barrier.
  template <int outputs>
  PENDULA_FN void update_network(const AgentView<float>& agent, uint64_t number, int slot,
                                 bool is_actor) {
    const Plan& p = context_.plan;
    const NetworkLayout& net = is_actor ? p.actor : p.critic;
    const ColumnParts& parts = is_actor ? actor_ : critic_;
    const ColumnGradient<outputs, rows> gradient = gradient_of<outputs>();
    const ColumnLayout& layout = gradient.at;
    const OptimizerView<float> o = optimizer_view(agent, is_actor, slot);
    const TileAdam adam(agent, o.lr, number);
    const Lane l = lane_place(thread_index());
    const int own = rank_ == 0 ? layout.own() : layout.own() - outputs;

    gradient.add_warps();
    meet();
    for (int j = thread_index(); j < kColumns * kTileInputs; j += kThreads) {
      float sum = 0.0f;
      for (int r = 0; r < bytes_.blocks(); ++r) {
        sum += in_rank(gradient.first, r)[rank_ * kColumns * kTileInputs + j];
      }
      const bool bias = j % kTileInputs == kTileInputs - 1;
      gradient.own[j] = bias ? 0.0f : sum;
      if (bias) gradient.own[kColumns * kTileInputs + j / kTileInputs] = sum;
    }
    block_sync();
    float square = 0.0f;
    for (int j = thread_index(); j < own; j += kThreads) {
      square = fma(gradient.own[j], gradient.own[j], square);
    }
    sums(2).put(l, square);
    block_sync();
    if (thread_index() == 0) *squares() = sums(2).get();
    const bool clip = p.max_grad_norm > 0.0;
    if (clip) cluster_sync(bytes_.blocks());
    const float scale = clip ? clip_scale(p, norm2()) : 1.0f;
    for (int j = thread_index(); j < own; j += kThreads) {
      const int i = layout.own_place(rank_, j);
      const int there = layout.in_arena(net, rank_, i);
      if (there < 0) continue;
      adam.step(gradient.own[j] * scale, parts.params[i],
                parts.m != nullptr ? parts.m[j] : o.m[there],
                parts.v != nullptr ? parts.v[j] : o.v[there], parts.target[i]);
      if (!layout.shared(i)) continue;
      const float param = parts.params[i], target = parts.target[i];
      for (int r = 0; r < bytes_.blocks(); ++r) {
        if (r == rank_) continue;
        in_rank(parts.params, r)[i] = param;
        in_rank(parts.target, r)[i] = target;
      }
    }
    cluster_sync(bytes_.blocks());
    if (rank_ == 0 && thread_index() == 0) o.sumsq[0] = norm2();
  }

  // Of all blocks' gradients.
  PENDULA_FN float norm2() const {
    float sum = 0.0f;
    for (int r = 0; r < bytes_.blocks(); ++r) sum += *in_rank(squares(), r);
    return sum;
  }

  // What a block knows of rows g and g + 8 and the others need: give, meet, take. Two buffers take
  // turns, so that nothing is overwritten that somebody still reads.
  PENDULA_FN void give(const Lane& l, int which, int first, const float (&v)[2]) const {
    if (l.q != 0) return;
    for (int w = 0; w < 2; ++w) exchange(side_)[which * rows + first + l.g + 8 * w] = v[w];
  }
  PENDULA_FN void meet() {
    cluster_sync(bytes_.blocks());
    side_ ^= 1;
  }
  PENDULA_FN void take(const Lane& l, int which, int first, float bias, float (&v)[2]) const {
    v[0] = v[1] = 0.0f;
    for (int r = l.q; r < bytes_.blocks(); r += 4) {
      const float* from = in_rank(exchange(side_ ^ 1), r) + which * rows + first + l.g;
      v[0] += from[0];
      v[1] += from[8];
    }
    v[0] = sum_over_columns(v[0]) + bias;
    v[1] = sum_over_columns(v[1]) + bias;
  }

  PENDULA_FN ColumnNetwork<A> actor_network(const float* p) const {
    return {p, bytes_.actor(), context_.plan.actor.activation};
  }
  PENDULA_FN ColumnNetwork<1> critic_network(const float* p) const {
    return {p, bytes_.critic(), context_.plan.critic.activation};
  }
  template <int outputs>
  PENDULA_FN ColumnGradient<outputs, rows> gradient_of() const {
    return {{bytes_.width, outputs}, at(bytes_.gradient()), at(bytes_.first()), at(bytes_.heads())};
  }
  PENDULA_FN float* at(int place) const { return scratch_ + place; }
  PENDULA_FN float* x() const { return at(bytes_.x()); }
  PENDULA_FN float* next() const { return at(bytes_.next()); }
  PENDULA_FN float* exchange(int side) const {
    return at(bytes_.exchange()) + side * bytes_.exchange_size();
  }
  PENDULA_FN WarpSums sums(int which) const { return {at(bytes_.scalars()) + kWarps * which}; }
  PENDULA_FN float* squares() const { return at(bytes_.scalars()) + 3 * kWarps; }
  PENDULA_FN float* losses(const AgentView<float>& agent, int slot) const {
    return agent.work_at(context_.plan.losses) + slot * context_.plan.partials * 3;
  }

  Ref context_;
  const ColumnBytes bytes_;
  const int rank_;
  float* const scratch_;
  const ColumnParts actor_, critic_;
  BatchSampler<Env, rows> sampler_;
  int side_ = 0;  // of the exchange that is written next
  int batch_ = 0;
  float inverse_ = 0.0f;
};

}  // namespace PENDULA_PROGRAMS
