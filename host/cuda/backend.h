// The CUDA backend: the arena in device memory, an iteration as the body of a CUDA graph's WHILE
// node (grid plan) or a kernel that stays (block plan, cluster plan), so that one launch runs until
// a halt and the host only waits.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "host/backend.h"
#include "host/cuda/programs.h"
#include "host/cuda/resources.h"
#include "host/planning.h"

namespace pendula {

// What a run of that config would have on the GPU `device`; allocates nothing. Throws Error(kUsage)
// as choose_device_plan() does, Error(kDevice).
DevicePlan plan_on_gpu(const Config& config, int device);

class CudaBackend final : public Backend {
 public:
  // Allocates the arena (zeroed) and builds the graphs. capability: of the GPU for which the block
  // plan is laid out, as 90 for 9.0; 0: this one's (others are for tests). Throws Error(kMemory),
  // Error(kDevice), Error(kUsage).
  CudaBackend(const Config& config, int device, int capability = 0);
  ~CudaBackend() override;
  CudaBackend(const CudaBackend&) = delete;
  CudaBackend& operator=(const CudaBackend&) = delete;

  void initialise() override;
  RunResult run(uint64_t until_iteration, const std::atomic<bool>& stop) override;
  std::vector<ReportRow> take_reports() override;
  std::vector<FaultReport> faults() override;
  using Backend::evaluate;
  Evaluation evaluate(int64_t episodes, const std::atomic<bool>& stop) override;
  void copy_agents(const std::vector<AgentCopy>& copies) override;
  std::vector<int64_t> rank(const std::vector<double>& scores) const override;
  const TensorTable& tensors() const override { return planned_.tensors; }
  DeviceInfo device() const override;
  const DevicePlan& device_plan() const { return plan_; }
  void read(uint64_t offset, uint64_t bytes, void* to) const override;
  void write(uint64_t offset, uint64_t bytes, const void* from) override;

 private:
  void use() const;
  void choose_plan(int capability);
  void build_graphs();
  // warmup: the graph of random actions.
  RunResult launch(uint64_t until, bool warmup, const std::atomic<bool>& stop);
  template <class Tick>
  void wait(Tick tick) const;
  char* arena() const { return static_cast<char*>(arena_.get()); }
  HostPage& page() const { return *static_cast<HostPage*>(page_.get()); }

  const Config config_;
  const int device_;
  PlannedRun planned_;
  CudaStream stream_;
  CudaEvent done_;
  CudaEvent graph_begin_, graph_end_;  // around launch()'s work
  DeviceMemory arena_;
  DeviceMemory spill_, turn_spill_, grid_memory_;
  PinnedMemory page_;     // mapped: HostPage and the report ring
  PinnedMemory staging_;  // kStagingBytes; read(), write(), results
  std::unique_ptr<CudaPrograms> programs_;
  DevicePlan plan_;
  CudaGraphExec graph_;
  CudaGraphExec warmup_graph_;  // of the iterations before warmup_iterations_
  uint64_t warmup_iterations_ = 0;
  std::optional<uint64_t> iteration_;  // of the state, where it is known
};

}  // namespace pendula
