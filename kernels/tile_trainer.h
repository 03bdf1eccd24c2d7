// The block plan where it is tuned: an agent of two hidden layers of at most 64 units, tf32
// products, its networks in shared memory in the form of kernels/tile_network.h. Rollouts and
// bookkeeping are the programs of every other plan.
#pragma once

#include "kernels/tile_update.h"
#include "kernels/turns.h"

namespace PENDULA_PROGRAMS {

// A block whose actor lies in shared memory as tiles: what a rollout acts with.
template <class Env>
class TileBlock : public CudaBlock<Products::kTf32> {
 public:
  PENDULA_FN TileBlock(int index, int place, const BlockMemory& memory, uint32_t resident_bytes,
                       const TileNetwork<Env::kActionDim>& actor)
      : CudaBlock(index, place, memory, {}, resident_bytes), actor_(actor) {}

  const TileNetwork<Env::kActionDim> actor_;
};

template <class T, class Env>
PENDULA_FN Hidden<T> allocate_hidden(TileBlock<Env>&, const NetworkLayout&, bool) {
  return {};
}

// act_tile of kernels/env_tile.h: a warp takes 16 environments through the actor.
template <class Env>
PENDULA_FN void act_tile(TileBlock<Env>& b, const NetworkLayout&, int, const float*,
                         const Hidden<float>&, const Environments<float>& e) {
  constexpr int kLd = CudaBlock<Products::kTf32>::kLd;
  const Lane l = lane_place(thread_index());
  const int first = l.warp * kWarpRows;
  if (first < kRows) {
    const auto input = [&](int j, int row) {
      return to_tf32(j < Env::kObsDim ? e.obs[j * kLd + first + row] : 0.0f);
    };
    const int j = 2 * l.q;
    Units h1, h2;
    b.actor_.first_layer(
        l, {{input(j, l.g), input(j, l.g + 8), input(j + 1, l.g), input(j + 1, l.g + 8)}}, h1);
    b.actor_.second_layer(l, h1, h2);
    for (int d = 0; d < Env::kActionDim; ++d) {
      float v[2];
      b.actor_.output(l, h2, d, v);
      for (int w = 0; w < 2; ++w) {
        if (l.q == 0) e.action[d * kLd + first + l.g + 8 * w] = tanh(v[w]);
      }
    }
  }
  b.sync();
}

// rows: samples of a pass; kMoments: they lie in shared memory too. Where device code is compiled
// for GPUs of another kind (tile_kind) there is nothing of it, unless PENDULA_ALL_TILES says so
// (tests).
template <class Env, int rows, bool kMoments>
class TileTrainer {
 public:
#if defined(PENDULA_ALL_TILES)
  static constexpr bool kCompiled = true;
#else
  static constexpr bool kCompiled = has_tile_kind(PENDULA_DEVICE_CAPABILITY, {rows, kMoments});
#endif
  static constexpr int A = Env::kActionDim;
  using Ref = const Context<Env, float>&;

  PENDULA_FN TileTrainer(Ref context, const TurnSetup& setup)
      : context_(context), setup_(setup), place_(cluster_place(1)) {}

  PENDULA_SHARED_FN void load(int agent) {
    agent_ = agent;
    copy<A>(true, true);
    copy<1>(true, false);
    block_sync();
  }
  PENDULA_SHARED_FN void store() {
    copy<A>(false, true);
    copy<1>(false, false);
    block_sync();
  }

  // One slice of an iteration. Ends with a barrier.
  PENDULA_FN void slice() {
    const Plan& p = context_.plan;
    const AgentView<float> agent = context_.agent(agent_);
    for (int part = 0; part < p.env_tiles; ++part) {
      run(Rollout<Env, float, Ref>{context_}, part, setup_.rollout);
    }
    update_all(agent);
    run(Advance<Env, float, Ref>{context_}, 0, setup_.plain);
  }

 private:
  PENDULA_SHARED_FN void update_all(const AgentView<float>& agent) const {
    const Plan& p = context_.plan;
    const uint64_t done = agent.counters().updates;
    TileUpdate<Env, rows> update(context_, arrays(), parts(true), parts(false));
    for (int slot = 0; slot < p.update_slots; ++slot) {
      const uint64_t number = done + static_cast<uint64_t>(slot);
      if (!agent.update_due(number)) break;
      const bool more = slot + 1 < p.update_slots && agent.update_due(number + 1);
      update.run(agent, number, slot, more);
    }
  }

  template <class Program>
  PENDULA_SHARED_FN void run(const Program& program, int part, const BlockMemory& memory) const {
    const TileNetwork<A> actor{parts(true).params, context_.plan.actor.activation};
    TileBlock<Env> block(agent_ * program.parts() + part, place_.index, memory,
                         setup_.resident_bytes, actor);
    program(block);
    block_sync();
  }

  PENDULA_FN TileParts parts(bool actor) const {
    float* p = reinterpret_cast<float*>(shared_memory()) + (actor ? 0 : TileLayout<A>::kCount);
    constexpr int kStep = TileLayout<A>::kCount + TileLayout<1>::kCount;
    return {p, p + kStep, kMoments ? p + 2 * kStep : nullptr, kMoments ? p + 3 * kStep : nullptr};
  }

  PENDULA_FN TileArrays arrays() const {
    float* p = reinterpret_cast<float*>(shared_memory() + setup_.resident_bytes);
    TileArrays a;
    a.h = p;
    a.d = p + kTileWidth * rows;
    a.x = p + tile_arrays(A, rows);
    a.heads = a.x + kTileInputs * rows;
    a.scalars = a.heads + tile_heads(A);
    return a;
  }

  // One network between the arena and shared memory.
  template <int outputs>
  PENDULA_FN void copy(bool in, bool actor) const {
    using Layout = TileLayout<outputs>;
    const Plan& p = context_.plan;
    const NetworkLayout& net = actor ? p.actor : p.critic;
    const OptimizerView<float> o = optimizer_view(context_.agent(agent_), actor, 0);
    const TileParts here = parts(actor);
    for (int i = thread_index(); i < Layout::kCount; i += kThreads) {
      const int at = Layout::in_arena(net, i);
      const auto move = [&](float* there, float* tile) {
        if (in) {
          tile[i] = at < 0 ? 0.0f : there[at];
        } else if (at >= 0) {
          there[at] = tile[i];
        }
      };
      move(o.params, here.params);
      move(o.target, here.target);
      if (kMoments) {
        move(o.m, here.m);
        move(o.v, here.v);
      }
    }
  }

  Ref context_;
  const TurnSetup& setup_;
  ClusterPlace place_;
  int agent_ = 0;
};

}  // namespace PENDULA_PROGRAMS
