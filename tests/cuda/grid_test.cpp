// The tuned grid plan (kernels/grid_update.h) against the CPU: gradients, by Adam's first moments
// after one update, and what many updates make of the weights; any batch, depth and width, in tf32
// and bf16; the options of the algorithm; and an agent of a population against the run of that
// agent alone, bit for bit.
#include "tests/cuda/training_parity.h"
#include "tests/variants.h"

namespace pendula {
namespace {

// A relu that lies where rounding switches it shows in a gradient, the more the fewer samples there
// are; in a wide or deep network, or with bf16, some always do. An index that is wrong errs by 1,
// and narrow networks without such a relu are compared without this allowance.
constexpr double kSwitches = 16.0;

Config grid_config(std::vector<int64_t> hidden, int64_t batch) {
  Config c = tuned_config("grid", 1, batch);
  c.actor.hidden = hidden;
  c.critic.hidden = hidden;
  return c;
}

GridShape shape_of(const Config& c) { return CudaBackend(c, 0).device_plan().grid->shape; }

TEST(Grid, TheShapeFitsTheNetworks) {
  EXPECT_EQ(shape_of(grid_config({64, 64}, 4)), GridShape::kNarrow);
  EXPECT_EQ(shape_of(grid_config({65}, 4)), GridShape::kRows64);
  EXPECT_EQ(shape_of(grid_config({256, 256}, 4)), GridShape::kRows32);
  EXPECT_EQ(shape_of(grid_config({1000, 500, 200}, 4)), GridShape::kRows16);
  Config c = grid_config({256, 256}, 4);
  c.precision = Precision::kBf16;
  EXPECT_EQ(shape_of(c), GridShape::kRows64);
  c.actor.hidden = {3600, 2};
  EXPECT_EQ(shape_of(c), GridShape::kRows16);
}

TEST(Grid, TrainsAsTheCpuDoesWithAnyBatch) {
  for (const int64_t batch : {1, 31, 127}) {
    SCOPED_TRACE(batch);
    expect_cpus_training(grid_config({64, 64}, batch), 0, 29);
  }
  expect_cpus_training(grid_config({20, 33}, 4097), 0, 17);
  expect_cpus_training(grid_config({8}, 8300), 0, 17);  // a block has two tiles
}

TEST(Grid, TrainsAsTheCpuDoesWithAnyNetwork) {
  const std::vector<std::vector<int64_t>> narrow = {{1}, {17}};
  for (const auto& hidden : narrow) {
    SCOPED_TRACE(hidden.front());
    expect_cpus_training(grid_config(hidden, 100), 0, 29);
  }
  const std::vector<std::vector<int64_t>> wide = {
      {100}, {1, 17}, {130, 70}, {66, 31, 90}, {40, 33, 20, 50}};
  for (const auto& hidden : wide) {
    SCOPED_TRACE(hidden.front());
    expect_cpus_training(grid_config(hidden, 100), 0, 19, kSwitches);
  }
  Config c = grid_config({24, 33}, 100);
  c.critic.hidden = {50, 7, 61};
  expect_cpus_training(c, 0, 29, kSwitches);
}

TEST(Grid, TrainsAsTheCpuDoesInBf16) {
  const std::vector<std::vector<int64_t>> networks = {
      {64, 64}, {17}, {66, 31, 90}, {300, 130}, {3000, 20}};
  for (const auto& hidden : networks) {
    SCOPED_TRACE(hidden.front());
    Config c = grid_config(hidden, 100);
    c.precision = Precision::kBf16;
    expect_cpus_training(c, 0, 17, 2 * kSwitches);
  }
}

TEST(Grid, EachOptionOfTheAlgorithm) {
  Config c = grid_config({32, 20}, 64);
  use_each_option(c);
  expect_cpus_training(c);
}

TEST(Grid, AnAgentOfAPopulationHasTheBitsThatItHasAlone) {
  Config c = grid_config({20, 20}, 70);
  c.agents = 5;
  c.ddpg.updates_per_step = 0.25;
  expect_bits_of_agents_alone(c, 0, 24);
}

// Agents with batches of their own: a sum is split by these, not by the largest.
TEST(Grid, AnAgentWithASmallerBatchHasTheBitsThatItHasAlone) {
  Config c = grid_config({70, 20}, 300);
  c.agents = 2;
  c.per_agent["/ddpg/batch_size"] =
      std::make_shared<const nlohmann::json>(std::vector<int>{300, 65});
  const auto all = tuned(c);
  run_until(*all, 18);
  Config one = grid_config({70, 20}, 65);
  one.seed = c.seed + 1;
  const auto alone = tuned(one);
  run_until(*alone, 18);
  for (const TensorSpec& t : alone->tensors().tensors) {
    if (t.dtype != DType::kF32) continue;
    SCOPED_TRACE(t.name);
    TensorSpec second = t;
    second.offset += all->tensors().agent_bytes;
    EXPECT_EQ(values(*all, second), values(*alone, t));
  }
}

TEST(Grid, WhereALaunchIsCutNeverChangesABit) {
  expect_cuts_change_no_bit(grid_config({16, 16}, 40));
}

// With policy_lag 1 rollouts run beside updates, but for the last of a launch. Launches of a single
// iteration do one after the other.
TEST(Grid, ActingBesideLearningChangesNoBit) {
  Config c = grid_config({16, 16}, 40);
  c.rollout.policy_lag = 1;
  c.noise.type = NoiseType::kOu;
  c.optimizer.actor_lr = 1e-2;  // so that an actor of another iteration shows
  expect_cuts_change_no_bit(c);
  const auto stopped = tuned(c), in_turn = tuned(c);
  const std::atomic<bool> stop{true};
  run_until(*stopped, 16);
  const RunResult r = stopped->run(30, stop);
  EXPECT_EQ(r.reason, HaltReason::kStopFlag);
  EXPECT_LE(r.iteration, 18u);
  for (uint64_t at = 16; at <= r.iteration; ++at) run_until(*in_turn, at);
  EXPECT_EQ(agent_state(*stopped, 0), agent_state(*in_turn, 0));
}

// Networks that come from elsewhere between two launches become operands too.
TEST(Grid, GoesOnWithTheCopyOfAnAgent) {
  Config c = grid_config({16, 16}, 40);
  c.agents = 2;
  const auto copied = tuned(c), loaded = tuned(c);
  run_until(*copied, 18);
  copied->copy_agents({{1, 0, false}});
  for (uint64_t k = 0; k < 2; ++k) {
    const std::vector<char> agent = agent_state(*copied, k);
    loaded->write(k * agent.size(), agent.size(), agent.data());
  }
  run_until(*copied, 20);
  run_until(*loaded, 20);
  for (uint64_t k = 0; k < 2; ++k) EXPECT_EQ(agent_state(*copied, k), agent_state(*loaded, k)) << k;
}

TEST(Grid, GoesOnFromTheCpu) { expect_to_go_on_from_the_cpu(grid_config({16, 16}, 40)); }

TEST(Grid, ANanIsNamed) { expect_a_nan_to_be_named(grid_config({16, 16}, 40)); }

TEST(Grid, WhatItCannotHaveIsAProgramOfEveryPlan) {
  Config c = grid_config({16, 16}, 40);
  c.actor.activation = Activation::kTanh;
  const CudaBackend b(c, 0);
  EXPECT_FALSE(b.device_plan().grid.has_value());
  EXPECT_NE(b.device_plan().why.find("relu"), std::string::npos) << b.device_plan().why;
  c.precision = Precision::kBf16;
  EXPECT_THROW(CudaBackend(c, 0), Error);
}

class GridOf : public testing::TestWithParam<Variant> {};
INSTANTIATE_TEST_SUITE_P(Variants, GridOf, testing::ValuesIn(kVariants),
                         [](const auto& info) { return std::string(info.param.name); });

TEST_P(GridOf, TrainsAsTheCpuDoes) {
  Config c = grid_config({20, 20}, 48);
  GetParam().apply(c);
  expect_cpus_training(c, 0, 29, kSwitches);
}

}  // namespace
}  // namespace pendula
