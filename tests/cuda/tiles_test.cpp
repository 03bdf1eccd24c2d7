// The tuned block plan (kernels/tile_trainer.h) against the CPU, for each kind of GPU: gradients,
// by Adam's first moments after one update, and 100 updates; any batch and width; the options of
// the algorithm; and an agent of a population against the run of that agent alone, bit for bit.
//
// Tolerances. Operands are rounded to 11 bits: a product of 64 terms errs by about 2^-11 of its
// largest terms, and a gradient by some of that. Adam turns a gradient near 0 into a step of up to
// lr whatever its size, so that after n updates a weight may be off by up to 2 n lr.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "host/cuda/backend.h"
#include "host/play.h"
#include "tests/variants.h"

namespace pendula {
namespace {

constexpr double kGradient = 6e-3;  // of the largest of a tensor

#if defined(PENDULA_ALL_TILES)
constexpr int kKinds[] = {90, 80, 120};
#else
constexpr int kKinds[] = {0};
#endif

Config tile_config(int64_t hidden, int64_t batch) {
  Config c;
  c.plan = "block";
  c.seed = 7;
  c.env.num_envs = 4;
  c.env.max_episode_steps = 12;
  c.actor.hidden = {hidden, hidden};
  c.critic.hidden = {hidden, hidden};
  c.ddpg.batch_size = batch;
  c.ddpg.updates_per_step = 1.0;
  c.optimizer.actor_lr = c.optimizer.critic_lr = 1e-4;
  c.replay.capacity = 400;
  c.replay.warmup_steps = 64;
  c.report.interval = 4;
  c.precision = Precision::kTf32;
  return c;
}

std::unique_ptr<Backend> start(std::unique_ptr<Backend> backend) {
  backend->initialise();
  return backend;
}
std::unique_ptr<Backend> cpu(const Config& c) { return start(make_cpu_backend(c, 1)); }
std::unique_ptr<Backend> tiles(const Config& c, int capability) {
  auto backend = std::make_unique<CudaBackend>(c, 0, capability);
  EXPECT_TRUE(backend->device_plan().tiles.has_value());
  return start(std::move(backend));
}

void run_until(Backend& b, uint64_t until) {
  const std::atomic<bool> stop{false};
  RunResult r;
  do {
    r = b.run(until, stop);
  } while (r.reason == HaltReason::kTime);
  ASSERT_EQ(r.reason, HaltReason::kReached);
}

std::vector<float> values(const Backend& b, const TensorSpec& t) {
  size_t n = 1;
  for (size_t i = 1; i < t.shape.size(); ++i) n *= static_cast<size_t>(t.shape[i]);
  std::vector<float> v(n);
  b.read(t.offset, n * sizeof(float), v.data());
  return v;
}

// Every float tensor whose name ends like that, by its largest error over its largest element (at
// least `unit`); NaN fails.
void expect_close(const Backend& got, const Backend& want, const std::string& ending,
                  double tolerance, double unit) {
  int seen = 0;
  for (const TensorSpec& t : want.tensors().tensors) {
    const size_t at = t.name.rfind(ending);
    if (t.dtype != DType::kF32 || at == std::string::npos || at + ending.size() != t.name.size()) {
      continue;
    }
    const std::vector<float> x = values(got, t), y = values(want, t);
    double error = 0.0, largest = unit;
    for (size_t i = 0; i < x.size(); ++i) {
      const double d = std::fabs(static_cast<double>(x[i]) - static_cast<double>(y[i]));
      if (!(d <= error)) error = d;
      largest = std::max(largest, std::fabs(static_cast<double>(y[i])));
    }
    EXPECT_LE(error, tolerance * largest) << t.name;
    ++seen;
  }
  EXPECT_GT(seen, 0) << ending;
}

// After the first update, and after 100.
void expect_cpus_training(const Config& c, int capability) {
  const auto a = cpu(c), b = tiles(c, capability);
  Config once = c;  // the same, until one update has been made
  once.ddpg.updates_per_step = 0.25;
  const auto a1 = cpu(once), b1 = tiles(once, capability);
  run_until(*a1, 17);
  run_until(*b1, 17);
  const auto want1 = a1->take_reports(), got1 = b1->take_reports();
  ASSERT_EQ(got1.size(), 17u);
  EXPECT_EQ(got1.back().updates, 1u);
  EXPECT_NEAR(got1.back().critic_loss_sum, want1.back().critic_loss_sum,
              1e-2 * (0.1 + want1.back().critic_loss_sum));
  EXPECT_NEAR(got1.back().q_sum, want1.back().q_sum, 5e-3);
  EXPECT_NEAR(got1.back().actor_loss_sum, want1.back().actor_loss_sum, 5e-3);
  EXPECT_NEAR(got1.back().grad_norm_critic_sum, want1.back().grad_norm_critic_sum,
              1e-2 * want1.back().grad_norm_critic_sum);
  EXPECT_NEAR(got1.back().grad_norm_actor_sum, want1.back().grad_norm_actor_sum,
              1e-2 * want1.back().grad_norm_actor_sum + 1e-6);
  expect_close(*b1, *a1, ".adam_m", kGradient, 1e-7);
  expect_close(*b1, *a1, ".adam_v", 2 * kGradient, 1e-12);

  run_until(*a, 41);  // 100 updates
  run_until(*b, 41);
  expect_close(*b, *a, ".weight", 2e-3, 1.0);
  expect_close(*b, *a, ".bias", 2e-3, 1.0);
  const auto want = a->take_reports(), got = b->take_reports();
  ASSERT_EQ(got.size(), want.size());
  EXPECT_EQ(got.back().updates, 100u);
  EXPECT_EQ(got.back().timesteps, want.back().timesteps);
  const Evaluation ea = a->evaluate(70), eb = b->evaluate(70);
  for (size_t i = 0; i < 70; ++i) EXPECT_NEAR(eb.returns[i], ea.returns[i], 0.5);
}

class Tiles : public testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(Kinds, Tiles, testing::ValuesIn(kKinds));

TEST_P(Tiles, TrainAsTheCpuDoesWithAnyBatch) {
  const bool first = GetParam() == kKinds[0];
  for (const int64_t batch :
       first ? std::vector<int64_t>{1, 31, 100, 128, 256} : std::vector<int64_t>{31, 256}) {
    SCOPED_TRACE(batch);
    expect_cpus_training(tile_config(64, batch), GetParam());
  }
}

TEST_P(Tiles, TrainAsTheCpuDoesWithAnyWidth) {
  for (const int64_t hidden : {1, 17}) {
    SCOPED_TRACE(hidden);
    expect_cpus_training(tile_config(hidden, 100), GetParam());
  }
  Config c = tile_config(64, 31);
  c.actor.hidden = {24, 33};
  c.critic.hidden = {50, 7};
  expect_cpus_training(c, GetParam());
}

TEST_P(Tiles, EachOptionOfTheAlgorithm) {
  Config c = tile_config(32, 64);
  c.actor.activation = c.critic.activation = Activation::kTanh;
  c.ddpg.loss = Loss::kHuber;
  c.ddpg.tau = 1.0;
  c.ddpg.target_update_interval = 7;
  c.ddpg.reward_scale = 0.5;
  c.optimizer.max_grad_norm = 0.05;
  c.optimizer.weight_decay = 0.01;
  expect_cpus_training(c, GetParam());
}

std::vector<char> agent_state(const Backend& b, uint64_t k) {
  std::vector<char> part(b.tensors().agent_bytes);
  b.read(k * part.size(), part.size(), part.data());
  return part;
}

TEST_P(Tiles, AnAgentOfAPopulationHasTheBitsThatItHasAlone) {
  for (const int64_t agents : {2, 7, 133}) {
    if (agents == 133 && GetParam() != kKinds[0]) continue;  // the turns are the same code
    Config c = tile_config(8, 8);
    c.agents = agents;
    c.ddpg.updates_per_step = 0.25;
    const auto all = tiles(c, GetParam());
    const uint64_t iterations = agents == 133 ? 18 : 24;
    run_until(*all, iterations);
    for (const int64_t k : {int64_t{0}, agents / 2, agents - 1}) {
      Config one = c;
      one.agents = 1;
      one.seed = c.seed + static_cast<uint64_t>(k);
      const auto alone = tiles(one, GetParam());
      run_until(*alone, iterations);
      EXPECT_EQ(agent_state(*all, static_cast<uint64_t>(k)), agent_state(*alone, 0)) << k;
    }
  }
}

TEST_P(Tiles, WhereALaunchIsCutNeverChangesABit) {
  Config c = tile_config(16, 40);
  c.ddpg.updates_per_step = 17.5;  // 70 updates: two slices
  const auto whole = tiles(c, GetParam()), pieces = tiles(c, GetParam());
  run_until(*whole, 20);
  for (const uint64_t at : {1, 16, 17, 18, 20}) run_until(*pieces, at);
  EXPECT_EQ(agent_state(*whole, 0), agent_state(*pieces, 0));
}

TEST(Tile, GoesOnFromACpusState) {
  const Config c = tile_config(16, 40);
  const auto a = cpu(c), b = tiles(c, kKinds[0]);
  run_until(*a, 25);
  const std::vector<char> saved = agent_state(*a, 0);
  b->write(0, saved.size(), saved.data());
  run_until(*a, 26);
  run_until(*b, 26);
  expect_close(*b, *a, ".weight", 1e-4, 1.0);
}

TEST(Tile, ANanIsNamed) {
  const Config c = tile_config(16, 40);
  const auto b = tiles(c, kKinds[0]);
  run_until(*b, 20);
  const float nan = std::nanf("");
  for (const TensorSpec& t : b->tensors().tensors) {
    if (t.name == "agents.critic.layers.1.weight") b->write(t.offset, sizeof nan, &nan);
  }
  const std::atomic<bool> stop{false};
  EXPECT_EQ(b->run(400, stop).reason, HaltReason::kDiverged);
  ASSERT_EQ(b->faults().size(), 1u);
  EXPECT_EQ(b->faults()[0].fault, Fault::kCriticLoss);
  EXPECT_EQ(b->faults()[0].iteration, 20u);
}

class TilesOf : public testing::TestWithParam<Variant> {};
INSTANTIATE_TEST_SUITE_P(Variants, TilesOf, testing::ValuesIn(kVariants),
                         [](const auto& info) { return std::string(info.param.name); });

TEST_P(TilesOf, TrainAsTheCpuDoes) {
  Config c = tile_config(20, 48);
  // Smooth: in so narrow a network one relu that tf32 switches shows in a gradient.
  c.actor.activation = c.critic.activation = Activation::kTanh;
  GetParam().apply(c);
  if (c.rollout.policy_lag != 0) c.rollout.policy_lag = 0;  // acts with other parameters: no tiles
  expect_cpus_training(c, kKinds[0]);
}

}  // namespace
}  // namespace pendula
