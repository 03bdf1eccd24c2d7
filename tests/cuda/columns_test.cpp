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
  use_each_option(c);
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
  Config c = column_config(40, 8);
  c.agents = 500;
  c.ddpg.updates_per_step = 0.25;
  const int64_t clusters = CudaBackend(c, 0).device_plan().setup.clusters;
  for (const int64_t agents : {int64_t{2}, int64_t{7}, clusters + 1}) {
    c.agents = agents;
    expect_bits_of_agents_alone(c, 0, agents > clusters ? 18 : 24);
  }
}

TEST(Columns, WhereALaunchIsCutNeverChangesABit) {
  expect_cuts_change_no_bit(column_config(40, 40));
}

TEST(Columns, ANanIsNamed) { expect_a_nan_to_be_named(column_config(40, 40)); }

}  // namespace
}  // namespace pendula
