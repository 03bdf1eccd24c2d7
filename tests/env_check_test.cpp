// `pendula envs check`: the environments that ship keep their contract, and each way of breaking it
// is found.
#include "host/env_check.h"

#include <gtest/gtest.h>

#include <cmath>

#include "host/play.h"

namespace pendula {
namespace {

using Verdict = ContractPoint::Verdict;

Config config_of(const std::string& id) {
  Config c;
  c.env.id = id;
  return c;
}

struct Recorded {
  CheckedEnvironment env;
  RecordedRollout rollout;
};
Recorded record(const std::string& id) {
  Config c = contract_config(config_of(id));
  c.simd = kScalarLevel;
  return {checked_environment(c), record_rollout(*make_cpu_backend(c, 1), c, 120)};
}

// The points that are broken, by name.
std::vector<std::string> broken_points(const std::vector<ContractPoint>& points) {
  std::vector<std::string> names;
  for (const ContractPoint& p : points) {
    if (p.verdict == Verdict::kBroken) names.push_back(p.name);
  }
  return names;
}
const std::string kAlone = "environment i of N is the one that it is alone";
const std::string kLimit = "the time limit truncates and never terminates";
const std::string kKept = "the state before a reset is kept";

TEST(EnvCheckTest, EveryEnvironmentKeepsItsContract) {
  for (const EnvironmentInfo& e : environments()) {
    const auto points = check_contract(config_of(e.id));
    EXPECT_GE(points.size(), 7u);
    for (const ContractPoint& p : points) {
      EXPECT_NE(p.verdict, Verdict::kBroken) << e.id << ": " << p.name << ": " << p.detail;
      EXPECT_FALSE(p.detail.empty());
      if (p.name == "CPU equals CUDA") continue;  // there may be no GPU
      EXPECT_EQ(p.verdict, Verdict::kHolds) << p.name;
    }
  }
}

TEST(EnvCheckTest, ParametersAreChecked) {
  Config c = config_of("cartpole");
  c.env.params["theta_limit"] = 0.001;  // the first step ends each episode
  bool seen = false;
  for (const ContractPoint& p : check_contract(c)) {
    if (p.name != kLimit) continue;
    EXPECT_EQ(p.verdict, Verdict::kNotChecked) << p.detail;
    seen = true;
  }
  EXPECT_TRUE(seen);
}

TEST(EnvCheckTest, AnotherTrajectoryIsFound) {
  const Recorded a = record("cartpole");
  RecordedRollout b = a.rollout;
  EXPECT_EQ(check_same(a.rollout, b).verdict, Verdict::kHolds);
  b.reward[1234] = std::nextafter(b.reward[1234], 9.0f);
  EXPECT_EQ(check_same(a.rollout, b).verdict, Verdict::kBroken);
  b = a.rollout;
  b.ended[77] = !b.ended[77];
  EXPECT_EQ(check_same(a.rollout, b).verdict, Verdict::kBroken);
}

TEST(EnvCheckTest, RecordsThatDoNotFollowAreFound) {
  for (const char* id : {"pendulum", "cartpole", "cartpole-swingup"}) {
    const Recorded good = record(id);
    EXPECT_TRUE(broken_points(check_records(good.env, good.rollout, true)).empty());
    const size_t S = static_cast<size_t>(good.env.info.state_dim);
    const auto broken_by = [&](auto change) {
      RecordedRollout r = good.rollout;
      change(r);
      return broken_points(check_records(good.env, r, true));
    };
    // Environment 33: its second step, the last of its first episode, and the first of the next.
    const size_t second = 70 + 33;
    size_t last = 33;
    while (!good.rollout.ended[last]) last += 70;
    const auto nudge = [](float& x) { x = std::nextafter(x, 99.0f); };
    EXPECT_EQ(broken_by([&](auto& r) { nudge(r.state[second * S]); }),
              std::vector<std::string>{kAlone});
    EXPECT_EQ(broken_by([&](auto& r) { nudge(r.reward[second]); }),
              std::vector<std::string>{kAlone});
    EXPECT_EQ(broken_by([&](auto& r) { nudge(r.state[(last + 70) * S]); }),
              std::vector<std::string>{kKept});
    EXPECT_EQ(broken_by([&](auto& r) { r.ended[last] = false; }), std::vector<std::string>{kLimit});
    EXPECT_EQ(broken_by([&](auto& r) { r.ended[second] = true; }),
              std::vector<std::string>{kLimit});
    // Within rounding nothing is broken, beyond it everything is.
    RecordedRollout near = good.rollout;
    nudge(near.state[second * S]);
    EXPECT_TRUE(broken_points(check_records(good.env, near, false)).empty());
    EXPECT_EQ(check_precision(good.env, near, "p").verdict, Verdict::kHolds);
    near.state[second * S] += 0.01f;
    EXPECT_FALSE(broken_points(check_records(good.env, near, false)).empty());
    EXPECT_EQ(check_precision(good.env, near, "p").verdict, Verdict::kBroken);
    near.state[second * S] = std::nanf("");
    EXPECT_FALSE(broken_points(check_records(good.env, near, false)).empty());
    EXPECT_EQ(check_precision(good.env, near, "p").verdict, Verdict::kBroken);
  }
}

// Environments that break the contract themselves: the functions of Pendulum, one of them changed.
TEST(EnvCheckTest, BrokenFunctionsAreFound) {
  const Recorded good = record("pendulum");
  EXPECT_EQ(check_extreme_actions(good.env).verdict, Verdict::kHolds);
  CheckedEnvironment unclipped = good.env;
  unclipped.twice.step = [](const double*, const double* state, const double* action,
                            double* next) {
    next[0] = state[0] + action[0] * action[0] * 1e300;
    next[1] = state[1];
    return EnvFunctions<double>::Outcome{0.0, false};
  };
  EXPECT_EQ(check_extreme_actions(unclipped).verdict, Verdict::kBroken);
  EXPECT_EQ(check_precision(unclipped, good.rollout, "p").verdict, Verdict::kBroken);
  CheckedEnvironment terminates = good.env;
  terminates.single.step = [](const double*, const float* state, const float*, float* next) {
    next[0] = state[0];
    next[1] = state[1];
    return EnvFunctions<float>::Outcome{0.0f, true};
  };
  EXPECT_EQ(broken_points(check_records(terminates, good.rollout, true)),
            std::vector<std::string>{kLimit});
}

}  // namespace
}  // namespace pendula
