// Equal bits: for every number of threads, however a run is cut into launches, with evaluations in
// between, and resumed at any point; at each level of the processor's instructions its own. On the
// CPU backend. tests/population_test.cpp has agents in company.
#include <gtest/gtest.h>

#include <chrono>
#include <cmath>
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <thread>

#include "host/simd.h"
#include "tests/bits.h"
#include "tests/variants.h"

namespace pendula {
namespace {

// Each environment, noise and option of the algorithm.
class BitsOf : public testing::TestWithParam<Variant> {
 protected:
  static Config config() {
    Config c = bits_config();
    GetParam().apply(c);
    return c;
  }
};
INSTANTIATE_TEST_SUITE_P(Variants, BitsOf, testing::ValuesIn(kVariants),
                         [](const auto& info) { return std::string(info.param.name); });

TEST_P(BitsOf, TheRunsHereLearnSomething) {
  const auto backend = started(config());
  const State before = state_of(*backend);
  run_to(*backend, kIterations);
  const State after = state_of(*backend);
  for (const auto& [name, value] : before) {
    const bool moves = name.find("agents.seed") != 0 && name.find("agents.hyper") != 0;
    EXPECT_EQ(after.at(name) != value, moves) << name;
  }
  EXPECT_TRUE(backend->faults().empty());
  EXPECT_GT(backend->agent(0).counters().updates, 80u);
}

std::vector<std::string> levels_here() {
  std::vector<std::string> levels;
  for (const std::string& level : simd_levels()) {
    if (has_simd_level(level)) levels.push_back(level);
  }
  return levels;
}

TEST_P(BitsOf, DoNotDependOnThreads) {
  for (const std::string& level : levels_here()) {
    SCOPED_TRACE(level);
    Config c = config();
    c.simd = level;
    EXPECT_EQ(started(c)->device().meta["simd_level"], level);
    const State one = whole_run(c, 1);
    for (int threads : {1, 2, 3, 8}) expect_equal(whole_run(c, threads), one);
  }
}

TEST(BitsTest, AutoIsTheHighestLevel) {
  Config c = bits_config();
  const State by_itself = whole_run(c);
  c.simd = levels_here().back();
  expect_equal(by_itself, whole_run(c));
}

// The networks' weights and biases, as one vector.
std::vector<double> weights_of(const State& state) {
  std::vector<double> all;
  for (const auto& [name, value] : state) {
    const bool weight =
        name.find(".layers.") != std::string::npos && name.find(".adam_") == std::string::npos;
    if (!weight) continue;
    for (size_t i = 0; i < value.size(); i += sizeof(float)) {
      float x;
      std::memcpy(&x, value.data() + i, sizeof x);
      all.push_back(x);
    }
  }
  return all;
}
double distance(const std::vector<double>& a, const std::vector<double>& b) {
  double sum = 0.0;
  for (size_t i = 0; i < a.size(); ++i) sum += (a[i] - b[i]) * (a[i] - b[i]);
  return std::sqrt(sum);
}

// Levels round differently: products are fused or not, and dot products have other partial sums.
// That is a few 1e-7 of each gradient, which Adam can turn into a step of the wrong sign where a
// gradient is next to nothing: a few of 3,000 weights after a dozen updates. Beside the way that
// training has gone by then, the distance must be small: 1%.
TEST(BitsTest, LevelsGiveNearlyTheSame) {
  std::map<std::string, State> states;
  Config c = bits_config();
  const std::vector<double> before = weights_of(state_of(*started(c)));
  ASSERT_GT(before.size(), 1000u);
  for (const std::string& level : levels_here()) {
    c.simd = level;
    const auto backend = started(c);
    run_to(*backend, 14);
    EXPECT_GT(backend->agent(0).counters().updates, 12u);
    states[level] = state_of(*backend);
  }
  const State& lowest = states.at(simd_levels().front());
  const double way = distance(weights_of(lowest), before);
  for (const auto& [level, state] : states) {
    if (level == simd_levels().front()) continue;
    EXPECT_NE(state, lowest) << level << " is the same code";
    const double apart = distance(weights_of(state), weights_of(lowest));
    EXPECT_TRUE(apart < 0.01 * way) << level << ": " << apart << " of " << way;
    RecordProperty(level, testing::PrintToString(apart / way));
  }
}

TEST_P(BitsOf, DoNotDependOnTheCutsOfLaunchesNorOnEvaluations) {
  const State whole = whole_run(config());
  for (uint64_t piece : {1, 3, 7, 16}) {
    const auto backend = started(config(), piece == 7 ? 2 : 1);
    for (uint64_t until = piece; until < kIterations; until += piece) {
      run_to(*backend, until);
      const Evaluation a = backend->evaluate(100), b = backend->evaluate(100);
      EXPECT_EQ(a.returns, b.returns);
      EXPECT_EQ(a.returns.size(), 100u);
    }
    run_to(*backend, kIterations);
    expect_equal(state_of(*backend), whole);
  }
}

TEST(BitsTest, DoNotDependOnWhereAStopFalls) {
  Config c = bits_config();
  c.report.interval = 70 * 2 * 1000;
  constexpr uint64_t kLong = 200;
  const auto whole = started(c, 2);
  run_to(*whole, kLong);
  const auto cut = started(c, 2);
  int stops = 0;
  for (uint64_t reached = 0; reached < kLong;) {
    std::atomic<bool> stop{false};
    std::thread later([&] {
      std::this_thread::sleep_for(std::chrono::microseconds(1000 + 700 * (stops % 5)));
      stop = true;
    });
    const RunResult r = cut->run(kLong, stop);
    later.join();
    EXPECT_GE(r.iteration, reached);
    EXPECT_EQ(r.iteration, cut->agent(0).counters().iteration);
    stops += r.reason == HaltReason::kStopFlag ? 1 : 0;
    reached = r.iteration;
  }
  EXPECT_GT(stops, 2);
  expect_equal(state_of(*cut), state_of(*whole));
}

TEST(BitsTest, ReportsOnlyWatch) {
  State want = whole_run(bits_config());
  Config c = bits_config();
  c.report.interval = 70 * 2 * 7;
  State got = whole_run(c);
  for (State* s : {&want, &got}) s->erase("agents.report 0");
  expect_equal(got, want);
}

TEST(BitsTest, ReportRowsAreEqualForEveryNumberOfThreads) {
  const auto rows_of = [](int threads) {
    const auto backend = started(bits_config(), threads);
    return run_to(*backend, kIterations);
  };
  const auto one = rows_of(1), three = rows_of(3);
  ASSERT_EQ(one.size(), kIterations / 3);  // every third iteration
  ASSERT_EQ(three.size(), one.size());
  uint64_t updates = 0, episodes = 0;
  for (size_t i = 0; i < one.size(); ++i) {
    EXPECT_EQ(std::memcmp(&one[i], &three[i], sizeof one[i]), 0) << "row " << i;
    EXPECT_EQ(one[i].iteration, 3 * (i + 1));
    updates += one[i].row_updates;
    episodes += one[i].row_episodes;
    EXPECT_EQ(one[i].episode_length_sum, 9.0 * static_cast<double>(one[i].row_episodes));
  }
  EXPECT_EQ(updates, one.back().updates);
  EXPECT_EQ(episodes, 70u * (39 * 2 / 9));
}

TEST_P(BitsOf, AResumedRunGoesOnWhereItStood) {
  const State whole = whole_run(config(), 2);
  for (uint64_t split = 2; split <= kIterations;
       split += 2) {  // inside the warm-up, at the wrap (16)
    const auto first = started(config(), 1);
    run_to(*first, split);
    const auto second = std::make_unique<CpuBackend>(config(), 2);
    restore(*second, state_of(*first));
    run_to(*second, kIterations);
    SCOPED_TRACE(split);
    expect_equal(state_of(*second), whole);
  }
}

TEST(BitsTest, LagsAndSlicesAreTheSameForEveryNumberOfThreadsAndCut) {
  for (int64_t lag : {0, 1}) {
    Config c = bits_config();
    c.rollout.policy_lag = lag;
    c.env.num_envs = 40;
    c.ddpg.updates_per_step = 2.0;  // 160 updates in an iteration: three slices
    c.ddpg.batch_size = 70;
    c.replay.capacity = 40 * 10;
    c.replay.warmup_steps = 40 * 4;
    ASSERT_EQ(make_plan(c, *find_environment("pendulum"), 4).plan.slices, 3);
    const auto whole = started(c, 1);
    run_to(*whole, 5);
    EXPECT_EQ(whole->agent(0).counters().updates, (5 - 2) * 160u);
    const auto pieces = started(c, 2);
    for (uint64_t i = 1; i <= 5; ++i) run_to(*pieces, i);
    expect_equal(state_of(*pieces), state_of(*whole));

    // A stop that is always asked for cuts after every slice, and each goes on in a fresh backend.
    auto slices = started(c, 2);
    const std::atomic<bool> stop{true};
    for (int cut = 1; cut <= 5 * 3; ++cut) {
      const RunResult r = slices->run(5, stop);
      EXPECT_EQ(r.iteration, static_cast<uint64_t>(cut / 3));
      EXPECT_EQ(r.updates, slices->agent(0).counters().updates);
      auto next = started(c, 1);
      std::vector<char> all(static_cast<size_t>(next->tensors().agent_bytes));
      slices->read(0, all.size(), all.data());
      next->write(0, all.size(), all.data());
      slices = std::move(next);
    }
    expect_equal(state_of(*slices), state_of(*whole));
  }
}

TEST(BitsTest, TheLagIsOfOneIteration) {
  Config c = bits_config();
  c.rollout.policy_lag = 1;
  const auto backend = started(c);
  for (uint64_t i = 1; i <= 12; ++i) {
    const State before = state_of(*backend);
    run_to(*backend, i);
    const State after = state_of(*backend);
    const std::string name = ".layers.0.weight 0";
    EXPECT_EQ(after.at("agents.actor_lagged" + name), before.at("agents.actor" + name)) << i;
  }
}

}  // namespace
}  // namespace pendula
