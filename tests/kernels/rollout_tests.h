// What all environments share in a rollout: which actor acts, ends of episodes, sums, large rings;
// and the state before the first iteration. tests/kernels/environment_tests.h has the environments.
#pragma once

#include <map>

#include "kernels/initialise.h"
#include "kernels/rollout.h"
#include "tests/kernels/batch.h"
#include "tests/kernels/point_env.h"

namespace pendula {

// An iteration's rollout, then what Advance does to the counter.
template <class Arena>
void roll_out(Arena& arena) {
  arena.template run<Rollout>();
  for (int k = 0; k < arena.plan.agents; ++k) arena.agent(k).counters().iteration += 1;
}

inline Config rollout_config(int num_envs) {
  Config c = test_config();
  c.env.num_envs = num_envs;
  c.env.max_episode_steps = 13;
  c.rollout.length = 3;
  c.replay.capacity = num_envs * 10 + num_envs / 2;  // not whole rows; three iterations and a bit
  c.replay.warmup_steps = num_envs * 12;
  c.noise.sigma = 0.5;
  c.noise.sigma_final = 0.1;
  c.noise.decay_steps = num_envs * 60;
  c.noise.epsilon = 0.2;
  return c;
}

template <class Runner>
class RolloutTest : public testing::Test {};
TYPED_TEST_SUITE(RolloutTest, Runners, RunnerNames);

TYPED_TEST(RolloutTest, ActsWithTheLaggedActor) {
  Config c = rollout_config(33);
  c.replay.warmup_steps = 0;
  c.rollout.policy_lag = 1;
  c.noise.sigma = c.noise.sigma_final = c.noise.epsilon = 0.0;
  c.noise.decay_steps = 0;
  TestArena<TypeParam, float> arena(c);
  arena.template run<Initialise>();
  std::mt19937 random(3);
  fill_network(arena.plan.actor, random, arena.agent().at(arena.plan.actor_params));
  const auto lagged =
      reference::unpack(arena.plan.actor, arena.agent().at(arena.plan.actor_lagged));
  roll_out(arena);
  for (uint64_t e = 0; e < 33; ++e) {
    const float* r = arena.agent().at(arena.plan.ring) + e * 4;
    const double mu = reference::policy(lagged, reference::pendulum_observe({r[0], r[1]}))[0];
    EXPECT_NEAR(r[2], 2.0 * mu, 20 * TypeParam::kGemmTolerance);
  }
}

TYPED_TEST(RolloutTest, ANumberThatIsNotFiniteIsCounted) {
  TestArena<TypeParam, float> arena(rollout_config(100));
  arena.template run<Initialise>();
  const int bad = 70;
  arena.agent().at(arena.plan.env_state)[bad] = std::nanf("");
  arena.template run<Rollout>();
  EXPECT_EQ(arena.agent().work_at(arena.plan.rollout_sums)[3], 0.0f);
  EXPECT_EQ(arena.agent().work_at(arena.plan.rollout_sums)[4 + 3], 1.0f);
}

// Also where the last step of the rollout ends the episode, and the next state is a fresh one.
TYPED_TEST(RolloutTest, ANumberThatIsNotFiniteIsCountedAtTheEndOfAnEpisode) {
  Config c = rollout_config(100);
  c.env.max_episode_steps = 3;
  for (bool of_state : {true, false}) {
    TestArena<TypeParam, float> arena(c);
    arena.template run<Initialise>();
    const auto a = arena.agent();
    a.at(of_state ? arena.plan.env_state : arena.plan.episode_return)[70] = INFINITY;
    arena.template run<Rollout>();
    EXPECT_TRUE(std::isfinite(arena.agent().at(arena.plan.env_state)[70]));
    EXPECT_EQ(arena.agent().work_at(arena.plan.rollout_sums)[3], 0.0f);
    EXPECT_EQ(arena.agent().work_at(arena.plan.rollout_sums)[4 + 3], 1.0f);
  }
}

// A ring that no cache holds is written past the caches, in rows that are aligned to a register and
// in others.
TYPED_TEST(RolloutTest, ALargeRingHoldsTheRecordsOfASmallOne) {
  const auto run = [](int rows) {
    Config c = rollout_config(1001);
    c.replay.capacity = 1001 * rows;
    c.replay.warmup_steps = 1001 * 3;
    auto arena = std::make_unique<TestArena<TypeParam, float>>(c);
    arena->template run<Initialise>();
    for (int i = 0; i < 2; ++i) roll_out(*arena);
    return arena;
  };
  const auto small = run(10), large = run(600);
  ASSERT_GT(large->plan.ring_rows * 1001 * 16, uint64_t{8} << 20);
  const float* a = small->agent().at(small->plan.ring);
  const float* b = large->agent().at(large->plan.ring);
  EXPECT_TRUE(std::equal(a, a + 6 * 1001 * 4, b));
  EXPECT_EQ(b[6 * 1001 * 4], 0.0f);
}

// What fills up a tile beside its environments takes steps too: it counts for nothing.
TYPED_TEST(RolloutTest, AnUnfilledTileCountsItsEnvironmentsAlone) {
  for (int n : {5, 33, 70}) {
    Config c = rollout_config(n);
    c.env.max_episode_steps = 2;
    TestArena<TypeParam, float> arena(c);
    const Plan& p = arena.plan;
    arena.template run<Initialise>();
    arena.template run<Rollout>();
    const auto a = arena.agent();
    float episodes = 0.0f, lengths = 0.0f, returns = 0.0f, rewards = 0.0f;
    for (int tile = 0; tile < p.env_tiles; ++tile) {
      const float* sums = a.work_at(p.rollout_sums) + tile * 4;
      episodes += sums[0];
      returns += sums[1];
      lengths += sums[2];
    }
    for (int i = 0; i < 2 * n; ++i) rewards += a.at(p.ring)[i * 4 + 3];
    EXPECT_EQ(episodes, static_cast<float>(n));
    EXPECT_EQ(lengths, static_cast<float>(2 * n));
    EXPECT_NEAR(returns, rewards, 1e-4f * static_cast<float>(n));
    for (int bit = n; bit < (n + 31) / 32 * 32; ++bit) EXPECT_FALSE(end_bit(a, 1, bit)) << bit;
    EXPECT_TRUE(end_bit(a, 1, n - 1));
  }
}

TYPED_TEST(RolloutTest, FrozenAgentsAndLaterSlicesStandStill) {
  for (bool frozen : {true, false}) {
    TestArena<TypeParam, float> arena(rollout_config(33));
    arena.template run<Initialise>();
    if (frozen) arena.agent().counters().fault = 1;
    if (!frozen) arena.agent().counters().slice = 1;
    const std::vector<float> before(arena.agent().at(arena.plan.env_state),
                                    arena.agent().at(arena.plan.env_state) + 66);
    arena.template run<Rollout>();
    EXPECT_EQ(before, std::vector<float>(arena.agent().at(arena.plan.env_state),
                                         arena.agent().at(arena.plan.env_state) + 66));
    EXPECT_EQ(arena.agent().at(arena.plan.ring)[3], 0.0f);
  }
}

TYPED_TEST(RolloutTest, EpisodesThatTerminate) {
  Config c = rollout_config(40);
  c.env.max_episode_steps = 9;
  TestArena<TypeParam, float, Point> arena(c);
  const Plan& p = arena.plan;
  arena.template run<Initialise>();
  std::vector<int> length(40, 0);
  int terminated = 0, truncated = 0;
  double correlation = 0.0;
  for (uint64_t i = 0; i < 30; ++i) {
    roll_out(arena);
    const auto a = arena.agent();
    double ended = 0.0;
    for (uint64_t l = 0; l < 3; ++l) {
      const uint64_t row = (i * 3 + l) % p.ring_rows;
      for (int e = 0; e < 40; ++e) {
        const float* r = a.at(p.ring) + (row * 40 + uint64_t(e)) * 8;
        const double x = r[0] + static_cast<double>(r[3]) * std::cos(static_cast<double>(r[2]));
        const bool out = std::fabs(x) > 1.0;
        const bool over = ++length[size_t(e)] == 9;
        ASSERT_EQ(end_bit(a, row, e), out || over) << i << " " << e;
        terminated += out ? 1 : 0;
        truncated += !out && over ? 1 : 0;
        ended += out || over ? 1 : 0;
        if (out || over) length[size_t(e)] = 0;
        EXPECT_TRUE(std::fabs(r[3]) <= 0.5f && std::fabs(r[4]) <= 3.0f);
        correlation += r[3] / 0.5 * r[4] / 3.0 / 3600.0;
        EXPECT_EQ(r[6], 0.0f);
        EXPECT_EQ(r[7], 0.0f);
      }
    }
    EXPECT_EQ(a.work_at(p.rollout_sums)[0], static_cast<float>(ended));
  }
  EXPECT_GT(terminated, 100);
  EXPECT_GT(truncated, 10);
  // The noise of two dimensions is independent: 3,600 products of numbers within 1.
  EXPECT_TRUE(std::fabs(correlation) < 0.5) << correlation;
}

TYPED_TEST(RolloutTest, TheFirstState) {
  Config c = test_config();
  c.agents = 2;
  c.rollout.policy_lag = 1;
  c.actor.hidden = {400, 300};
  c.actor.init = Init::kPaper;
  c.critic.hidden = {64};
  TestArena<TypeParam, float> arena(c);
  const Plan& p = arena.plan;
  arena.template run<Initialise>();
  std::map<float, int> times;
  int drawn = 0;
  for (int k = 0; k < 2; ++k) {
    const auto a = arena.agent(k);
    for (bool actor : {true, false}) {
      const NetworkLayout& net = actor ? p.actor : p.critic;
      const float* w = a.at(actor ? p.actor_params : p.critic_params);
      const auto equal_to = [&](uint64_t other) {
        return std::equal(w, w + net.count, a.at(other));
      };
      EXPECT_TRUE(equal_to(actor ? p.actor_target : p.critic_target));
      EXPECT_TRUE(!actor || equal_to(p.actor_lagged));
      for (int l = 0; l < net.layers; ++l) {
        const bool head = l + 1 == net.layers;
        const double bound = head && actor ? 3e-3 : 1.0 / std::sqrt(net.size[l]);
        for (uint32_t bias : {0u, 1u}) {
          const uint32_t at = bias != 0 ? net.bias[l] : net.weight[l];
          const int n = net.size[l + 1] * (bias != 0 ? 1 : net.size[l]);
          const uint32_t tensor = (actor ? 0 : 64) + 2 * uint32_t(l) + bias;
          double sum = 0.0, squares = 0.0;
          for (int i = 0; i < n; ++i) {
            const double x = w[at + uint32_t(i)] / bound;
            const Uint4 r = philox({1 | tensor << 8, uint32_t(i / 4), 0, 0}, c.seed + uint64_t(k));
            ASSERT_NEAR(x, (word(r, uint32_t(i % 4)) >> 8) / 8388608.0 - 1.0, 1e-6);
            ASSERT_TRUE(std::fabs(x) <= 1.0 + 1e-6);
            sum += x;
            squares += x * x;
            ++drawn;
            ++times[w[at + uint32_t(i)]];
          }
          // Uniform numbers: variance 1/3, of the square 4/45; five standard errors.
          EXPECT_TRUE(std::fabs(sum) <= 5.0 * std::sqrt(n / 3.0)) << actor << l;
          EXPECT_TRUE(std::fabs(squares - n / 3.0) <= 5.0 * std::sqrt(n * 4.0 / 45.0))
              << actor << l;
        }
      }
    }
    EXPECT_EQ(a.counters().update_start, p.warmup_steps);
    for (uint64_t e = 0; e < 33; ++e) {
      const Uint4 r = philox({2, uint32_t(e), 0, 0}, c.seed + uint64_t(k));
      EXPECT_NEAR(a.at(p.env_state)[e], ((r.x >> 8) / 8388608.0 - 1.0) * M_PI, 1e-6);
      EXPECT_NEAR(a.at(p.env_state)[33 + e], (r.y >> 8) / 8388608.0 - 1.0, 1e-6);
    }
  }
  // Numbers of 24 bits meet by chance; tensors or agents that share theirs would halve the count.
  EXPECT_GT(times.size(), static_cast<size_t>(drawn) * 95 / 100);
}

}  // namespace pendula
