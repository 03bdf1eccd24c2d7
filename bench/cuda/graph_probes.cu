// launch, graph_node, while_turn: what it costs to start something that does nothing.
#include "bench/cuda/gpu_probe.h"
#include "host/cuda/graphs.h"
#include "kernels/launch.h"

namespace pendula {
namespace {

__global__ void empty() {}

// The body of the WHILE node: counts a turn, and asks for another unless it was the last. One
// thread.
__global__ void count_turn(uint32_t* turn, uint32_t turns,
                           [[maybe_unused]] cudaGraphConditionalHandle handle) {
  const uint32_t t = *turn + 1;
  *turn = t;
#if PENDULA_DEVICE
  cudaGraphSetConditional(handle, t < turns ? 1 : 0);
#endif
}

class LaunchProbe final : public GpuProbe {
 public:
  LaunchProbe(const SharedGpu& gpu, int launches) : GpuProbe(gpu), launches_(launches) {}

 protected:
  void work() override {
    for (int i = 0; i < launches_; ++i) launch_kernel(stream(), empty, 1, 32, 0);
  }

 private:
  int launches_;
};

class NodeProbe final : public GpuProbe {
 public:
  NodeProbe(const SharedGpu& gpu, int nodes, int launches)
      : GpuProbe(gpu), nodes_(nodes), launches_(launches) {}

 protected:
  void allocate() override {
    graph_ = make_graph(stream(), [&] {
      for (int i = 0; i < nodes_; ++i) launch_kernel(stream(), empty, 1, 32, 0);
    });
  }
  void work() override {
    for (int i = 0; i < launches_; ++i) {
      PENDULA_CUDA_CHECK(cudaGraphLaunch(graph_.get(), stream()));
    }
  }

 private:
  int nodes_, launches_;
  CudaGraphExec graph_;
};

class WhileProbe final : public GpuProbe {
 public:
  WhileProbe(const SharedGpu& gpu, uint32_t turns) : GpuProbe(gpu), turns_(turns) {}

 protected:
  void allocate() override {
    turn_ = device_memory(sizeof(uint32_t), "the probe while_turn");
    graph_ = make_while_graph(stream(), [&](cudaGraphConditionalHandle handle) {
      launch_kernel(stream(), count_turn, 1, 1, 0, static_cast<uint32_t*>(turn_.get()), turns_,
                    handle);
    });
  }
  void prepare() override {
    PENDULA_CUDA_CHECK(cudaMemsetAsync(turn_.get(), 0, sizeof(uint32_t), stream()));
  }
  void work() override { PENDULA_CUDA_CHECK(cudaGraphLaunch(graph_.get(), stream())); }
  void check() override {
    const uint32_t turn = read<uint32_t>(turn_, 1)[0];
    if (turn != turns_) {
      wrong("while_turn", std::to_string(turn) + " turns instead of " + std::to_string(turns_));
    }
  }

 private:
  uint32_t turns_;
  DeviceMemory turn_;
  CudaGraphExec graph_;
};

}  // namespace

void add_graph_probes(const SharedGpu& gpu, std::vector<Probe>& probes) {
  // About 10 ms each at 2.5 us, 1 us and 3 us.
  const int launches = gpu->small ? 10 : 4000;
  probes.push_back(make_probe("launch", "seconds", launches, {{"launches", launches}}, "",
                              std::make_shared<LaunchProbe>(gpu, launches)));
  const int nodes = gpu->small ? 20 : 1000, graphs = gpu->small ? 2 : 10;
  probes.push_back(make_probe("graph_node", "seconds", nodes * graphs, {{"nodes", nodes}}, "",
                              std::make_shared<NodeProbe>(gpu, nodes, graphs)));
  const int turns = gpu->small ? 5 : 4000;
  probes.push_back(make_probe("while_turn", "seconds", turns, {{"turns", turns}}, "",
                              std::make_shared<WhileProbe>(gpu, static_cast<uint32_t>(turns))));
}

}  // namespace pendula
