// What the trainer asks of a machine that runs the block programs: the CPU backend and the CUDA
// plug-in are the two implementations.
#pragma once

#include <atomic>
#include <string>
#include <vector>

#include "host/config.h"
#include "host/tensor_table.h"
#include "kernels/report.h"

namespace pendula {

struct FaultReport {
  Fault fault = Fault::kNone;
  uint64_t agent = 0;
  uint64_t iteration = 0;
  uint64_t update = 0;
};

struct RunResult {
  HaltReason reason;
  uint64_t iteration;  // iterations completed
  uint64_t updates;    // updates of agent 0 completed
  double seconds = 0;  // that the device took: CUDA events, or the steady clock on the CPU
};

struct Evaluation {
  std::vector<double> returns;  // one per episode, agent-major (agents, episodes)
  std::vector<uint32_t> lengths;
};

struct DeviceInfo {
  std::string name;    // "cpu" or the GPU's name
  std::string detail;  // SIMD level and threads, or compute capability, driver and runtime versions
  nlohmann::json meta;  // the same, for meta.json
};

// One agent becomes a copy of another: networks, targets, moments, and, if so asked, its
// environments as they stand.
struct AgentCopy {
  int64_t from = 0, to = 0;
  bool environments = false;
};

class Backend : public ArenaAccess {
 public:
  // Weights, environments, counters: the state before the first iteration.
  virtual void initialise() = 0;

  // Runs iterations until `until_iteration` is completed, `stop` is set, every agent has diverged,
  // or about a second has gone by. Where it is cut never changes a bit of the state.
  virtual RunResult run(uint64_t until_iteration, const std::atomic<bool>& stop) = 0;

  // The rows written since the last call, in order.
  virtual std::vector<ReportRow> take_reports() = 0;

  // The first fault of each agent that has one.
  virtual std::vector<FaultReport> faults() = 0;

  // `episodes` episodes of each agent's deterministic policy, from initial states that depend on
  // the agent's seed and the episode's number alone. Touches no training state. Gives nothing (no
  // returns) where `stop` was set before it was done.
  virtual Evaluation evaluate(int64_t episodes, const std::atomic<bool>& stop) = 0;
  Evaluation evaluate(int64_t episodes) {
    const std::atomic<bool> never{false};
    return evaluate(episodes, never);
  }

  // All copies; no agent is copied that is copied to.
  virtual void copy_agents(const std::vector<AgentCopy>& copies) = 0;

  // 0, 1, ... from the largest score to the smallest, equal ones in their order. -inf: last. No
  // score is NaN.
  virtual std::vector<int64_t> rank(const std::vector<double>& scores) const = 0;

  virtual const TensorTable& tensors() const = 0;
  virtual DeviceInfo device() const = 0;
};

}  // namespace pendula
