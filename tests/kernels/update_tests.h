// Sampling, TD targets and both gradients against the reference, and against central differences of
// the programs' own losses.
#pragma once

#include "tests/kernels/differences.h"
#include "tests/kernels/tile.h"

namespace pendula {

inline void set_activation(Config& c, Activation a) {
  c.actor.activation = c.critic.activation = a;
}

template <class Runner, class T>
void check_gradients(const Config& config, int agent_batch = 0) {
  TestArena<Runner, T> arena(config);
  fill_agents(arena);
  const auto agent = arena.agent();
  if (agent_batch != 0) agent.hyper().batch_size = static_cast<uint64_t>(agent_batch);
  const int slot = arena.plan.update_slots - 1;
  const auto batch = sampled_batch<Pendulum>(agent, 5 + static_cast<uint64_t>(slot));
  const reference::Ddpg ddpg = reference_of<Pendulum>(agent);
  const reference::Gradient critic = reference::critic_gradient(ddpg, batch);
  const reference::Gradient actor = reference::actor_gradient(ddpg, batch);

  arena.template run<CriticGradient>(slot);
  arena.template run<ActorGradient>(slot);
  const auto after = arena.agent();
  const double tolerance = gradient_tolerance<Runner, T>(config.critic.activation);
  expect_near_network(arena.plan.critic, summed_gradient(after, false).data(),
                      reference::pack(arena.plan.critic, critic.grad).data(), tolerance, "critic");
  expect_near_network(arena.plan.actor, summed_gradient(after, true).data(),
                      reference::pack(arena.plan.actor, actor.grad).data(), tolerance, "actor");
  const double losses = 20 * gemm_tolerance<Runner, T>();
  const double want[3] = {critic.loss, critic.mean_q, actor.loss};
  for (int d = 0; d < 3; ++d) {
    const double error =
        std::fabs(mean_loss(after, slot, d) - want[d]) / (std::fabs(want[d]) + 0.1);
    EXPECT_TRUE(error <= losses) << "loss " << d << " is off by " << error;
  }
}

template <class Runner, class T>
void check_all_gradients() {
  for (Activation a : {Activation::kRelu, Activation::kTanh, Activation::kSilu}) {
    for (Loss loss : {Loss::kMse, Loss::kHuber}) {
      for (int batch : {1, 31, 33, 64, 1000}) {
        SCOPED_TRACE(testing::Message() << "activation " << static_cast<int>(a) << ", loss "
                                        << static_cast<int>(loss) << ", batch " << batch);
        Config c = test_config();
        set_activation(c, a);
        c.ddpg.loss = loss;
        c.ddpg.batch_size = batch;
        c.ddpg.reward_scale = 0.25;
        c.ddpg.gamma = 0.9;
        check_gradients<Runner, T>(c);
      }
    }
  }
  Config c = test_config();
  c.actor.hidden = {};
  c.critic.hidden = {};
  check_gradients<Runner, T>(c);
  c.actor.hidden = {1, 33};
  c.critic.hidden = {31};
  c.ddpg.batch_size = 8300;  // more tiles than partial sums
  check_gradients<Runner, T>(c);
  c.ddpg.batch_size = 300;  // an agent whose batch is smaller than the plan's
  check_gradients<Runner, T>(c, 70);
  c.rollout = {2, 1};  // rows that the next rollout overwrites are left out
  check_gradients<Runner, T>(c);
}

template <class Runner>
class UpdateTest : public testing::Test {};
TYPED_TEST_SUITE(UpdateTest, Runners, RunnerNames);

TYPED_TEST(UpdateTest, GradientsOfTheReference) { check_all_gradients<TypeParam, float>(); }
TYPED_TEST(UpdateTest, GradientsOfTheReferenceInDouble) {
  if constexpr (!TypeParam::kIsCuda) check_all_gradients<TypeParam, double>();
}

TYPED_TEST(UpdateTest, NothingHappensThatIsNotDue) {
  for (bool frozen : {false, true}) {
    TestArena<TypeParam, float> arena(test_config());
    fill_agents(arena);
    const auto a = arena.agent();
    if (frozen) a.counters().fault = 1;
    if (!frozen) {
      a.counters().updates = updates_due(arena.plan, a.counters(), a.hyper().updates_per_step,
                                         a.counters().iteration + 1);
    }
    const float mark = 123.0f;
    a.work_at(arena.plan.critic_grad)[0] = a.work_at(arena.plan.actor_grad)[0] = mark;
    arena.template run<CriticGradient>(0);
    arena.template run<ActorGradient>(0);
    EXPECT_EQ(arena.agent().work_at(arena.plan.critic_grad)[0], mark);
    EXPECT_EQ(arena.agent().work_at(arena.plan.actor_grad)[0], mark);
  }
}

TYPED_TEST(UpdateTest, GradientsAreThoseOfTheLosses) {
  if constexpr (std::is_same_v<TypeParam, ReferenceRunner> && !TypeParam::kIsCuda) {
    for (Activation a : {Activation::kRelu, Activation::kTanh, Activation::kSilu}) {
      for (Loss loss : {Loss::kMse, Loss::kHuber}) {
        SCOPED_TRACE(testing::Message() << static_cast<int>(a) << " " << static_cast<int>(loss));
        Config c = test_config();
        c.replay.capacity = 33 * 4;  // little to copy, for each of a thousand differences
        set_activation(c, a);
        c.ddpg.loss = loss;
        for (bool actor : {false, true}) {
          check_central_differences<TypeParam, Pendulum>(c, actor);
          check_central_differences<TypeParam, Point>(c, actor);
        }
      }
    }
  }
}

// After a resumption without the ring: the rows from before hold nothing.
TYPED_TEST(UpdateTest, ARingBegunAnewIsSampledFromItsFirstRow) {
  TestArena<TypeParam, float> arena(test_config());
  fill_agents(arena);
  const auto a = arena.agent();
  a.counters().ring_first = a.counters().iteration - 4;
  const Tile<float> got = run_tile<TypeParam>(arena, 9, 0);
  const auto records = sampled_records(arena.agent(), 9);
  for (size_t n = 0; n < records.size(); ++n) {
    EXPECT_EQ(got.reward[n], arena.agent().at(arena.plan.ring)[records[n] * 4 + 3]);
  }
}

TYPED_TEST(UpdateTest, OnlyTerminationStopsTheBootstrap) {
  TestArena<TypeParam, float, Point> arena(test_config());
  fill_agents(arena);
  const Plan& p = arena.plan;
  ASSERT_EQ(p.record_size, 8);
  std::mt19937 random(6);
  std::uniform_real_distribution<float> u(-1.0f, 1.0f);
  float* ring = arena.agent().at(p.ring);
  for (uint64_t i = 0; i < p.ring_rows * uint64_t(p.num_envs); ++i) {
    for (int d = 0; d < 8; ++d) ring[i * 8 + uint64_t(d)] = u(random) * (d == 3 ? 0.5f : 1.0f);
  }
  const Tile<float> got = run_tile<TypeParam>(arena, 9, 0);
  const auto records = sampled_records(arena.agent(), 9);
  int terminated = 0;
  for (size_t n = 0; n < records.size(); ++n) {
    const float* r = arena.agent().at(p.ring) + records[n] * 8;
    const double next = r[0] + static_cast<double>(r[3]) * std::cos(static_cast<double>(r[2]));
    const bool ended = std::fabs(next) > 1.0;
    EXPECT_EQ(got.continues[n], ended ? 0.0f : 1.0f);
    EXPECT_NEAR(got.next_x[n], next, 1e-6);
    EXPECT_EQ(got.x[4 * kRows + n], r[3] * 2.0f);  // in units of the bound
    EXPECT_NEAR(got.x[5 * kRows + n], r[4] / 3.0f, 1e-7);
    if (ended) {
      EXPECT_EQ(got.y[n], r[5]);
    } else {
      EXPECT_NE(got.y[n], r[5]);
    }
    terminated += ended ? 1 : 0;
  }
  EXPECT_GT(terminated, 0);
}

}  // namespace pendula
