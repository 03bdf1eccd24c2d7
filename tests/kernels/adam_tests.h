// kernels/adam.h against the reference: sums of partial gradients, Adam, clipping, decay, targets.
#pragma once

#include "kernels/adam.h"
#include "tests/kernels/batch.h"

namespace pendula {

struct NetworkPlaces {
  const NetworkLayout& net;
  uint64_t params, target, m, v, grad, sumsq;
  int chunks;
};
inline NetworkPlaces places(const Plan& p, bool actor) {
  if (actor) {
    return {p.actor,   p.actor_params, p.actor_target, p.actor_m,
            p.actor_v, p.actor_grad,   p.actor_sumsq,  p.actor_chunks};
  }
  return {p.critic,   p.critic_params, p.critic_target, p.critic_m,
          p.critic_v, p.critic_grad,   p.critic_sumsq,  p.critic_chunks};
}

template <class T>
reference::Vector values(const T* p, size_t n) {
  return reference::Vector(p, p + n);
}
inline reference::Vector minus(reference::Vector a, const reference::Vector& b) {
  for (size_t i = 0; i < a.size(); ++i) a[i] -= b[i];
  return a;
}

// Several updates with gradients of our own in slot 1, of which the first has number `done`.
template <class Runner, class T>
void check_adam(const Config& config, bool actor, uint64_t done, double gradient_size) {
  TestArena<Runner, T> arena(config);
  fill_agents(arena);
  const Plan& p = arena.plan;
  const NetworkPlaces at = places(p, actor);
  const size_t n = at.net.count;
  const auto a = arena.agent();
  std::mt19937 random(8);
  const reference::Adam adam{actor ? config.optimizer.actor_lr : config.optimizer.critic_lr,
                             config.optimizer.beta1,
                             config.optimizer.beta2,
                             config.optimizer.eps,
                             config.optimizer.weight_decay,
                             p.max_grad_norm};
  const reference::Vector before = values(a.at(at.params), n),
                          target_before = values(a.at(at.target), n);
  reference::Vector w = before, target = target_before, m(n, 0.0), v(n, 0.0);
  constexpr int kSlot = 1;
  for (uint64_t t = done + 1; t <= done + 4; ++t) {
    const auto agent = arena.agent();
    agent.counters().updates = t - 1 - kSlot;
    reference::Vector sum(n, 0.0);
    for (int part = 0; part < p.partials; ++part) {
      T* grad = agent.work_at(at.grad) + static_cast<size_t>(part) * n;
      fill_network(at.net, random, grad);
      for (size_t i = 0; i < n; ++i) {
        grad[i] *= static_cast<T>(gradient_size);
        if (part < used_partials(p, agent.hyper().batch_size)) sum[i] += grad[i];
      }
    }
    if (p.max_grad_norm > 0.0) arena.template run<GradientSum>(kSlot, actor);
    arena.template run<AdamStep>(kSlot, actor);
    reference::adam_step(adam, t, sum, w, m, v);
    if (t % static_cast<uint64_t>(p.target_update_interval) == 0) {
      reference::soft_update(config.ddpg.tau, w, target);
    }
    double squares = 0.0;
    for (int i = 0; i < at.chunks; ++i)
      squares += arena.agent().work_at(at.sumsq)[kSlot * at.chunks + i];
    EXPECT_TRUE(std::fabs(std::sqrt(squares) / reference::norm(sum) - 1.0) <= 1e-6);
  }
  // A few roundings of T each update; moves are small differences of numbers 100 to 1000 times
  // larger, whose rounding they carry.
  const double rounding = sizeof(T) == 4 ? 1e-6 : 1e-14;
  const auto after = arena.agent();
  const reference::Vector moved = minus(values(after.at(at.params), n), before);
  const reference::Vector target_moved = minus(values(after.at(at.target), n), target_before);
  expect_near_network(at.net, after.at(at.params), w.data(), rounding, "params");
  expect_near_network(at.net, after.at(at.m), m.data(), rounding, "m");
  expect_near_network(at.net, after.at(at.v), v.data(), 2 * rounding, "v");
  expect_near_norm(moved.data(), minus(w, before).data(), n, 100 * rounding, 0.0, "move");
  expect_near_norm(target_moved.data(), minus(target, target_before).data(), n, 200 * rounding, 0.0,
                   "target's move");
}

template <class Runner, class T>
void check_all_adams() {
  for (bool actor : {false, true}) {
    for (double max_norm : {0.0, 0.05, 1e6}) {
      for (int batch : {31, 200}) {  // 1 and 4 partial sums
        SCOPED_TRACE(testing::Message()
                     << "actor " << actor << ", norm " << max_norm << ", batch " << batch);
        Config c = test_config();
        c.actor.hidden = {31, 33};  // 1,280 parameters: three chunks, the last one short
        c.critic.hidden = {31, 33};
        c.ddpg.batch_size = batch;
        c.ddpg.tau = 0.02;
        c.optimizer.actor_lr = 3e-3;
        c.optimizer.critic_lr = 2e-3;
        if (max_norm > 0.0) c.optimizer.max_grad_norm = max_norm;
        check_adam<Runner, T>(c, actor, 2, 0.1);
        c.optimizer.beta1 = 0.8;
        c.optimizer.beta2 = 0.95;
        c.optimizer.eps = 1e-3;
        c.optimizer.weight_decay = 0.3;
        c.ddpg.target_update_interval = 3;
        check_adam<Runner, T>(c, actor, 1000, 1e-2);
      }
    }
  }
}

template <class Runner>
class AdamTest : public testing::Test {};
TYPED_TEST_SUITE(AdamTest, Runners, RunnerNames);

TYPED_TEST(AdamTest, StepsOfTheReference) { check_all_adams<TypeParam, float>(); }
TYPED_TEST(AdamTest, StepsOfTheReferenceInDouble) {
  if constexpr (!TypeParam::kIsCuda) check_all_adams<TypeParam, double>();
}

// tau = 1: every target_update_interval updates the target is the network, to the bit; in between
// it stands still.
TYPED_TEST(AdamTest, AHardUpdateOfTheTargetIsACopy) {
  Config c = test_config();
  c.ddpg.tau = 1.0;
  c.ddpg.target_update_interval = 3;
  for (bool actor : {true, false}) {
    TestArena<TypeParam, float> arena(c);
    fill_agents(arena);
    const NetworkPlaces at = places(arena.plan, actor);
    const auto n = static_cast<int64_t>(at.net.count);
    std::fill_n(arena.agent().work_at(at.grad), n, 0.1f);
    const std::vector<float> before(arena.agent().at(at.target), arena.agent().at(at.target) + n);
    for (uint64_t update : {6u, 7u, 8u}) {
      arena.agent().counters().updates = update;
      arena.template run<AdamStep>(0, actor);
      const float* params = arena.agent().at(at.params);
      const float* target = arena.agent().at(at.target);
      EXPECT_FALSE(std::equal(params, params + n, before.begin()));
      EXPECT_TRUE(std::equal(target, target + n, update == 8 ? params : before.data())) << update;
    }
  }
}

// 1 + 2^24 is 2^24 in float: another order than 0, 1, 2, 3 gives a sum of 1.
TYPED_TEST(AdamTest, PartialGradientsAreAddedInTheirOrder) {
  for (double max_norm : {0.0, 1.0}) {  // by AdamStep, by GradientSum
    Config c = test_config();
    c.ddpg.batch_size = 200;
    if (max_norm > 0.0) c.optimizer.max_grad_norm = max_norm;
    TestArena<TypeParam, float> arena(c);
    fill_agents(arena);
    const NetworkPlaces at = places(arena.plan, true);
    const auto a = arena.agent();
    ASSERT_EQ(used_partials(arena.plan, a.hyper().batch_size), 4);
    const float parts[4] = {1.0f, 16777216.0f, -16777216.0f, 0.0f};
    for (size_t part = 0; part < 4; ++part) {
      a.work_at(at.grad)[part * at.net.count] = parts[part];
    }
    if (max_norm > 0.0) arena.template run<GradientSum>(0, true);
    arena.template run<AdamStep>(0, true);
    EXPECT_EQ(arena.agent().at(at.m)[0], 0.0f);
  }
}

TYPED_TEST(AdamTest, TheFirstStepHasTheSizeOfTheLearningRate) {
  TestArena<TypeParam, float> arena(test_config());
  fill_agents(arena);
  const NetworkPlaces at = places(arena.plan, true);
  const auto a = arena.agent();
  a.counters().updates = 0;
  const float before = a.at(at.params)[0];
  a.work_at(at.grad)[0] = -5.0f;
  arena.template run<AdamStep>(0, true);
  EXPECT_NEAR(arena.agent().at(at.params)[0] - before, 1e-3, 1e-6);
}

}  // namespace pendula
