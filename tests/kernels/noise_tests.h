// Noise as a process: the Ornstein-Uhlenbeck process's variance and autocorrelation, its start with
// each episode, the ladder of sigmas. tests/kernels/environment_tests.h has every single number.
#pragma once

#include "kernels/initialise.h"
#include "kernels/rollout.h"
#include "tests/kernels/arena.h"

namespace pendula {

template <class Runner>
class NoiseTest : public testing::Test {};
TYPED_TEST_SUITE(NoiseTest, Runners, RunnerNames);

// Environments whose actor says 0, so that an action is the noise. Sigma is small: none is clipped.
inline Config noise_config(NoiseType type, int num_envs) {
  Config c = test_config();
  c.env.num_envs = num_envs;
  c.env.max_episode_steps = 1000;
  c.rollout.length = 10;
  c.replay.capacity = num_envs * 20;
  c.replay.warmup_steps = 0;
  c.noise.type = type;
  c.noise.sigma = c.noise.sigma_final = 0.05;
  c.noise.ou_theta = 0.3;
  c.noise.ou_dt = 0.5;
  return c;
}
template <class Arena>
void roll_out_noise(Arena& arena) {
  arena.template run<Rollout>();
  arena.agent().counters().iteration += 1;
}
template <class Arena>
void start_at_rest(Arena& arena) {
  arena.template run<Initialise>();
  const Plan& p = arena.plan;
  std::fill_n(arena.agent().at(p.actor_params), p.actor.count, 0.0f);
}

// The noise of all environments in row `row` of the ring, in units of the bound.
template <class Arena>
std::vector<double> noise_of(Arena& arena, uint64_t row) {
  const Plan& p = arena.plan;
  std::vector<double> noise;
  for (int e = 0; e < p.num_envs; ++e) {
    const float* r =
        arena.agent().at(p.ring) + (row * static_cast<uint64_t>(p.num_envs) + uint64_t(e)) * 4;
    noise.push_back(static_cast<double>(r[2]) / 2.0);
  }
  return noise;
}
inline double mean_product(const std::vector<double>& a, const std::vector<double>& b) {
  double sum = 0.0;
  for (size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum / static_cast<double>(a.size());
}

TYPED_TEST(NoiseTest, OrnsteinUhlenbeckIsStationary) {
  constexpr int kEnvs = 2000;
  const Config c = noise_config(NoiseType::kOu, kEnvs);
  TestArena<TypeParam, float> arena(c);
  start_at_rest(arena);
  for (int i = 0; i < 6; ++i) roll_out_noise(arena);  // 60 steps: 0.85^60 is 6e-5
  const double keep = 1.0 - c.noise.ou_theta * c.noise.ou_dt;
  const double variance = c.noise.sigma * c.noise.sigma * c.noise.ou_dt / (1.0 - keep * keep);
  // Five standard errors: of the variance of n numbers sqrt(2 / n), of a product at most as much.
  const double error = 5.0 * std::sqrt(2.0 / kEnvs) * variance;
  for (uint64_t lag : {0u, 1u, 2u, 5u, 9u}) {
    const auto first = noise_of(arena, 10), later = noise_of(arena, 10 + lag);
    const double want = variance * std::pow(keep, static_cast<double>(lag));
    EXPECT_NEAR(mean_product(first, later), want, error) << "lag " << lag;
  }
  const auto last = noise_of(arena, 19);
  EXPECT_NEAR(mean_product(last, std::vector<double>(kEnvs, 1.0)), 0.0,
              5.0 * std::sqrt(variance / kEnvs));
}

TYPED_TEST(NoiseTest, OrnsteinUhlenbeckStartsAtZeroWithEachEpisode) {
  constexpr int kEnvs = 1000;
  Config c = noise_config(NoiseType::kOu, kEnvs);
  c.env.max_episode_steps = 15;
  TestArena<TypeParam, float> arena(c);
  start_at_rest(arena);
  for (int i = 0; i < 2; ++i) roll_out_noise(arena);  // the first episodes end with step 14
  for (float nu : std::vector<float>(arena.agent().at(arena.plan.ou_noise),
                                     arena.agent().at(arena.plan.ou_noise) + kEnvs)) {
    EXPECT_NE(nu, 0.0f);
  }
  const double variance = c.noise.sigma * c.noise.sigma * c.noise.ou_dt;
  const double error = 5.0 * std::sqrt(2.0 / kEnvs) * variance;
  const auto fifteenth = noise_of(arena, 14), sixteenth = noise_of(arena, 15);
  EXPECT_NEAR(mean_product(sixteenth, sixteenth), variance, error);
  EXPECT_NEAR(mean_product(fifteenth, sixteenth), 0.0, 3.0 * error);
  EXPECT_GT(mean_product(fifteenth, fifteenth), 2.0 * variance);

  c.env.max_episode_steps = 10;  // the last step of a rollout ends the episode
  TestArena<TypeParam, float> ended(c);
  start_at_rest(ended);
  roll_out_noise(ended);
  for (int e = 0; e < kEnvs; ++e) ASSERT_EQ(ended.agent().at(ended.plan.ou_noise)[e], 0.0f);
}

// Warm-up acts at random, but the process goes on: when it ends the noise is stationary already.
TYPED_TEST(NoiseTest, OrnsteinUhlenbeckAdvancesDuringWarmup) {
  Config c = noise_config(NoiseType::kOu, 100);
  TestArena<TypeParam, float> without(c);
  c.replay.warmup_steps = 100 * 10 * 3;
  c.noise.epsilon = 0.5;
  TestArena<TypeParam, float> with(c);
  for (auto* arena : {&without, &with}) {
    start_at_rest(*arena);
    for (int i = 0; i < 5; ++i) roll_out_noise(*arena);
  }
  const auto a = without.agent(), b = with.agent();
  for (int e = 0; e < 100; ++e) {
    EXPECT_EQ(a.at(without.plan.ou_noise)[e], b.at(with.plan.ou_noise)[e]);
  }
}

TYPED_TEST(NoiseTest, TheLadderGoesFromTheFirstEnvironmentToTheLast) {
  for (NoiseType type : {NoiseType::kGaussian, NoiseType::kOu}) {
    Config c = noise_config(type, 101);
    TestArena<TypeParam, float> flat(c);
    c.noise.sigma_ladder = 6.0;
    TestArena<TypeParam, float> ladder(c);
    for (auto* arena : {&flat, &ladder}) {
      start_at_rest(*arena);
      roll_out_noise(*arena);
    }
    for (uint64_t row : {0u, 9u}) {
      const auto one = noise_of(flat, row), many = noise_of(ladder, row);
      for (size_t e = 0; e < 101; ++e) {
        EXPECT_NEAR(many[e], one[e] * (1.0 + 0.05 * static_cast<double>(e)), 1e-6);
      }
    }
  }
}

}  // namespace pendula
