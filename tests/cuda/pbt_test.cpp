// Population-based training on the GPU: the ranking by Thrust, and the copies, as the CPU does
// them.
#include <gtest/gtest.h>

#include <limits>

#include "host/cuda/backend.h"
#include "host/pbt.h"
#include "host/play.h"
#include "host/training_state.h"

namespace pendula {
namespace {

Config population() {
  Config c;
  c.agents = 6;
  c.seed = 7;
  c.env.num_envs = 4;
  c.env.max_episode_steps = 5;
  c.actor.hidden = c.critic.hidden = {8};
  c.ddpg.batch_size = 8;
  c.ddpg.updates_per_step = 0.25;
  c.replay.capacity = 400;
  c.replay.warmup_steps = 16;
  c.rollout.policy_lag = 1;
  c.population.pbt.interval = 40;
  c.population.pbt.fraction = 0.34;
  c.precision = Precision::kFp32;
  return c;
}

std::vector<char> state(const Backend& b) {
  std::vector<char> all(static_cast<size_t>(b.tensors().agents) * b.tensors().agent_bytes);
  b.read(0, all.size(), all.data());
  return all;
}

TEST(CudaPbt, RanksFromTheLargestScoreAndKeepsEqualOnesInTheirOrder) {
  const CudaBackend b(population(), 0);
  const double none = -std::numeric_limits<double>::infinity();
  EXPECT_EQ(b.rank({-3.0, none, 5.0, -3.0, 1e300, 0.0}), (std::vector<int64_t>{4, 2, 5, 0, 3, 1}));
}

TEST(CudaPbt, ExploitsAsTheCpuDoes) {
  const Config c = population();
  const auto cpu = make_cpu_backend(c, 1);
  cpu->initialise();
  const std::atomic<bool> stop{false};
  ASSERT_EQ(cpu->run(10, stop).iteration, 10u);
  AgentCounters frozen = read_counters(*cpu, 1);  // and is revived as a copy
  frozen.fault = static_cast<uint64_t>(Fault::kCriticLoss);
  write_counters(*cpu, 1, frozen);
  CudaBackend gpu(c, 0);
  const std::vector<char> before = state(*cpu);
  gpu.write(0, before.size(), before.data());
  const auto want = exploit(*cpu, c, 10), got = exploit(gpu, c, 10);
  ASSERT_EQ(want.size(), 2u);
  ASSERT_EQ(got.size(), 2u);
  for (size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(got[i].from, want[i].from);
    EXPECT_EQ(got[i].to, want[i].to);
    EXPECT_EQ(got[i].revived, want[i].revived);
  }
  EXPECT_NE(state(*cpu), before);
  EXPECT_EQ(state(gpu), state(*cpu));
  EXPECT_EQ(gpu.run(12, stop).iteration, 12u);
}

}  // namespace
}  // namespace pendula
