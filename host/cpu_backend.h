// The CPU backend: the programs of kernels/ on a pool of workers, one block per worker at a time.
// Bits depend on the level of instructions (host/simd.h), and not on the number of workers.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "host/cpu_programs.h"
#include "host/host_memory.h"
#include "host/memory_plan.h"
#include "host/planning.h"
#include "host/play.h"
#include "host/pool.h"

namespace pendula {

// Workers of a run: `threads`, or as many as are useful and this machine has cores where it is 0.
int cpu_workers(const Plan& plan, int threads);

// Whether each worker takes whole agents (their networks stay in its caches); else all workers
// share each agent. The bits are the same.
bool agents_over_workers(const Plan& plan, int workers);

// What a run takes of this machine's memory. threads: as of CpuBackend. Throws Error(kUsage),
// Error(kDevice) as CpuBackend does.
MemoryPlan cpu_memory_plan(const Config& config, int threads);

class CpuBackend final : public PlayableBackend {
 public:
  // threads: 0 means as many as are useful. Throws as make_cpu_backend() does (host/play.h).
  CpuBackend(const Config& config, int threads);

  void initialise() override;
  RunResult run(uint64_t until, const std::atomic<bool>& stop) override;
  std::vector<ReportRow> take_reports() override;
  std::vector<FaultReport> faults() override;
  using Backend::evaluate;
  Evaluation evaluate(int64_t episodes, const std::atomic<bool>& stop) override;
  void play(PlayPolicy policy, int agent, int64_t episodes,
            const std::function<void(const PlayStep&)>& step) override;

  void copy_agents(const std::vector<AgentCopy>& copies) override;
  std::vector<int64_t> rank(const std::vector<double>& scores) const override;
  const TensorTable& tensors() const override { return planned_.tensors; }
  DeviceInfo device() const override;
  void read(uint64_t offset, uint64_t bytes, void* to) const override;
  void write(uint64_t offset, uint64_t bytes, const void* from) override;

  const Plan& plan() const { return planned_.plan; }
  AgentView<float> agent(int k) const { return {arena_.get(), planned_.plan, k}; }

 private:
  CpuWorker worker(int index);
  void run_slices(const std::atomic<bool>& stop);
  void run_turns(const std::atomic<bool>& stop);
  int turn_slices() const;
  void look_at(const std::atomic<bool>& stop);
  Control& control() const { return *reinterpret_cast<Control*>(arena_.get() + plan().control); }
  void play_tile(PlayPolicy policy, int agent, int64_t first, int64_t count,
                 const std::function<void(const PlayStep&)>& step);

  const Config config_;
  const EnvironmentInfo& env_;
  const std::string simd_level_;
  const CpuPrograms& programs_;
  const PlannedRun planned_;
  const std::vector<double> env_params_;
  const uint64_t scratch_bytes_;  // of a worker
  HostMemory arena_;
  HostMemory page_;
  Pool pool_;
  HostMemory scratch_;
  CpuSetup setup_;
  std::chrono::steady_clock::time_point launch_;  // when the run() under way began
};

}  // namespace pendula
