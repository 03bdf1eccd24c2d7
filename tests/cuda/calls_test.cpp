// The host does not take part in training: between two boundaries there is one graph launch, and no
// copy or synchronisation that waits. The linker puts these counters in front of the runtime's
// calls (cmake/cuda_tests.cmake).
#include <cuda_runtime.h>
#include <gtest/gtest.h>

#include <chrono>
#include <map>
#include <string>

#include "host/cuda/backend.h"

namespace {

std::map<std::string, int>& calls() {
  static std::map<std::string, int> counts;
  return counts;
}

}  // namespace

extern "C" {
cudaError_t __real_cudaGraphLaunch(cudaGraphExec_t graph, cudaStream_t stream);
cudaError_t __wrap_cudaGraphLaunch(cudaGraphExec_t graph, cudaStream_t stream) {
  ++calls()["cudaGraphLaunch"];
  return __real_cudaGraphLaunch(graph, stream);
}
cudaError_t __real_cudaMemcpy(void* to, const void* from, size_t bytes, cudaMemcpyKind kind);
cudaError_t __wrap_cudaMemcpy(void* to, const void* from, size_t bytes, cudaMemcpyKind kind) {
  ++calls()["cudaMemcpy"];
  return __real_cudaMemcpy(to, from, bytes, kind);
}
cudaError_t __real_cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind kind,
                                   cudaStream_t stream);
cudaError_t __wrap_cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind kind,
                                   cudaStream_t stream) {
  ++calls()["cudaMemcpyAsync"];
  return __real_cudaMemcpyAsync(to, from, bytes, kind, stream);
}
// What nvcc makes of a launch.
cudaError_t __real___cudaLaunchKernel(cudaKernel_t kernel, dim3 grid, dim3 block, void** args,
                                      size_t shared, cudaStream_t stream);
cudaError_t __wrap___cudaLaunchKernel(cudaKernel_t kernel, dim3 grid, dim3 block, void** args,
                                      size_t shared, cudaStream_t stream) {
  ++calls()["a kernel's launch"];
  return __real___cudaLaunchKernel(kernel, grid, block, args, shared, stream);
}
cudaError_t __real_cudaStreamSynchronize(cudaStream_t stream);
cudaError_t __wrap_cudaStreamSynchronize(cudaStream_t stream) {
  ++calls()["cudaStreamSynchronize"];
  return __real_cudaStreamSynchronize(stream);
}
cudaError_t __real_cudaDeviceSynchronize();
cudaError_t __wrap_cudaDeviceSynchronize() {
  ++calls()["cudaDeviceSynchronize"];
  return __real_cudaDeviceSynchronize();
}
cudaError_t __real_cudaEventSynchronize(cudaEvent_t event);
cudaError_t __wrap_cudaEventSynchronize(cudaEvent_t event) {
  ++calls()["cudaEventSynchronize"];
  return __real_cudaEventSynchronize(event);
}
}

namespace pendula {
namespace {

Config config_of(const std::string& plan) {
  Config c;
  c.plan = plan;
  c.env.num_envs = 4;
  c.env.max_episode_steps = 12;
  c.actor.hidden = {16};
  c.critic.hidden = {16};
  c.ddpg.batch_size = 16;
  c.ddpg.updates_per_step = 0.25;
  c.replay.capacity = 400;
  c.replay.warmup_steps = 16;
  c.report.interval = 20;
  return c;
}

TEST(CudaCalls, OneLaunchAndNoWaitingCopyBetweenBoundaries) {
  CudaBackend backend(config_of("auto"), 0);
  backend.initialise();
  const std::atomic<bool> stop{false};
  calls().clear();
  const auto begin = std::chrono::steady_clock::now();
  const RunResult r = backend.run(40, stop);
  const std::chrono::duration<double> wall = std::chrono::steady_clock::now() - begin;
  ASSERT_EQ(r.reason,
            HaltReason::kReached);  // not cut by the clock, which would be a second launch
  const std::vector<ReportRow> rows = backend.take_reports();
  const std::map<std::string, int> seen = calls();

  EXPECT_EQ(rows.size(), 8u);  // reports come without a launch or a copy of their own
  const std::map<std::string, int> expected = {
      {"cudaGraphLaunch", 1},    // 40 iterations
      {"cudaMemcpyAsync", 1},    // where the launch stands
      {"a kernel's launch", 1},  // sets the launch's goal on the device
  };
  EXPECT_EQ(seen, expected);
  EXPECT_GT(r.seconds, 0.0);  // taken without a waiting call
  EXPECT_LT(r.seconds, wall.count());
}

// Random actions have a graph of their own, so that the first launch is two. Each launch makes the
// operands of the networks anew, and with policy_lag 1 the rollout that no updates run beside.
TEST(CudaCalls, TheGridPlanLaunchesAGraphForTheWarmupAndOneForTheRest) {
  for (const int64_t lag : {0, 1}) {
    Config c = config_of("grid");
    c.rollout.policy_lag = lag;
    CudaBackend backend(c, 0);
    ASSERT_TRUE(backend.device_plan().grid.has_value());
    backend.initialise();
    const std::atomic<bool> stop{false};
    for (const uint64_t until : {7u, 10u}) {
      calls().clear();
      ASSERT_EQ(backend.run(until, stop).reason, HaltReason::kReached);
      const int graphs = until == 7 ? 2 : 1;
      const std::map<std::string, int> expected = {
          {"cudaGraphLaunch", graphs},
          {"cudaMemcpyAsync", graphs},
          {"a kernel's launch", graphs + 1 + static_cast<int>(lag)},
      };
      EXPECT_EQ(calls(), expected) << until;
    }
  }
}

}  // namespace
}  // namespace pendula
