// Draws of agents' values: the same everywhere, even over their range, each of its own.
#include "host/distribution.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <set>

namespace pendula {
namespace {

using nlohmann::json;

json draw(const char* spec, int64_t agent, uint64_t seed = 1, const char* name = "ddpg.tau") {
  return value_of_agent(json::parse(spec), seed, name, agent);
}

// Computed by a few lines of Python (integers of any size, math.sqrt). Whatever changes these
// changes every sweep that was ever run.
TEST(Draws, AreTheSameOnEveryMachine) {
  const struct {
    uint64_t seed;
    const char* name;
    int64_t agent;
    double uniform, log_uniform;
    int int_uniform, choice;
  } draws[] = {
      {1, "ddpg.tau", 0, 0.6680844716209415, 0.0010098419663573022, 4, 3},
      {1, "ddpg.tau", 1, 0.44809969891326473, 0.0002209525900122266, 1, 5},
      {7, "optimizer.actor_lr", 255, 0.02125137044098624, 1.1581214657458805e-05, -3, 7},
      {~uint64_t{0}, "noise.sigma", 65535, 0.6796074622991972, 0.0010935090631953644, 4, 3},
  };
  for (const auto& d : draws) {
    EXPECT_EQ(draw(R"({"uniform": [0.0, 1.0]})", d.agent, d.seed, d.name), d.uniform);
    EXPECT_EQ(draw(R"({"log_uniform": [1e-5, 1e-2]})", d.agent, d.seed, d.name), d.log_uniform);
    EXPECT_EQ(draw(R"({"int_uniform": [-3, 7]})", d.agent, d.seed, d.name), d.int_uniform);
    EXPECT_EQ(draw(R"({"choice": [7, 5, 3]})", d.agent, d.seed, d.name), d.choice);
  }
}

TEST(Draws, FillTheirRangesEvenly) {
  constexpr int kDraws = 20000;
  int below_middle = 0, log_below_middle = 0;
  std::map<int64_t, int> integers, choices;
  for (int k = 0; k < kDraws; ++k) {
    const double x = draw(R"({"uniform": [2.0, 4.0]})", k);
    ASSERT_TRUE(x >= 2.0 && x <= 4.0) << x;
    below_middle += x < 3.0;
    const double y = draw(R"({"log_uniform": [1e-4, 1e-2]})", k);
    ASSERT_TRUE(y >= 1e-4 && y <= 1e-2) << y;
    log_below_middle += y < 1e-3;
    ++integers[draw(R"({"int_uniform": [-1, 3]})", k).get<int64_t>()];
    ++choices[draw(R"({"choice": [7, 5]})", k).get<int64_t>()];
  }
  // Five standard deviations of a count of probability p: 5 sqrt(p (1 - p) kDraws).
  EXPECT_NEAR(below_middle, kDraws / 2, 354);
  EXPECT_NEAR(log_below_middle, kDraws / 2, 354);
  ASSERT_EQ(integers.size(), 5u);
  for (const auto& [value, count] : integers) EXPECT_NEAR(count, kDraws / 5, 283) << value;
  ASSERT_EQ(choices.size(), 2u);
  EXPECT_NEAR(choices[5], kDraws / 2, 354);
}

TEST(Draws, OfALogarithmAreLowTimesThePowerOfTheRatio) {
  for (int k = 0; k < 1000; ++k) {
    const double u = draw(R"({"uniform": [0.0, 1.0]})", k);
    const double y = draw(R"({"log_uniform": [1e-5, 10.0]})", k);
    const double want = 1e-5 * std::pow(1e6, u);  // 53 factors, each off by 2^-53 or so
    EXPECT_NEAR(y / want, 1.0, 1e-13) << u;
  }
}

TEST(Draws, DependOnSeedNameAndAgentAlone) {
  const char* spec = R"({"uniform": [0.0, 1.0]})";
  std::set<double> values;
  for (int64_t agent : {0, 1, 2, 70000}) {
    for (uint64_t seed : {uint64_t{1}, uint64_t{2}, uint64_t{1} << 40}) {
      for (const char* name : {"ddpg.tau", "ddpg.gamma"}) {
        values.insert(draw(spec, agent, seed, name).get<double>());
        EXPECT_EQ(draw(spec, agent, seed, name), draw(spec, agent, seed, name));
      }
    }
  }
  EXPECT_EQ(values.size(), 4u * 3 * 2);
}

TEST(Draws, ReachAllSeeds) {
  const char* all = R"({"int_uniform": [0, 18446744073709551615]})";
  bool high = false, odd = false;
  for (int k = 0; k < 64; ++k) {
    const json seed = draw(all, k);
    ASSERT_TRUE(seed.is_number_unsigned());
    high = high || seed.get<uint64_t>() >> 63 != 0;
    odd = odd || (seed.get<uint64_t>() & 1) != 0;
  }
  EXPECT_TRUE(high && odd);
}

}  // namespace
}  // namespace pendula
