// The cluster plan where it is tuned: an agent of two hidden layers of at most 256 units, tf32
// products, each block of its cluster with 16 columns of its networks in shared memory
// (kernels/column_network.h). A rollout's environments are spread over the blocks; for the actor's
// actions all blocks take their columns of everyone's tile. Bookkeeping is the program of every
// other plan.
#pragma once

#include "kernels/column_update.h"
#include "kernels/turns.h"

namespace PENDULA_PROGRAMS {

// The blocks of a cluster as an actor, for as many tiles of environments as blocks have one, from
// the first on.
template <int A>
struct ColumnTeam {
  ColumnNetwork<A> actor;
  ColumnBytes bytes;
  int rank, tiles;
  float* resident;

  PENDULA_FN float* obs() const { return resident + bytes.act_obs(); }      // (8, kRows)
  PENDULA_FN float* heads() const { return resident + bytes.act_heads(); }  // (tiles, A, kRows)

  // Every block's columns for every tile's observations, obs(), into heads(). By all blocks.
  PENDULA_SHARED_FN void act() const {
    constexpr int kWarpsOfTile = kRows / kWarpRows;
    const Lane l = lane_place(thread_index());
    cluster_sync(bytes.blocks());
    for (int job = l.warp; job < tiles * kWarpsOfTile; job += kWarps) {
      const int tile = job / kWarpsOfTile, first = job % kWarpsOfTile * kWarpRows;
      Columns h2;
      actor.second_layer(l, load_inputs<kRows>(l, in_rank(obs(), tile), first), h2);
      for (int a = 0; a < A; ++a) {
        float v[2];
        actor.output(l, h2, a, v);
        if (l.q != 0) continue;
        float* to = heads() + (tile * A + a) * kRows + first + l.g;
        to[0] = v[0];
        to[8] = v[1];
      }
    }
    cluster_sync(bytes.blocks());
  }

  // The action of this block's tile.
  PENDULA_FN float action(int a, int row) const {
    float sum = 0.0f;
    for (int r = 0; r < bytes.blocks(); ++r) {
      sum += in_rank(heads(), r)[(rank * A + a) * kRows + row];
    }
    return tanh(sum + actor.p[actor.at.b3() + a]);
  }
};

// The block of a rollout in such a cluster.
template <class Env>
class ColumnBlock : public CudaBlock<Products::kTf32> {
 public:
  PENDULA_FN ColumnBlock(int index, int place, const BlockMemory& memory, uint32_t resident_bytes,
                         const ColumnTeam<Env::kActionDim>& team)
      : CudaBlock(index, place, memory, {}, resident_bytes), team_(team) {}

  const ColumnTeam<Env::kActionDim> team_;
};

template <class T, class Env>
PENDULA_FN Hidden<T> allocate_hidden(ColumnBlock<Env>&, const NetworkLayout&, bool) {
  return {};
}

// act_tile of kernels/env_tile.h.
template <class Env>
PENDULA_FN void act_tile(ColumnBlock<Env>& b, const NetworkLayout&, int, const float*,
                         const Hidden<float>&, const Environments<float>& e) {
  constexpr int kLd = CudaBlock<Products::kTf32>::kLd;
  float* obs = b.team_.obs();
  b.for_each(kTileInputs * kRows, [=](int i) {
    const int d = i / kRows, row = i % kRows;
    obs[tile_at<kRows>(d, row)] = d < Env::kObsDim ? e.obs[d * kLd + row] : 0.0f;
  });
  b.team_.act();
  b.for_each(Env::kActionDim * kRows, [&](int i) {
    e.action[i / kRows * kLd + i % kRows] = b.team_.action(i / kRows, i % kRows);
  });
  b.sync();
}

template <class Env>
class ColumnTrainer {
 public:
#if defined(PENDULA_ALL_TILES)
  static constexpr bool kCompiled = PENDULA_DEVICE_CLUSTERS;
#else
  static constexpr bool kCompiled = has_columns(PENDULA_DEVICE_CAPABILITY);
#endif
  static constexpr int A = Env::kActionDim;
  using Ref = const Context<Env, float>&;

  PENDULA_FN ColumnTrainer(Ref context, const TurnSetup& setup)
      : context_(context),
        setup_(setup),
        place_(cluster_place(setup.cluster)),
        bytes_{kColumns * setup.cluster, A, setup.moments} {}

  PENDULA_SHARED_FN void load(int agent) {
    agent_ = agent;
    copy(true, true);
    copy(false, true);
    cluster_sync(setup_.cluster);
  }
  // What this block owns.
  PENDULA_SHARED_FN void store() {
    copy(true, false);
    copy(false, false);
    cluster_sync(setup_.cluster);
  }

  // One slice of an iteration. Ends with a barrier of the cluster.
  PENDULA_FN void slice() {
    const AgentView<float> agent = context_.agent(agent_);
    roll_out(agent);
    cluster_sync(setup_.cluster);
    update_all(agent);
    cluster_sync(setup_.cluster);  // all have read the counters, and block 0 the norms
    if (place_.rank == 0) {
      const Advance<Env, float, Ref> advance{context_};
      CudaBlock<Products::kTf32> block(agent_, 0, setup_.plain);
      advance(block);
    }
    cluster_sync(setup_.cluster);
  }

 private:
  // A tile of environments for each block, and again. Those that have none help.
  PENDULA_SHARED_FN void roll_out(const AgentView<float>& agent) const {
    const Plan& p = context_.plan;
    const AgentCounters& c = agent.counters();
    const bool acts =
        c.fault == 0 && c.slice == 0 && c.iteration * steps_per_iteration(p) >= p.warmup_steps;
    const Rollout<Env, float, Ref> program{context_};
    for (int first = 0; first < p.env_tiles; first += setup_.cluster) {
      const int left = p.env_tiles - first;
      const ColumnTeam<A> team{{parts(true).params, bytes_.actor(), p.actor.activation},
                               bytes_,
                               place_.rank,
                               left < setup_.cluster ? left : setup_.cluster,
                               resident()};
      if (place_.rank < team.tiles) {
        ColumnBlock<Env> block(agent_ * p.env_tiles + first + place_.rank, 0, setup_.rollout,
                               setup_.resident_bytes, team);
        program(block);
      } else if (acts) {
        for (int step = 0; step < p.rollout_length; ++step) team.act();
      }
      block_sync();  // scratch is used again
    }
  }

  PENDULA_SHARED_FN void update_all(const AgentView<float>& agent) const {
    const Plan& p = context_.plan;
    const uint64_t done = agent.counters().updates;
    ColumnUpdate<Env> update(context_, bytes_, place_.rank, resident() + bytes_.resident(),
                             parts(true), parts(false));
    for (int slot = 0; slot < p.update_slots; ++slot) {
      const uint64_t number = done + static_cast<uint64_t>(slot);
      if (!agent.update_due(number)) break;
      const bool more = slot + 1 < p.update_slots && agent.update_due(number + 1);
      update.run(agent, number, slot, more);
    }
  }

  PENDULA_FN float* resident() const { return reinterpret_cast<float*>(shared_memory()); }

  PENDULA_FN ColumnParts parts(bool actor) const {
    const int actors = bytes_.actor().count(), both = actors + bytes_.critic().count();
    float* p = resident() + (actor ? 0 : actors);
    if (!bytes_.moments) return {p, p + both, nullptr, nullptr};
    const int own = bytes_.actor().own_padded();
    float* m = resident() + bytes_.networks() + (actor ? 0 : own);
    return {p, p + both, m, m + own + bytes_.critic().own_padded()};
  }

  // One network between the arena and shared memory: in, all that the block has; out, its own.
  PENDULA_FN void copy(bool actor, bool in) const {
    const Plan& p = context_.plan;
    const ColumnLayout layout = actor ? bytes_.actor() : bytes_.critic();
    const NetworkLayout& net = actor ? p.actor : p.critic;
    const OptimizerView<float> o = optimizer_view(context_.agent(agent_), actor, 0);
    const ColumnParts here = parts(actor);
    const int rank = place_.rank;
    if (in) {
      for (int i = thread_index(); i < layout.count(); i += kThreads) {
        const int at = layout.in_arena(net, rank, i);
        here.params[i] = at < 0 ? 0.0f : o.params[at];
        here.target[i] = at < 0 ? 0.0f : o.target[at];
      }
    }
    const int own = rank == 0 ? layout.own() : layout.own() - layout.outputs;
    for (int j = thread_index(); j < own; j += kThreads) {
      const int i = layout.own_place(rank, j), at = layout.in_arena(net, rank, i);
      if (at < 0) continue;
      if (!in) {
        o.params[at] = here.params[i];
        o.target[at] = here.target[i];
      }
      if (here.m == nullptr) continue;
      (in ? here.m[j] : o.m[at]) = in ? o.m[at] : here.m[j];
      (in ? here.v[j] : o.v[at]) = in ? o.v[at] : here.v[j];
    }
  }

  Ref context_;
  const TurnSetup& setup_;
  const ClusterPlace place_;
  const ColumnBytes bytes_;
  int agent_ = 0;
};

}  // namespace PENDULA_PROGRAMS
