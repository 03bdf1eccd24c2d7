// Evaluation against the reference: every episode alone, from its own initial state, to its own
// end.
#pragma once

#include "kernels/evaluate.h"
#include "kernels/initialise.h"
#include "tests/kernels/arena.h"
#include "tests/kernels/point_env.h"

namespace pendula {

template <class Runner>
class EvaluateTest : public testing::Test {};
TYPED_TEST_SUITE(EvaluateTest, Runners, RunnerNames);

// CartPole pays 1 whatever the state, and NaN lies within every bound: such an episode must not
// pass for a perfect one.
TYPED_TEST(EvaluateTest, APolicyThatIsNotFiniteHasNoReturn) {
  Config c = test_config();
  c.agents = 2;
  c.env.max_episode_steps = 20;
  TestArena<TypeParam, float, CartPole> arena(c);
  arena.template run<Initialise>();
  std::fill_n(arena.agent(1).at(arena.plan.actor_params), arena.plan.actor.count, std::nanf(""));
  typename TypeParam::template Buffer<float> returns(2 * 33);
  typename TypeParam::template Buffer<uint32_t> lengths(2 * 33);
  arena.run_program(Evaluate<CartPole, float>{arena.context, 33, returns.data(), lengths.data()});
  const std::vector<float> got = returns.download();
  for (size_t i = 0; i < 33; ++i) {
    EXPECT_TRUE(std::isfinite(got[i])) << i;
    EXPECT_TRUE(std::isnan(got[33 + i])) << i << ": " << got[33 + i];
  }
}

TYPED_TEST(EvaluateTest, EvaluationStopsAtTheEndOfAnEpisode) {
  Config c = test_config();
  c.env.max_episode_steps = 40;
  TestArena<TypeParam, float, Point> arena(c);
  arena.template run<Initialise>();
  std::mt19937 random(2);  // the target is another one, and does not play
  fill_network(arena.plan.actor, random, arena.agent().at(arena.plan.actor_target));
  constexpr int kEpisodes = 70;
  typename TypeParam::template Buffer<float> returns(kEpisodes);
  typename TypeParam::template Buffer<uint32_t> lengths(kEpisodes);
  arena.run_program(
      Evaluate<Point, float>{arena.context, kEpisodes, returns.data(), lengths.data()});
  const auto actor = reference::unpack(arena.plan.actor, arena.agent().at(arena.plan.actor_params));
  const auto length = lengths.download();
  const auto total = returns.download();
  const double tolerance = 1e-2 + 100.0 * (TypeParam::kGemmTolerance - 1e-6);
  int early = 0, equal = 0;
  for (uint32_t i = 0; i < kEpisodes; ++i) {
    const Uint4 r = philox({7, i, 0, 0}, c.seed);
    double x = (r.x >> 8) / 8388608.0 - 1.0, y = (r.y >> 8) / 8388608.0 - 1.0;
    double heading = (r.z >> 8) / 8388608.0 - 1.0, sum = 0.0;
    uint32_t t = 0;
    for (bool out = false; !out && t < 40; ++t) {
      const auto a = reference::policy(actor, {x, y, std::sin(heading), std::cos(heading)});
      x += 0.5 * a[0] * std::cos(heading);
      y += 0.5 * a[0] * std::sin(heading);
      heading += 3.0 * a[1];
      sum -= x * x + y * y;
      out = std::fabs(x) > 1.0;
    }
    early += t < 40 ? 1 : 0;
    equal += t == length[i] && std::fabs(sum - total[i]) <= tolerance ? 1 : 0;
  }
  EXPECT_GT(early, 5);
  EXPECT_LT(early, kEpisodes);
  // An end that rounding decides may fall a step beside, and everything after a turn differs.
  EXPECT_GE(equal, TypeParam::kGemmTolerance > 1e-5 ? kEpisodes / 2 : kEpisodes - 2);
}

}  // namespace pendula
