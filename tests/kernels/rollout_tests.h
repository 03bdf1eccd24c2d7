// The rollout and the ring against independent environments: records, ends of episodes, resets,
// sums; which records may be sampled; evaluation; the state before the first iteration.
#pragma once

#include <map>

#include "kernels/initialise.h"
#include "tests/kernels/batch.h"
#include "tests/kernels/point_env.h"
#include "tests/kernels/reference_rollout.h"

namespace pendula {

template <class T>
bool end_bit(const AgentView<T>& a, uint64_t row, int env) {
  const uint64_t words = static_cast<uint64_t>((a.plan.num_envs + 31) / 32);
  return (a.ring_end()[row * words + uint64_t(env) / 32] >> (env % 32) & 1) != 0;
}

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
  c.noise = {"gaussian", 0.5, 0.1, num_envs * 60, 0.2};
  return c;
}

template <class Runner, class T>
void check_rollout(int num_envs, int iterations, double tolerance) {
  const Config config = rollout_config(num_envs);
  TestArena<Runner, T> arena(config);
  const Plan& p = arena.plan;
  ASSERT_EQ(p.ring_rows, 10u);
  arena.template run<Initialise>();
  const reference::Network actor = reference::unpack(p.actor, arena.agent().at(p.actor_params));
  const ReferenceEnvironment::Settings settings = {config.seed,
                                                   num_envs,
                                                   13,
                                                   0.5,
                                                   0.1,
                                                   0.2,
                                                   uint64_t(config.noise.decay_steps),
                                                   uint64_t(config.replay.warmup_steps),
                                                   &actor};
  std::vector<ReferenceEnvironment> envs;
  for (int e = 0; e < num_envs; ++e) envs.emplace_back(settings, static_cast<uint64_t>(e));

  for (int iteration = 0; iteration < iterations; ++iteration) {
    roll_out(arena);
    const auto a = arena.agent();
    double worst = 0.0;
    for (uint64_t l = 0; l < 3; ++l) {
      const uint64_t t = static_cast<uint64_t>(iteration) * 3 + l, row = t % p.ring_rows;
      for (int e = 0; e < num_envs; ++e) {
        const RolloutRecord want = envs[size_t(e)].step(t, t - l);
        const T* got = a.at(p.ring) + (row * uint64_t(num_envs) + uint64_t(e)) * 4;
        const double w[4] = {want.transition.theta, want.transition.theta_dot,
                             want.transition.torque, want.transition.reward};
        for (int d = 0; d < 4; ++d) {
          const double error = std::fabs(got[d] - w[d]);
          if (!(error <= worst)) worst = error;
        }
        ASSERT_EQ(end_bit(a, row, e), want.ended) << "step " << t << ", environment " << e;
      }
    }
    double sums[4] = {}, want[3] = {};
    for (int tile = 0; tile < p.env_tiles; ++tile) {
      for (int d = 0; d < 4; ++d) sums[d] += a.work_at(p.rollout_sums)[tile * 4 + d];
    }
    for (size_t e = 0; e < envs.size(); ++e) {
      want[0] += envs[e].episodes;
      want[1] += envs[e].returns;
      want[2] += envs[e].lengths;
      envs[e].episodes = envs[e].returns = envs[e].lengths = 0.0;
      EXPECT_EQ(a.episode_step()[e], static_cast<uint32_t>(envs[e].episode_step));
      const double errors[3] = {a.at(p.env_state)[e] - envs[e].state.theta,
                                a.at(p.env_state)[size_t(num_envs) + e] - envs[e].state.theta_dot,
                                a.at(p.episode_return)[e] - envs[e].episode_return};
      for (double error : errors) {
        if (!(std::fabs(error) <= worst)) worst = std::fabs(error);
      }
    }
    EXPECT_EQ(sums[0], want[0]);
    EXPECT_EQ(sums[2], want[2]);
    EXPECT_EQ(sums[3], 0.0);
    EXPECT_TRUE(std::fabs(sums[1] - want[1]) <= tolerance * (1.0 + want[0])) << sums[1];
    ASSERT_TRUE(worst <= tolerance) << "iteration " << iteration << " is off by " << worst;
  }
}

template <class Runner>
class RolloutTest : public testing::Test {};
TYPED_TEST_SUITE(RolloutTest, Runners, RunnerNames);

TYPED_TEST(RolloutTest, RecordsOfIndependentEnvironments) {
  // Within an episode of 13 steps rounding grows twelvefold near the top (e^3.9 per second), and
  // returns add up 13 rewards. Where actions come from less precise products, so do states.
  const double tolerance = 2e-4 + 100.0 * (TypeParam::kGemmTolerance - 1e-6);
  for (int n : {1, 31, 33, 100}) check_rollout<TypeParam, float>(n, 100, tolerance);
  if constexpr (!TypeParam::kIsCuda) check_rollout<TypeParam, double>(65, 100, 1e-11);
}

TYPED_TEST(RolloutTest, AnEnvironmentDoesNotSeeTheOthers) {
  const auto run = [](int num_envs) {
    Config c = rollout_config(num_envs);
    c.noise.decay_steps = 0;  // a schedule counts the steps of all environments
    auto arena = std::make_unique<TestArena<TypeParam, float>>(c);
    arena->template run<Initialise>();
    for (int i = 0; i < 20; ++i) roll_out(*arena);
    return arena;
  };
  const auto all = run(100);
  for (int n : {1, 31, 65}) {
    const auto some = run(n);
    for (uint64_t row = 0; row < 10; ++row) {
      for (int e = 0; e < n; ++e) {
        const float* a = all->agent().at(all->plan.ring) + (row * 100 + uint64_t(e)) * 4;
        const float* b = some->agent().at(some->plan.ring) + (row * uint64_t(n) + uint64_t(e)) * 4;
        for (int d = 0; d < 4; ++d) ASSERT_EQ(a[d], b[d]) << n << " " << row << " " << e;
        ASSERT_EQ(end_bit(all->agent(), row, e), end_bit(some->agent(), row, e));
      }
    }
  }
}

TYPED_TEST(RolloutTest, ActsWithTheLaggedActor) {
  Config c = rollout_config(33);
  c.replay.warmup_steps = 0;
  c.rollout.policy_lag = 1;
  c.noise = {"gaussian", 0.0, 0.0, 0, 0.0};
  TestArena<TypeParam, float> arena(c);
  arena.template run<Initialise>();
  std::mt19937 random(3);
  fill_network(arena.plan.actor, random, arena.agent().at(arena.plan.actor_params));
  const auto lagged =
      reference::unpack(arena.plan.actor, arena.agent().at(arena.plan.actor_lagged));
  roll_out(arena);
  for (uint64_t e = 0; e < 33; ++e) {
    const float* r = arena.agent().at(arena.plan.ring) + e * 4;
    const double mu = reference::policy(lagged, reference::observe({r[0], r[1]}))[0];
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
    if (!frozen) arena.control().slice = 1;
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
        for (auto [at, n] : {std::pair{net.weight[l], net.size[l] * net.size[l + 1]},
                             std::pair{net.bias[l], net.size[l + 1]}}) {
          double sum = 0.0, squares = 0.0;
          for (int i = 0; i < n; ++i) {
            const double x = w[at + uint32_t(i)] / bound;
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
