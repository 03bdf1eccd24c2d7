// barrier_block, barrier_cluster, barrier_grid: what one dependent step costs. The loop that is
// timed holds barriers and nothing else; nothing is subtracted. After it come a few rounds that
// pass values from thread to thread through the same barriers, which the host checks.
#include <cooperative_groups.h>

#include "bench/cuda/gpu_probe.h"
#include "kernels/launch.h"

namespace pendula {
namespace {

namespace cg = cooperative_groups;

constexpr int kBlock = 256;  // threads
constexpr int kCluster = 8;  // blocks: the most that every GPU with clusters allows
constexpr int kUnroll = 16;  // barriers of one turn of the loop
constexpr int kRounds = 4;
constexpr int kStep = 33;  // threads that a value moves on in a round

// out: (kBlock)
__global__ void __launch_bounds__(kBlock) block_barriers(int turns, uint32_t* out) {
  __shared__ uint32_t slots[kBlock];
  PENDULA_UNROLL_BY(1)
  for (int turn = 0; turn < turns; ++turn) {
    PENDULA_UNROLL
    for (int i = 0; i < kUnroll; ++i) __syncthreads();
  }
  uint32_t value = threadIdx.x;
  for (int round = 0; round < kRounds; ++round) {
    slots[threadIdx.x] = value;
    __syncthreads();
    value = slots[(threadIdx.x + kStep) % kBlock] + 1;
    __syncthreads();
  }
  out[threadIdx.x] = value;
}

// out: (kCluster, kBlock). One cluster; values move from block to block.
__global__ void __launch_bounds__(kBlock)
    cluster_barriers([[maybe_unused]] int turns, [[maybe_unused]] uint32_t* out) {
#if PENDULA_DEVICE_CLUSTERS
  __shared__ uint32_t slots[kBlock];
  const cg::cluster_group cluster = cg::this_cluster();
  PENDULA_UNROLL_BY(1)
  for (int turn = 0; turn < turns; ++turn) {
    PENDULA_UNROLL
    for (int i = 0; i < kUnroll; ++i) cluster.sync();
  }
  const uint32_t rank = cluster.block_rank();
  const uint32_t* next = cluster.map_shared_rank(slots, static_cast<int>((rank + 1) % kCluster));
  uint32_t value = rank * kBlock + threadIdx.x;
  for (int round = 0; round < kRounds; ++round) {
    slots[threadIdx.x] = value;
    cluster.sync();
    value = next[threadIdx.x] + 1;
    cluster.sync();
  }
  out[rank * kBlock + threadIdx.x] = value;
#endif
}

// slots, out: (blocks, kBlock). Values move from block to block. A block reads what others wrote
// between barriers: volatile, so that nothing is kept in registers or L1.
__global__ void __launch_bounds__(kBlock)
    grid_barriers(int turns, volatile uint32_t* slots, uint32_t* out) {
  const cg::grid_group grid = cg::this_grid();
  PENDULA_UNROLL_BY(1)
  for (int turn = 0; turn < turns; ++turn) {
    PENDULA_UNROLL_BY(1)
    for (int i = 0; i < kUnroll; ++i) grid.sync();
  }
  const uint32_t mine = blockIdx.x * kBlock + threadIdx.x;
  const uint32_t next = (blockIdx.x + 1) % gridDim.x * kBlock + threadIdx.x;
  uint32_t value = mine;
  for (int round = 0; round < kRounds; ++round) {
    slots[mine] = value;
    grid.sync();
    value = slots[next] + 1;
    grid.sync();
  }
  out[mine] = value;
}

class BarrierProbe : public GpuProbe {
 public:
  BarrierProbe(const SharedGpu& gpu, const char* name, int turns, int blocks, uint32_t step)
      : GpuProbe(gpu), name_(name), turns_(turns), blocks_(blocks), step_(step) {}

  double barriers() const { return static_cast<double>(turns_) * kUnroll + 2 * kRounds; }

 protected:
  uint64_t threads() const { return static_cast<uint64_t>(blocks_) * kBlock; }
  uint32_t* out() const { return static_cast<uint32_t*>(out_.get()); }

  void allocate() override { out_ = device_memory(threads() * sizeof(uint32_t), name_); }
  void prepare() override { poison(out_, threads() * sizeof(uint32_t)); }
  void check() override {
    const std::vector<uint32_t> values = read<uint32_t>(out_, threads());
    for (uint64_t i = 0; i < values.size(); ++i) {
      if (values[i] != (i + step_ * kRounds) % threads() + kRounds) {
        wrong(name_, "thread " + std::to_string(i) + " read a value before it was written");
      }
    }
  }

  const char* name_;
  int turns_, blocks_;
  uint32_t step_;

 private:
  DeviceMemory out_;
};

class BlockBarrier final : public BarrierProbe {
 public:
  BlockBarrier(const SharedGpu& gpu, int turns)
      : BarrierProbe(gpu, "barrier_block", turns, 1, kStep) {}

 protected:
  void work() override { launch_kernel(stream(), block_barriers, 1, kBlock, 0, turns_, out()); }
};

class ClusterBarrier final : public BarrierProbe {
 public:
  ClusterBarrier(const SharedGpu& gpu, int turns)
      : BarrierProbe(gpu, "barrier_cluster", turns, kCluster, kBlock) {}

 protected:
  void work() override {
    launch_clusters(stream(), kCluster, cluster_barriers, kCluster, kBlock, 0, turns_, out());
  }
};

class GridBarrier final : public BarrierProbe {
 public:
  GridBarrier(const SharedGpu& gpu, int turns)
      : BarrierProbe(gpu, "barrier_grid", turns, gpu->multiprocessors, kBlock) {}

 protected:
  void allocate() override {
    BarrierProbe::allocate();
    slots_ = device_memory(threads() * sizeof(uint32_t), name_);
  }
  void work() override {
    launch_cooperative(stream(), grid_barriers, blocks_, kBlock, 0, turns_,
                       static_cast<volatile uint32_t*>(slots_.get()), out());
  }

 private:
  DeviceMemory slots_;
};

template <class Barrier>
void add_barrier(const SharedGpu& gpu, const char* name, int turns, int blocks,
                 std::vector<Probe>& probes) {
  const auto probe = std::make_shared<Barrier>(gpu, gpu->small ? 2 : turns);
  probes.push_back(make_probe(name, "seconds", probe->barriers(),
                              {{"blocks", blocks}, {"threads", kBlock}}, "", probe));
}

}  // namespace

void add_barrier_probes(const SharedGpu& gpu, std::vector<Probe>& probes) {
  // About 10 ms at 15 ns, 0.3 us and 1.2 us.
  add_barrier<BlockBarrier>(gpu, "barrier_block", 1 << 15, 1, probes);
  if (gpu->attribute(cudaDevAttrClusterLaunch) != 0) {
    add_barrier<ClusterBarrier>(gpu, "barrier_cluster", 1 << 11, kCluster, probes);
  }
  add_barrier<GridBarrier>(gpu, "barrier_grid", 1 << 9, gpu->multiprocessors, probes);
}

}  // namespace pendula
