// What the tests of the tuned plans share: training on the GPU in a given plan, beside the CPU's.
//
// Tolerances. Operands are rounded to 11 bits: a product of 64 terms errs by about 2^-11 of its
// largest terms, and a gradient by some of that. Adam turns a gradient near 0 into a step of up to
// lr whatever its size, so that after n updates a weight may be off by up to 2 n lr.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "host/cuda/backend.h"
#include "host/play.h"

namespace pendula {

inline constexpr double kGradient = 6e-3;  // of the largest of a tensor

// Four environments, an update a step from the 16th iteration on.
inline Config tuned_config(const std::string& plan, int64_t hidden, int64_t batch) {
  Config c;
  c.plan = plan;
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

// Of the algorithm, that no plan may forget.
inline void use_each_option(Config& c) {
  c.ddpg.loss = Loss::kHuber;
  c.ddpg.tau = 1.0;
  c.ddpg.target_update_interval = 7;
  c.ddpg.reward_scale = 0.5;
  c.optimizer.max_grad_norm = 0.05;
  c.optimizer.weight_decay = 0.01;
}

inline std::unique_ptr<Backend> start(std::unique_ptr<Backend> backend) {
  backend->initialise();
  return backend;
}
inline std::unique_ptr<Backend> cpu(const Config& c) { return start(make_cpu_backend(c, 1)); }
// capability: of the GPU that is asked for its tuned plan; 0: that of the GPU itself.
inline std::unique_ptr<Backend> tuned(const Config& c, int capability = 0) {
  auto backend = std::make_unique<CudaBackend>(c, 0, capability);
  const DevicePlan& plan = backend->device_plan();
  EXPECT_TRUE(plan.tiles.has_value() || plan.columns || plan.grid.has_value());
  return start(std::move(backend));
}

inline void run_until(Backend& b, uint64_t until) {
  const std::atomic<bool> stop{false};
  RunResult r;
  do {
    r = b.run(until, stop);
  } while (r.reason == HaltReason::kTime);
  ASSERT_EQ(r.reason, HaltReason::kReached);
}

inline std::vector<float> values(const Backend& b, const TensorSpec& t) {
  size_t n = 1;
  for (size_t i = 1; i < t.shape.size(); ++i) n *= static_cast<size_t>(t.shape[i]);
  std::vector<float> v(n);
  b.read(t.offset, n * sizeof(float), v.data());
  return v;
}

// Every float tensor whose name ends like that, by its largest error over its largest element (at
// least `unit`); NaN fails.
inline void expect_close(const Backend& got, const Backend& want, const std::string& ending,
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

// After the first update, and after 4 (iterations - 16). error: of the products, in those of tf32.
inline void expect_cpus_training(const Config& c, int capability = 0, uint64_t iterations = 41,
                                 double error = 1.0) {
  const auto a = cpu(c), b = tuned(c, capability);
  Config once = c;  // the same, until one update has been made
  once.ddpg.updates_per_step = 0.25;
  const auto a1 = cpu(once), b1 = tuned(once, capability);
  run_until(*a1, 17);
  run_until(*b1, 17);
  const auto want1 = a1->take_reports(), got1 = b1->take_reports();
  ASSERT_EQ(got1.size(), 17u);
  EXPECT_EQ(got1.back().updates, 1u);
  EXPECT_NEAR(got1.back().critic_loss_sum, want1.back().critic_loss_sum,
              error * 1e-2 * (0.1 + want1.back().critic_loss_sum));
  EXPECT_NEAR(got1.back().q_sum, want1.back().q_sum, error * 5e-3);
  EXPECT_NEAR(got1.back().actor_loss_sum, want1.back().actor_loss_sum, error * 5e-3);
  EXPECT_NEAR(got1.back().grad_norm_critic_sum, want1.back().grad_norm_critic_sum,
              error * 1e-2 * want1.back().grad_norm_critic_sum);
  EXPECT_NEAR(got1.back().grad_norm_actor_sum, want1.back().grad_norm_actor_sum,
              error * 1e-2 * want1.back().grad_norm_actor_sum + 1e-6);
  expect_close(*b1, *a1, ".adam_m", error * kGradient, 1e-7);
  expect_close(*b1, *a1, ".adam_v", 2 * error * kGradient, 1e-12);

  run_until(*a, iterations);
  run_until(*b, iterations);
  expect_close(*b, *a, ".weight", 2e-3, 1.0);
  expect_close(*b, *a, ".bias", 2e-3, 1.0);
  const auto want = a->take_reports(), got = b->take_reports();
  ASSERT_EQ(got.size(), want.size());
  EXPECT_EQ(got.back().updates, 4 * (iterations - 16));
  EXPECT_EQ(got.back().timesteps, want.back().timesteps);
  const Evaluation ea = a->evaluate(70), eb = b->evaluate(70);
  for (size_t i = 0; i < 70; ++i) EXPECT_NEAR(eb.returns[i], ea.returns[i], 0.5);
}

inline std::vector<char> agent_state(const Backend& b, uint64_t k) {
  std::vector<char> part(b.tensors().agent_bytes);
  b.read(k * part.size(), part.size(), part.data());
  return part;
}

// The first, the middle and the last agent, against runs of each of them alone.
inline void expect_bits_of_agents_alone(const Config& c, int capability, uint64_t iterations) {
  const auto all = tuned(c, capability);
  run_until(*all, iterations);
  for (const int64_t k : {int64_t{0}, c.agents / 2, c.agents - 1}) {
    Config one = c;
    one.agents = 1;
    one.seed = c.seed + static_cast<uint64_t>(k);
    const auto alone = tuned(one, capability);
    run_until(*alone, iterations);
    EXPECT_EQ(agent_state(*all, static_cast<uint64_t>(k)), agent_state(*alone, 0)) << k;
  }
}

// A launch of the simulator's ends after a second anyway: few updates, so that not each is alone.
inline void expect_cuts_change_no_bit(Config c, int capability = 0) {
  c.ddpg.updates_per_step = 0.25;
  const auto whole = tuned(c, capability), pieces = tuned(c, capability);
  run_until(*whole, 22);
  for (uint64_t at = 15; at <= 22; ++at) run_until(*pieces, at);
  EXPECT_EQ(agent_state(*whole, 0), agent_state(*pieces, 0));

  c.ddpg.updates_per_step = 17.5;  // 70 updates: two slices
  const auto slices = tuned(c, capability), cut = tuned(c, capability);
  run_until(*slices, 17);
  for (const uint64_t at : {1, 16, 17}) run_until(*cut, at);
  EXPECT_EQ(agent_state(*slices, 0), agent_state(*cut, 0));
}

// In the critic's weights, between two launches.
inline void expect_a_nan_to_be_named(const Config& c, int capability = 0) {
  const auto b = tuned(c, capability);
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

// From the state of a CPU's run.
inline void expect_to_go_on_from_the_cpu(const Config& c, int capability = 0) {
  const auto a = cpu(c), b = tuned(c, capability);
  run_until(*a, 25);
  const std::vector<char> saved = agent_state(*a, 0);
  b->write(0, saved.size(), saved.data());
  run_until(*a, 26);
  run_until(*b, 26);
  expect_close(*b, *a, ".weight", 1e-4, 1.0);
}

}  // namespace pendula
