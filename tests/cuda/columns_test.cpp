// The tuned cluster plan (kernels/column_trainer.h) against the CPU: gradients, by Adam's first
// moments after one update, and 100 updates; any batch and width; the options of the algorithm;
// many environments; and an agent of a population against the run of that agent alone, bit for bit.
#include <cstdlib>

#include "tests/cuda/training_parity.h"

namespace pendula {
namespace {

// The simulator orders accesses to device memory of different blocks by the end of a launch and by
// the grid's barrier, not by a cluster's: here it looks at shared memory alone.
[[maybe_unused]] const int kRaceCheck = setenv("CUDASIM_RACECHECK", "1", 1);

// tanh: in a wide network some relu always lies where tf32 switches it. Up to 16 units are those of
// the first block alone.
Config column_config(int64_t hidden, int64_t batch) {
  Config c = tuned_config("cluster", hidden, batch);
  c.actor.activation = c.critic.activation = Activation::kTanh;
  return c;
}

int blocks_of(const Config& c) { return CudaBackend(c, 0).device_plan().setup.cluster; }

TEST(Columns, SixteenOfEachBlock) {
  EXPECT_EQ(blocks_of(column_config(1, 4)), 4);
  EXPECT_EQ(blocks_of(column_config(64, 4)), 4);
  EXPECT_EQ(blocks_of(column_config(65, 4)), 8);
  EXPECT_EQ(blocks_of(column_config(256, 4)), 16);
  Config c = column_config(256, 4);
  c.critic.hidden = {256, 257};
  EXPECT_FALSE(CudaBackend(c, 0).device_plan().columns);
  c = column_config(256, 4);
  c.precision = Precision::kFp32;
  EXPECT_FALSE(CudaBackend(c, 0).device_plan().columns);
}

TEST(Columns, TrainAsTheCpuDoesWithAnyBatch) {
  for (const int64_t batch : {1, 31, 100, 128, 256}) {
    SCOPED_TRACE(batch);
    expect_cpus_training(column_config(64, batch));
  }
}

TEST(Columns, TrainAsTheCpuDoesWithAnyWidth) {
  for (const int64_t hidden : {1, 17, 128}) {
    SCOPED_TRACE(hidden);
    expect_cpus_training(column_config(hidden, 31));
  }
  Config c = column_config(100, 31);
  c.actor.hidden = {24, 90};
  c.critic.hidden = {128, 7};
  expect_cpus_training(c);
}

TEST(ColumnsLarge, TrainAsTheCpuDoesWith256Units) {
  expect_cpus_training(column_config(256, 31));
  expect_cpus_training(column_config(256, 256), 0, 17);
}

TEST(Columns, EachOptionOfTheAlgorithm) {
  Config c = column_config(56, 64);
  c.ddpg.loss = Loss::kHuber;
  c.ddpg.tau = 1.0;
  c.ddpg.target_update_interval = 7;
  c.ddpg.reward_scale = 0.5;
  c.optimizer.max_grad_norm = 0.05;
  c.optimizer.weight_decay = 0.01;
  expect_cpus_training(c);
  c = tuned_config("cluster", 64, 100);  // relu
  expect_cpus_training(c);
}

// More tiles than blocks, and fewer; two actions would be another environment's.
TEST(Columns, BlocksActForEachOther) {
  for (const int64_t envs : {70, 300}) {
    Config c = column_config(50, 40);
    c.env.num_envs = envs;
    c.rollout.length = 2;
    c.replay.capacity = 16 * envs;
    c.replay.warmup_steps = 2 * envs;
    c.ddpg.updates_per_step = 1.0 / static_cast<double>(2 * envs);
    c.report.interval = 2 * envs;
    const auto a = cpu(c), b = tuned(c);
    run_until(*a, 4);
    run_until(*b, 4);
    expect_close(*b, *a, "env.state", 2e-3, 1.0);
    expect_close(*b, *a, "replay.records", 2e-3, 1.0);
    const auto want = a->take_reports(), got = b->take_reports();
    ASSERT_EQ(got.size(), 4u);
    EXPECT_EQ(got.back().updates, want.back().updates);
    EXPECT_EQ(got.back().timesteps, want.back().timesteps);
  }
}

TEST(Columns, AnAgentOfAPopulationHasTheBitsThatItHasAlone) {
  Config many = column_config(40, 8);
  many.agents = 500;
  const int64_t clusters = CudaBackend(many, 0).device_plan().setup.clusters;
  for (const int64_t agents : {int64_t{2}, int64_t{7}, clusters + 1}) {
    Config c = column_config(40, 8);
    c.agents = agents;
    c.ddpg.updates_per_step = 0.25;
    const auto all = tuned(c);
    const uint64_t iterations = agents > clusters ? 18 : 24;
    run_until(*all, iterations);
    for (const int64_t k : {int64_t{0}, agents / 2, agents - 1}) {
      Config one = c;
      one.agents = 1;
      one.seed = c.seed + static_cast<uint64_t>(k);
      const auto alone = tuned(one);
      run_until(*alone, iterations);
      EXPECT_EQ(agent_state(*all, static_cast<uint64_t>(k)), agent_state(*alone, 0)) << k;
    }
  }
}

// A launch of the simulator's ends after a second anyway: few updates, so that not each is alone.
TEST(Columns, WhereALaunchIsCutNeverChangesABit) {
  Config c = column_config(40, 40);
  c.ddpg.updates_per_step = 0.25;
  const auto whole = tuned(c), pieces = tuned(c);
  run_until(*whole, 22);
  for (uint64_t at = 15; at <= 22; ++at) run_until(*pieces, at);
  EXPECT_EQ(agent_state(*whole, 0), agent_state(*pieces, 0));

  c.ddpg.updates_per_step = 17.5;  // 70 updates: two slices
  const auto slices = tuned(c), cut = tuned(c);
  run_until(*slices, 17);
  for (const uint64_t at : {1, 16, 17}) run_until(*cut, at);
  EXPECT_EQ(agent_state(*slices, 0), agent_state(*cut, 0));
}

TEST(Columns, ANanIsNamed) {
  const Config c = column_config(40, 40);
  const auto b = tuned(c);
  run_until(*b, 18);
  const float nan = std::nanf("");
  for (const TensorSpec& t : b->tensors().tensors) {
    if (t.name == "agents.critic.layers.1.weight") b->write(t.offset, sizeof nan, &nan);
  }
  const std::atomic<bool> stop{false};
  EXPECT_EQ(b->run(400, stop).reason, HaltReason::kDiverged);
  ASSERT_EQ(b->faults().size(), 1u);
  EXPECT_EQ(b->faults()[0].fault, Fault::kCriticLoss);
  EXPECT_EQ(b->faults()[0].iteration, 18u);
}

}  // namespace
}  // namespace pendula
