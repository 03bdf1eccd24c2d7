// The rollout of the tuned grid plan (kernels/grid_rollout.h): without an actor, in the warm-up,
// the bits of the program of every plan; with each actor the CPU's numbers, as far as its products
// allow.
#include "tests/cuda/training_parity.h"
#include "tests/variants.h"

namespace pendula {
namespace {

// Random for the first iteration, then acting; no updates.
Config rollout_config(std::vector<int64_t> hidden, int64_t envs, int64_t length) {
  Config c = tuned_config("grid", 1, 8);
  c.actor.hidden = hidden;
  c.critic.hidden = {8};
  c.env.num_envs = envs;
  c.env.max_episode_steps = 7;
  c.rollout.length = length;
  c.replay.capacity = envs * (2 * length + 1);  // the third iteration goes round
  c.replay.warmup_steps = 1;
  c.ddpg.updates_per_step = 1e-15;
  c.report.interval = envs * length;
  return c;
}

GridActor actor_of(const Config& c) { return CudaBackend(c, 0).device_plan().grid->actor; }

void expect_cpus_rollouts(const Config& c, uint64_t iterations, double tolerance) {
  const auto a = cpu(c), b = tuned(c);
  run_until(*a, iterations);
  run_until(*b, iterations);
  expect_close(*b, *a, "env.state", tolerance, 1.0);
  expect_close(*b, *a, "replay.records", tolerance, 1.0);
  expect_close(*b, *a, "env.episode_return", tolerance, 1.0);
  const auto want = a->take_reports(), got = b->take_reports();
  ASSERT_EQ(got.size(), want.size());
  for (size_t i = 0; i < got.size(); ++i) {
    EXPECT_EQ(got[i].row_episodes, want[i].row_episodes);
    EXPECT_NEAR(got[i].episode_length_sum, want[i].episode_length_sum, 1e-6);
    EXPECT_NEAR(got[i].episode_return_sum, want[i].episode_return_sum,
                tolerance * (1.0 + std::fabs(want[i].episode_return_sum)));
  }
  for (const TensorSpec& t : a->tensors().tensors) {
    if (t.dtype != DType::kU32) continue;
    size_t n = 4;
    for (const int64_t d : t.shape) n *= static_cast<size_t>(d);
    std::vector<char> x(n), y(n);
    a->read(t.offset, n, x.data());
    b->read(t.offset, n, y.data());
    EXPECT_EQ(x, y) << t.name;
  }
}

constexpr double kTf32 = 2e-3, kBf16 = 2e-2;

TEST(GridRollout, TheActorFitsTheNetwork) {
  EXPECT_EQ(actor_of(rollout_config({64, 1, 64}, 40, 1)), GridActor::kChain);
  EXPECT_EQ(actor_of(rollout_config({65}, 40, 1)), GridActor::kLayers64);
  EXPECT_EQ(actor_of(rollout_config({65}, 16384, 1)), GridActor::kLayers128);
  EXPECT_EQ(actor_of(rollout_config({1000, 500, 200}, 40, 1)), GridActor::kProgram);
}

TEST(GridRollout, AnyEnvironmentsAndLength) {
  for (const int64_t envs : {1, 33, 64, 300}) {
    SCOPED_TRACE(envs);
    expect_cpus_rollouts(rollout_config({17, 40}, envs, 5), 4, kTf32);
    expect_cpus_rollouts(rollout_config({70, 20}, envs, 5), 4, kTf32);
  }
}

TEST(GridRollout, AnyNetwork) {
  const std::vector<std::vector<int64_t>> networks = {
      {1}, {64, 64}, {9, 50, 33}, {400, 300}, {70, 30, 66}};
  for (const auto& hidden : networks) {
    SCOPED_TRACE(hidden.front());
    Config c = rollout_config(hidden, 100, 3);
    expect_cpus_rollouts(c, 3, kTf32);
    c.precision = Precision::kBf16;
    expect_cpus_rollouts(c, 3, kBf16);
  }
}

TEST(GridRollout, TheLaggedActor) {
  for (const auto& hidden : std::vector<std::vector<int64_t>>{{20, 20}, {70, 20}}) {
    Config c = rollout_config(hidden, 70, 3);
    c.rollout.policy_lag = 1;
    expect_cpus_rollouts(c, 4, kTf32);
  }
}

TEST(GridRollout, ManyEnvironments) {
  expect_cpus_rollouts(rollout_config({70}, 16385, 1), 2, kTf32);
}

TEST(GridRolloutLarge, AMillionEnvironments) {
  Config c = rollout_config({8}, 1000003, 1);
  c.replay.capacity = 2 * 1000003;
  expect_cpus_rollouts(c, 2, kTf32);
}

TEST(GridRollout, TheWarmupHasTheBitsOfEveryPlan) {
  for (const NoiseType noise : {NoiseType::kGaussian, NoiseType::kOu}) {
    Config c = rollout_config({16}, 131, 5);
    c.replay.warmup_steps = 131 * 5 * 4;
    c.noise.type = noise;
    const auto b = tuned(c);
    c.precision = Precision::kFp32;
    const auto program = start(std::make_unique<CudaBackend>(c, 0));
    run_until(*b, 4);
    run_until(*program, 4);
    EXPECT_EQ(agent_state(*b, 0), agent_state(*program, 0));
  }
}

class GridRolloutOf : public testing::TestWithParam<Variant> {};
INSTANTIATE_TEST_SUITE_P(Variants, GridRolloutOf, testing::ValuesIn(kVariants),
                         [](const auto& info) { return std::string(info.param.name); });

TEST_P(GridRolloutOf, RollsOutAsTheCpuDoes) {
  Config c = rollout_config({20, 20}, 70, 6);
  GetParam().apply(c);
  expect_cpus_rollouts(c, 4, kTf32);
}

}  // namespace
}  // namespace pendula
