// The block plan and the cluster plan: a kernel that stays. A cluster of blocks (of one block in
// the block plan) trains an agent for a turn of many iterations, then the next of its agents;
// nothing waits for the other clusters. Where there are no more agents than clusters an agent stays
// for the whole launch.
//
// A stop that the host asks for must find all agents at the same place. Control::turns says how far
// they go: its lower bits count the turns that anyone has begun, its highest bit closes the count.
// A turn that is counted is made by everyone; another one is begun only while the count is open.
#pragma once

#include "kernels/cluster.h"
#include "kernels/iteration.h"
#include "kernels/launch.h"

namespace PENDULA_PROGRAMS {

// Whether turn `turn` of this launch (0, 1, ...) is to be made: the same answer for everyone who
// asks. stop: no turn is to be begun that nobody has begun; the first one is made in any case. By
// one thread of each block.
PENDULA_FN bool join_turn([[maybe_unused]] uint32_t* turns, [[maybe_unused]] uint32_t turn,
                          [[maybe_unused]] bool stop) {
#if PENDULA_DEVICE
  constexpr uint32_t kClosed = 0x80000000u;
  uint32_t now = stop && turn > 0 ? atomicOr(turns, kClosed) | kClosed : atomicOr(turns, 0u);
  while ((now & ~kClosed) <= turn) {
    if ((now & kClosed) != 0) return false;
    const uint32_t before = atomicCAS(turns, now, turn + 1);
    if (before == now) break;
    now = before;
  }
#endif
  return true;
}

// Trains agents with the programs of the grid plan, in their order, and so with their bits. Any
// network: what fits lies in the block's shared memory (block plan), the rest in the L2 cache.
template <class Env, Products kProducts>
class ProgramTrainer {
 public:
  static constexpr bool kCompiled = true;
  using Ref = const Context<Env, float>&;

  PENDULA_FN ProgramTrainer(Ref context, const TurnSetup& setup)
      : context_(context), setup_(setup), place_(cluster_place(setup.cluster)) {}

  PENDULA_FN void load(int agent) {
    agent_ = agent;
    copy_networks(true);
  }
  PENDULA_FN void store() { copy_networks(false); }

  // One slice of an iteration. Ends with a barrier of the cluster.
  PENDULA_FN void slice() { for_each_agent_program<Env, float, Ref>(context_, Run{*this}); }

 private:
  struct Run {
    const ProgramTrainer& self;
    template <class Program>
    PENDULA_FN void operator()(const Program& program) const {
      self.run(program);
    }
  };

  // This block's parts of a program.
  template <class Program>
  PENDULA_SHARED_FN void run(const Program& program) const {
    const int parts = program.parts();
    for (int part = place_.rank; part < parts; part += setup_.cluster) {
      CudaBlock<kProducts> block(agent_ * parts + part, place_.index * setup_.cluster + place_.rank,
                                 memory_of(program), resident(), setup_.resident_bytes);
      program(block);
      block.sync();  // scratch is used again
    }
    if (setup_.cluster > 1) cluster_sync(setup_.cluster);
  }

  PENDULA_FN Resident resident() const {
    return {setup_.resident_bytes != 0 ? shared_memory() : nullptr, setup_.resident_end};
  }

  // Between the agent's part and shared memory. Ends with a barrier.
  PENDULA_SHARED_FN void copy_networks(bool in) const {
    const int words = static_cast<int>(setup_.resident_bytes / sizeof(Uint4));
    Uint4* here = reinterpret_cast<Uint4*>(shared_memory());
    Uint4* there = reinterpret_cast<Uint4*>(context_.agent(agent_).at(context_.plan.actor_params));
    for (int i = thread_index(); i < words; i += kThreads) {
      (in ? here : there)[i] = (in ? there : here)[i];
    }
    block_sync();
  }

  PENDULA_FN const BlockMemory& memory_of(const Rollout<Env, float, Ref>&) const {
    return setup_.rollout;
  }
  PENDULA_FN const BlockMemory& memory_of(const CriticGradient<Env, float, Ref>&) const {
    return setup_.critic_gradient;
  }
  PENDULA_FN const BlockMemory& memory_of(const ActorGradient<Env, float, Ref>&) const {
    return setup_.actor_gradient;
  }
  PENDULA_FN const BlockMemory& memory_of(const GradientSum<Env, float, Ref>&) const {
    return setup_.optimizer;
  }
  PENDULA_FN const BlockMemory& memory_of(const AdamStep<Env, float, Ref>&) const {
    return setup_.optimizer;
  }
  PENDULA_FN const BlockMemory& memory_of(const LagActor<Env, float, Ref>&) const {
    return setup_.plain;
  }
  PENDULA_FN const BlockMemory& memory_of(const Advance<Env, float, Ref>&) const {
    return setup_.plain;
  }

  Ref context_;
  const TurnSetup& setup_;
  ClusterPlace place_;
  int agent_ = 0;
};

// A copy of x in shared memory that the block's threads make together; barrier to follow. id: one
// per copy, where two have the same type.
template <int id, class X>
__device__ __forceinline__ const X& share(const X& x) {
  static_assert(sizeof(X) % sizeof(uint32_t) == 0);
  constexpr int kWords = sizeof(X) / sizeof(uint32_t);
  __shared__ __align__(16) uint32_t words[kWords];
  const uint32_t* from = reinterpret_cast<const uint32_t*>(&x);
  for (int i = thread_index(); i < kWords; i += kThreads) words[i] = from[i];
  return *reinterpret_cast<const X*>(words);
}

__device__ inline void trap() {
#if PENDULA_DEVICE
  __trap();
#endif
}

// The kernel. All agents stand at Control::iteration when it starts, and at the same place when it
// ends: Control::launch_until, or the end of the turn in which the host asked for a stop.
template <class Env, class Trainer>
__global__ void __launch_bounds__(kThreads, 1)
    train_agents(const __grid_constant__ Context<Env, float> given_context,
                 const __grid_constant__ TurnSetup given_setup) {
  if constexpr (Trainer::kCompiled) {
    static_assert(sizeof given_context + sizeof given_setup + 64 <= kTurnShared);
    __shared__ bool joined;
    // In shared memory: a reference to a parameter would make every thread keep a copy.
    const Context<Env, float>& context = share<0>(given_context);
    const TurnSetup& setup = share<1>(given_setup);
    block_sync();
    Control& control = context.control();
    const int agents = context.plan.agents;
    const int first = cluster_place(setup.cluster).index;
    const bool stays = agents <= setup.clusters;
    Trainer trainer(context, setup);
    if (stays && first < agents) trainer.load(first);
    uint32_t turn = 0;
    for (uint64_t begin = control.iteration; begin < control.launch_until; begin += setup.turn) {
      if (thread_index() == 0) {
        const bool stop = CudaBlock<Products::kFfma>::load_shared(&context.page->stop) != 0;
        joined = join_turn(&control.turns, turn++, stop);
      }
      block_sync();
      if (!joined) break;
      const uint64_t end =
          begin + setup.turn < control.launch_until ? begin + setup.turn : control.launch_until;
      for (int agent = first; agent < agents; agent += setup.clusters) {
        if (!stays) trainer.load(agent);
        while (context.agent(agent).counters().iteration < end) trainer.slice();
        if (!stays) trainer.store();
      }
      block_sync();  // `joined` is written again
    }
    if (stays && first < agents) trainer.store();
  } else {
    trap();
  }
}

// Lets train_agents have that much dynamic shared memory, in clusters of that size. Throws Error.
template <class Env, class Trainer>
void allow_turns(int cluster, uint64_t shared_bytes) {
  const auto kernel = train_agents<Env, Trainer>;
  cudaError_t error = cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                           static_cast<int>(shared_bytes));
  if (error == cudaSuccess && cluster > 8) {  // more than every GPU with clusters allows
    error = cudaFuncSetAttribute(kernel, cudaFuncAttributeNonPortableClusterSizeAllowed, 1);
  }
  check_launch(error, __PRETTY_FUNCTION__, cluster, kThreads, shared_bytes);
}

// Launches (or captures) train_agents: setup.clusters clusters of setup.cluster blocks. Throws
// Error.
template <class Env, class Trainer>
void launch_turns(cudaStream_t stream, const Context<Env, float>& context, const TurnSetup& setup,
                  uint64_t shared_bytes) {
  const auto kernel = train_agents<Env, Trainer>;
  const int blocks = setup.clusters * setup.cluster;
  allow_turns<Env, Trainer>(setup.cluster, shared_bytes);
  if (setup.cluster > 1) {
    launch_clusters(stream, setup.cluster, kernel, blocks, kThreads, shared_bytes, context, setup);
  } else {
    launch_kernel(stream, kernel, blocks, kThreads, shared_bytes, context, setup);
  }
}

// Clusters of `cluster` blocks of train_agents that can run at the same time; 0: the GPU has no
// such clusters. Throws Error.
template <class Env, class Trainer>
int max_active_clusters(int cluster, uint64_t shared_bytes) {
  allow_turns<Env, Trainer>(cluster, shared_bytes);
  return count_active_clusters(train_agents<Env, Trainer>, cluster, kThreads, shared_bytes);
}

}  // namespace PENDULA_PROGRAMS
