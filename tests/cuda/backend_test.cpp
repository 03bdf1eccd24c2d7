// The CUDA backend against the CPU backend, and against itself: launches cut anywhere, faults,
// stops.
//
// Tolerances. fp32: products round as the CPU's do except in gradients, where sums over the batch
// have another order; Adam turns a gradient near 0 into a step of up to lr whatever its size, so
// that after n updates a weight may be off by a few lr. tf32: operands are rounded to 11 bits.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <thread>

#include "host/cuda/backend.h"
#include "host/cuda_loader.h"
#include "host/error.h"
#include "host/memory_plan.h"
#include "host/play.h"
#include "tests/variants.h"

namespace pendula {
namespace {

Config small_config() {
  Config c;
  c.plan = "grid";  // the others: plans_test.cpp, tiles_test.cpp
  c.seed = 7;
  c.env.num_envs = 4;
  c.env.max_episode_steps = 12;
  c.actor.hidden = {16, 16};
  c.critic.hidden = {16, 16};
  c.ddpg.batch_size = 32;
  c.ddpg.updates_per_step = 0.5;
  c.replay.capacity = 400;
  c.replay.warmup_steps = 16;
  c.report.interval = 20;
  c.precision = Precision::kFp32;
  return c;
}

std::unique_ptr<Backend> start(std::unique_ptr<Backend> backend) {
  backend->initialise();
  return backend;
}
std::unique_ptr<Backend> cpu(const Config& c) { return start(make_cpu_backend(c, 1)); }
std::unique_ptr<Backend> cuda(const Config& c) {
  return start(std::make_unique<CudaBackend>(c, 0));
}

// Runs until `until` whatever cuts a launch short.
void run_until(Backend& b, uint64_t until) {
  const std::atomic<bool> stop{false};
  RunResult r;
  do {
    r = b.run(until, stop);
    ASSERT_TRUE(r.reason == HaltReason::kReached || r.reason == HaltReason::kTime);
  } while (r.iteration < until);
  EXPECT_EQ(r.iteration, until);
}

std::vector<char> state(const Backend& b) {
  std::vector<char> all(static_cast<size_t>(b.tensors().agents) * b.tensors().agent_bytes);
  b.read(0, all.size(), all.data());
  return all;
}

const TensorSpec& find(const Backend& b, const std::string& name) {
  for (const TensorSpec& t : b.tensors().tensors) {
    if (t.name == name) return t;
  }
  throw std::logic_error("no tensor " + name);
}

std::vector<float> values(const Backend& b, const TensorSpec& t) {
  size_t n = 1;
  for (size_t i = 1; i < t.shape.size(); ++i) n *= static_cast<size_t>(t.shape[i]);
  std::vector<float> v(n);
  b.read(t.offset, n * sizeof(float), v.data());
  return v;
}

// Every float tensor, by its largest error; NaN fails.
void expect_close(const Backend& a, const Backend& b, double tolerance) {
  for (const TensorSpec& t : a.tensors().tensors) {
    if (t.dtype != DType::kF32) continue;
    const std::vector<float> x = values(a, t), y = values(b, t);
    double error = 0.0, largest = 1.0;
    for (size_t i = 0; i < x.size(); ++i) {
      const double d = std::fabs(static_cast<double>(x[i]) - static_cast<double>(y[i]));
      if (!(d <= error)) error = d;
      largest = std::max(largest, std::fabs(static_cast<double>(y[i])));
    }
    EXPECT_LE(error, tolerance * largest) << t.name;
  }
}

TEST(CudaBackend, StartsFromTheCpusState) {
  const Config c = small_config();
  EXPECT_EQ(state(*cpu(c)), state(*cuda(c)));
}

TEST(CudaBackend, TrainsAsTheCpuDoes) {
  for (Precision precision : {Precision::kFp32, Precision::kTf32}) {
    for (bool clip : {false, true}) {
      Config c = small_config();
      c.precision = precision;
      if (clip) c.optimizer.max_grad_norm = 0.5;
      const double tolerance = precision == Precision::kFp32 ? 2e-5 : 2e-2;
      const auto a = cpu(c), b = cuda(c);
      run_until(*a, 24);  // 40 updates
      run_until(*b, 24);
      expect_close(*b, *a, tolerance);
      const auto want = a->take_reports(), got = b->take_reports();
      ASSERT_EQ(got.size(), want.size());
      ASSERT_EQ(got.size(), 4u);
      for (size_t i = 0; i < got.size(); ++i) {
        EXPECT_EQ(got[i].agent, want[i].agent);
        EXPECT_EQ(got[i].iteration, want[i].iteration);
        EXPECT_EQ(got[i].timesteps, want[i].timesteps);
        EXPECT_EQ(got[i].updates, want[i].updates);
        EXPECT_EQ(got[i].row_updates, want[i].row_updates);
        EXPECT_EQ(got[i].row_episodes, want[i].row_episodes);
        EXPECT_EQ(got[i].episode_length_sum, want[i].episode_length_sum);
        const double scale = std::fabs(want[i].critic_loss_sum) + 1.0;
        EXPECT_NEAR(got[i].critic_loss_sum, want[i].critic_loss_sum, 10 * tolerance * scale);
        EXPECT_NEAR(got[i].q_sum, want[i].q_sum, 100 * tolerance);
        EXPECT_NEAR(got[i].actor_loss_sum, want[i].actor_loss_sum, 100 * tolerance);
        EXPECT_NEAR(got[i].episode_return_sum, want[i].episode_return_sum,
                    tolerance * (1.0 + std::fabs(want[i].episode_return_sum)));
        EXPECT_NEAR(got[i].grad_norm_critic_sum, want[i].grad_norm_critic_sum,
                    10 * tolerance * (1.0 + want[i].grad_norm_critic_sum));
        EXPECT_NEAR(got[i].grad_norm_actor_sum, want[i].grad_norm_actor_sum,
                    10 * tolerance * (1.0 + want[i].grad_norm_actor_sum));
      }
      EXPECT_TRUE(b->take_reports().empty());
      const Evaluation ea = a->evaluate(70), eb = b->evaluate(70);
      ASSERT_EQ(eb.returns.size(), 70u);
      EXPECT_EQ(eb.lengths, ea.lengths);
      for (size_t i = 0; i < 70; ++i) EXPECT_NEAR(eb.returns[i], ea.returns[i], 100 * tolerance);
    }
  }
}

TEST(CudaBackend, EveryActivationLagAndManyAgents) {
  for (Activation activation : {Activation::kTanh, Activation::kSilu}) {
    Config c = small_config();
    c.agents = 3;
    c.env.num_envs = 70;  // two tiles
    c.replay.capacity = 7000;
    c.replay.warmup_steps = 70;
    c.ddpg.batch_size = 100;  // two partial sums
    c.ddpg.updates_per_step = 0.1;
    c.actor.activation = c.critic.activation = activation;
    c.rollout.policy_lag = 1;
    c.rollout.length = 2;
    const auto a = cpu(c), b = cuda(c);
    run_until(*a, 3);
    run_until(*b, 3);
    expect_close(*b, *a, 1e-5);
    EXPECT_EQ(b->evaluate(3).returns.size(), 9u);
  }
}

// Each environment, noise and option of the algorithm.
class CudaBackendOf : public testing::TestWithParam<Variant> {
 protected:
  static Config config() {
    Config c = small_config();
    GetParam().apply(c);
    return c;
  }
};
INSTANTIATE_TEST_SUITE_P(Variants, CudaBackendOf, testing::ValuesIn(kVariants),
                         [](const auto& info) { return std::string(info.param.name); });

TEST_P(CudaBackendOf, StartsAndTrainsAsTheCpuDoes) {
  const Config c = config();
  const auto a = cpu(c), b = cuda(c);
  EXPECT_EQ(state(*a), state(*b));
  run_until(*a, 24);  // 40 updates
  run_until(*b, 24);
  expect_close(*b, *a, 5e-5);
  const Evaluation ea = a->evaluate(70), eb = b->evaluate(70);
  EXPECT_EQ(eb.lengths, ea.lengths);
  for (size_t i = 0; i < 70; ++i) EXPECT_NEAR(eb.returns[i], ea.returns[i], 5e-3);
}

TEST_P(CudaBackendOf, WhereALaunchIsCutNeverChangesABit) {
  const Config c = config();
  const auto whole = cuda(c), pieces = cuda(c);
  run_until(*whole, 22);
  uint64_t at = 0;
  for (uint64_t n : {1, 3, 7, 1, 10}) run_until(*pieces, at += n);
  EXPECT_EQ(state(*whole), state(*pieces));
  run_until(*whole, 22);  // already there: nothing happens
  EXPECT_EQ(state(*whole), state(*pieces));
  const auto a = whole->take_reports(), b = pieces->take_reports();
  ASSERT_EQ(a.size(), b.size());
  EXPECT_EQ(std::memcmp(a.data(), b.data(), a.size() * sizeof(ReportRow)), 0);
}

TEST(CudaBackend, GoesOnFromStateThatWasWritten) {
  const Config c = small_config();
  const auto a = cuda(c), b = cuda(c);
  run_until(*a, 9);
  const std::vector<char> saved = state(*a);
  b->write(0, saved.size(), saved.data());
  run_until(*a, 15);
  run_until(*b, 15);
  EXPECT_EQ(state(*a), state(*b));
}

TEST(CudaBackend, SeveralSlicesOfAnIterationInATurn) {
  Config c = small_config();
  c.ddpg.updates_per_step = 17.5;  // 70 updates: two slices of 35
  c.replay.warmup_steps = 4;
  const auto a = cpu(c), b = cuda(c);
  run_until(*a, 2);
  run_until(*b, 2);
  EXPECT_EQ(b->take_reports().size(), a->take_reports().size());
  expect_close(*b, *a, 1e-3);  // after 70 updates
}

TEST(CudaBackend, WideNetworksSpill) {
  Config c = small_config();
  c.actor.hidden = {1000, 500, 200};
  c.critic.hidden = {400, 200};
  c.replay.warmup_steps = 4;
  c.ddpg.updates_per_step = 0.25;
  for (Precision precision : {Precision::kFp32, Precision::kTf32}) {
    c.precision = precision;
    // A rollout beside the updates has scratch of its own.
    c.rollout.policy_lag = precision == Precision::kFp32 ? 1 : 0;
    const auto a = cpu(c), b = cuda(c);
    run_until(*a, 3);
    run_until(*b, 3);
    expect_close(*b, *a, precision == Precision::kFp32 ? 5e-5 : 3e-3);
  }
}

TEST(CudaBackend, AStopFlagEndsALaunch) {
  const auto b = cuda(small_config());
  std::atomic<bool> stop{true};
  const RunResult r = b->run(1u << 30, stop);
  EXPECT_EQ(r.reason, HaltReason::kStopFlag);
  EXPECT_GE(r.iteration, 1u);
  stop = false;
  run_until(*b, r.iteration + 1);
}

// fp32; tf32, whose warm-up is a launch of its own, as long as the ring; and where rollouts run
// ahead.
TEST(CudaBackend, AFullReportRingEndsALaunch) {
  for (const int variant : {0, 1, 2}) {
    SCOPED_TRACE(variant);
    Config c = small_config();
    c.agents = 1;
    c.report.interval = 4;  // every iteration
    c.replay.capacity = 2048;
    c.replay.warmup_steps = 4 * 256;
    c.ddpg.updates_per_step = 0.01;
    if (variant > 0) c.precision = Precision::kTf32;
    c.rollout.policy_lag = variant == 2 ? 1 : 0;
    const auto b = cuda(c);
    const std::atomic<bool> stop{false};
    uint64_t rows = 0;
    for (RunResult r{HaltReason::kTime, 0, 0}; r.iteration < 600;) {
      r = b->run(600, stop);
      for (const ReportRow& row : b->take_reports()) {
        ++rows;
        ASSERT_EQ(row.iteration, rows);
      }
    }
    EXPECT_EQ(rows, 600u);
  }
}

TEST(CudaBackend, ANanEndsALaunchAndIsNamed) {
  const struct {
    const char* tensor;
    Fault fault;
  } cases[] = {{"agents.critic.layers.0.weight", Fault::kCriticLoss},
               {"agents.actor.layers.1.bias", Fault::kReward}};
  for (const auto& [tensor, fault] : cases) {
    const auto b = cuda(small_config());
    run_until(*b, 6);
    const float nan = std::nanf("");
    b->write(find(*b, tensor).offset, sizeof nan, &nan);
    const std::atomic<bool> stop{false};
    const RunResult r = b->run(100, stop);
    EXPECT_EQ(r.reason, HaltReason::kDiverged) << tensor;
    EXPECT_EQ(r.iteration, 7u);
    const auto faults = b->faults();
    ASSERT_EQ(faults.size(), 1u);
    EXPECT_EQ(faults[0].fault, fault) << tensor;
    EXPECT_EQ(faults[0].iteration, 6u);
  }
}

TEST(CudaBackend, SaysWhatItRunsOn) {
  const DeviceInfo d = cuda(small_config())->device();
  EXPECT_FALSE(d.name.empty());
  EXPECT_NE(d.detail.find("compute capability"), std::string::npos);
  EXPECT_EQ(d.meta.at("device"), "cuda");
}

TEST(CudaPlugin, TrainsAndThrowsThroughTheSharedLibrary) {
  setenv("PENDULA_CUDA_PLUGIN", PENDULA_CUDA_PLUGIN_FILE, 0);
  const CudaProbe probe = probe_cuda();
  ASSERT_TRUE(probe.available) << probe.sentence;
  const Config c = small_config();
  const auto direct = cuda(c);
  const auto plugged = start(make_cuda_backend(c, 0));
  run_until(*direct, 8);
  run_until(*plugged, 8);
  EXPECT_EQ(state(*direct), state(*plugged));
  try {
    make_cuda_backend(c, 99);
    FAIL() << "device 99";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ExitCode::kDevice);
    EXPECT_NE(std::string(e.what()).find("cuda:0"), std::string::npos);
  }
  Config huge = c;
  huge.replay.capacity = int64_t{1} << 40;  // 16 TiB
  try {
    make_cuda_backend(huge, 0);
    FAIL() << "16 TiB";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ExitCode::kMemory);
    EXPECT_NE(std::string(e.what()).find("replay.capacity"), std::string::npos) << e.what();
  }
}

// What is taken of the GPU's memory, against what was told before.
TEST(CudaBackend, TakesTheMemoryThatItSays) {
  std::vector<Config> configs(3, small_config());
  configs[0].replay.capacity = 2000000;
  configs[1].plan = "grid";
  configs[1].precision = Precision::kBf16;
  configs[1].ddpg.batch_size = 50000;
  configs[2].plan = "grid";  // scratch outside shared memory
  configs[2].actor.hidden = configs[2].critic.hidden = {600, 600};
  const auto free_memory = [] {
    size_t free = 0, total = 0;
    EXPECT_EQ(cudaMemGetInfo(&free, &total), cudaSuccess);
    return static_cast<double>(free);
  };
  for (const Config& c : configs) {
    const double before = free_memory();
    const CudaBackend backend(c, 0);
    const double taken = before - free_memory();
    const Plan p = make_plan(c, *find_environment(c.env.id), sizeof(float)).plan;
    const MemoryPlan memory = gpu_memory_plan(c, p, plan_on_gpu(c, 0));
    const double evaluation = 8.0 * static_cast<double>(c.agents * c.eval.final_episodes);
    EXPECT_NEAR(taken, static_cast<double>(memory.bytes()) - evaluation, 0.05 * taken)
        << memory.text();
  }
}

}  // namespace
}  // namespace pendula
