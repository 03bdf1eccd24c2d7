// Sampling, TD targets and both gradients against the reference, and against central differences of
// the programs' own losses.
#pragma once

#include "tests/kernels/batch.h"
#include "tests/kernels/point_env.h"

namespace pendula {

// What sample_tile and td_target leave for the first tile, (features, kRows) each.
template <class Env, class T>
struct TileProgram {
  Context<Env, T> context;
  uint64_t update;
  int first;
  T *x, *next_x, *reward, *continues, *y;

  PENDULA_FN int grid() const { return 1; }
  template <class B>
  PENDULA_FN void operator()(B& b) const {
    const Plan& p = context.plan;
    const TileProgram t = *this;
    const AgentView<T> agent = context.agent(0);
    const Batch<T> batch = allocate_batch<T>(b, p);
    T* target = b.template shared<T>(B::kLd);
    const Turns<T> turns = allocate_turns<T>(b, widest_hidden(p));
    sample_tile<Env>(b, agent, context.env, update, first, kRows, batch);
    td_target(b, agent, kRows, batch, turns, target);
    b.sync();
    b.for_each(kRows, [=](int n) {
      for (int d = 0; d < p.obs_dim + p.action_dim; ++d) {
        t.x[d * kRows + n] = batch.x[d * B::kLd + n];
        t.next_x[d * kRows + n] = batch.next_x[d * B::kLd + n];
      }
      t.reward[n] = batch.reward[n];
      t.continues[n] = batch.continues[n];
      t.y[n] = target[n];
    });
  }
};

template <class T>
struct Tile {
  std::vector<T> x, next_x, reward, continues, y;
};
template <class Runner, class Arena>
auto run_tile(Arena& arena, uint64_t update, int first) {
  using T = std::remove_pointer_t<decltype(arena.agent().at(0))>;
  const size_t features = static_cast<size_t>((arena.plan.obs_dim + arena.plan.action_dim) * kRows);
  typename Runner::template Buffer<T> x(features), next_x(features), reward(kRows), ends(kRows),
      y(kRows);
  arena.context.plan = arena.plan;
  arena.run_program(TileProgram<typename Arena::Env, T>{
      arena.context, update, first, x.data(), next_x.data(), reward.data(), ends.data(), y.data()});
  return Tile<T>{x.download(), next_x.download(), reward.download(), ends.download(), y.download()};
}

template <class Runner, class T>
void check_tile(Config config, double tolerance) {
  TestArena<Runner, T> arena(config);
  fill_agents(arena);
  const uint64_t update = uint64_t{1} << 20;
  for (int first = 0; first < config.ddpg.batch_size; first += kRows) {
    const Tile<T> got = run_tile<Runner>(arena, update, first);
    const auto batch = sampled_batch(arena.agent(), update);
    const reference::Ddpg ddpg = reference_of(arena.agent());
    std::vector<double> y(kRows), x(4 * kRows), next(3 * kRows);
    const size_t rows = std::min<size_t>(kRows, batch.size() - static_cast<size_t>(first));
    for (size_t n = 0; n < rows; ++n) {
      const auto& t = batch[static_cast<size_t>(first) + n];
      double reward;
      const reference::PendulumState state = {t.theta, t.theta_dot};
      const auto obs = reference::observe(state);
      const auto next_obs = reference::observe(reference::step({}, state, t.torque, &reward));
      for (size_t d = 0; d < 3; ++d) {
        x[d * kRows + n] = obs[d];
        next[d * kRows + n] = next_obs[d];
      }
      x[3 * kRows + n] = t.torque / 2.0;
      EXPECT_EQ(got.reward[n], static_cast<T>(t.reward));
      EXPECT_EQ(got.continues[n], T(1));
      y[n] = reference::td_target(ddpg, t);
    }
    for (size_t i = 0; i < x.size(); ++i) {
      if (i % kRows >= rows) continue;  // those beyond the batch count for nothing
      EXPECT_TRUE(std::fabs(got.x[i] - x[i]) <= tolerance) << "x " << i;
      if (i >= next.size()) continue;
      EXPECT_TRUE(std::fabs(got.next_x[i] - next[i]) <= tolerance) << "next_x " << i;
    }
    expect_near_norm(got.y.data(), y.data(), rows, 20 * gemm_tolerance<Runner, T>(), 0.0, "y");
  }
}

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
  const auto batch = sampled_batch(agent, 5 + static_cast<uint64_t>(slot));
  const reference::Ddpg ddpg = reference_of(agent);
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

TYPED_TEST(UpdateTest, TilesOfABatchAndTheirTargets) {
  Config c = test_config();
  c.ddpg.reward_scale = 0.5;
  for (int batch : {1, 31, 100}) {
    c.ddpg.batch_size = batch;
    // Rounding of speeds up to 8, and of sin at angles up to 10.
    check_tile<TypeParam, float>(c, 2e-6);
    if constexpr (!TypeParam::kIsCuda) check_tile<TypeParam, double>(c, 1e-14);
  }
}

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

// The gradient by central differences of the loss that the program itself reports, in double. The
// error of a difference with step h is of the order h^2 + 1e-16 loss / h, about 1e-9 of these
// gradients. A relu has a kink at 0: with h = 1e-5 none of the few thousand inputs of the hidden
// units here lies that close; one that did would show as an error of 1e-3, not hide one.
template <class Runner, class Env>
void check_central_differences(Config config, bool actor) {
  constexpr double kStep = 1e-5;
  TestArena<Runner, double, Env> arena(config);
  fill_agents(arena, 2);
  const auto a = arena.agent();
  const Plan& p = arena.plan;
  if (p.record_size != 4) {
    std::mt19937 random(4);
    std::uniform_real_distribution<double> u(-0.9, 0.9);
    double* ring = a.at(p.ring);
    for (uint64_t i = 0; i < p.ring_rows * uint64_t(p.num_envs * p.record_size); ++i)
      ring[i] = u(random);
  }
  const auto loss = [&] {
    actor ? arena.template run<ActorGradient>(0) : arena.template run<CriticGradient>(0);
    return mean_loss(arena.agent(), 0, actor ? 2 : 0);
  };
  loss();
  const std::vector<double> got = summed_gradient(arena.agent(), actor);
  const NetworkLayout& net = actor ? p.actor : p.critic;
  std::vector<double> want(net.count, 0.0);
  for (uint32_t i = 0; i < net.count; ++i) {
    double& w = arena.agent().at(actor ? p.actor_params : p.critic_params)[i];
    const double before = w;
    const auto loss_at = [&](double x) {
      arena.agent().at(actor ? p.actor_params : p.critic_params)[i] = x;
      return loss();
    };
    want[i] = (loss_at(before + kStep) - loss_at(before - kStep)) / (2.0 * kStep);
    loss_at(before);
  }
  expect_near_norm(got.data(), want.data(), want.size(), 1e-6, 0.0, actor ? "actor" : "critic");
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
