// The parts of `pendula bench` that compute: statistics, FLOP, limits, the measuring loop, the
// probes' own checks. tests/bench_report_test.cpp has filter, report and comparison.
#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <limits>

#include "bench/backend_work.h"
#include "bench/cpu_peaks.h"
#include "bench/cpu_probes.h"
#include "bench/measure.h"
#include "bench/memory_probe.h"
#include "bench/network.h"
#include "bench/openblas.h"
#include "bench/sizes.h"
#include "bench/suites.h"
#include "host/error.h"
#include "host/simd.h"
#include "kernels/philox.h"
#include "tests/contains.h"

namespace pendula {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

TEST(BenchStatistics, QuartilesInterpolate) {
  const Statistics s = statistics_of({5.0, 1.0, 2.0, 4.0});  // NumPy: 1.75, 3, 4.25
  EXPECT_EQ(s.median, 3.0);
  EXPECT_EQ(s.min, 1.0);
  EXPECT_EQ(s.max, 5.0);
  EXPECT_DOUBLE_EQ(s.spread, 2.5 / 3.0);
  const Statistics one = statistics_of({7.0});
  EXPECT_EQ(one.median, 7.0);
  EXPECT_EQ(one.spread, 0.0);
}

TEST(BenchStatistics, NanInOneIsNanInAll) {
  for (const std::vector<double>& values :
       {std::vector<double>{}, std::vector<double>{1.0, kNan, 2.0}}) {
    const Statistics s = statistics_of(values);
    EXPECT_TRUE(std::isnan(s.median) && std::isnan(s.min) && std::isnan(s.max) &&
                std::isnan(s.spread));
  }
}

// By hand for 2x64: Fa = 2 (3 64 + 64 64 + 64) = 8,704, Fc = 2 (4 64 + 64 64 + 64) = 8,832,
// Fa1 = 384, Fc1 = 512, 2 A h1 = 128: 34,816 + 52,992 - 384 - 1,024 + 128.
TEST(BenchFlop, OfOneUpdate) {
  EXPECT_EQ(forward_flop({3, 64, 64, 1}), 8704.0);
  EXPECT_EQ(update_flop(3, 1, {64, 64}, {64, 64}), 86528.0);
  EXPECT_NEAR(update_flop(3, 1, {256, 256}, {256, 256}) / 1e6, 1.33, 0.005);
  EXPECT_NEAR(update_flop(3, 1, {400, 300}, {400, 300}) / 1e6, 2.43, 0.005);
  EXPECT_NEAR(update_flop(3, 1, {1000, 500, 200}, {1000, 500, 200}) / 1e6, 12.06, 0.005);
  // Two actions, unequal networks, one layer each. Fa = 2 (5 8 + 8 2), Fc = 2 (7 4 + 4).
  EXPECT_EQ(update_flop(5, 2, {8}, {4}), 4.0 * 112 + 6.0 * 64 - 80 - 2.0 * 56 + 2.0 * 2 * 4);
}

TEST(BenchNetwork, NamesAndLargestProducts) {
  EXPECT_EQ(network_name({64, 64}), "2x64");
  EXPECT_EQ(network_name({400, 300}), "400-300");
  EXPECT_EQ(network_name({16}), "1x16");
  EXPECT_EQ(network_name({}), "none");
  const auto expect = [](const ProductShape& s, int64_t m, int64_t n, int64_t k) {
    EXPECT_EQ(s.m, m);
    EXPECT_EQ(s.n, n);
    EXPECT_EQ(s.k, k);
  };
  expect(largest_product(100, 4, {64, 64}), 100, 64, 64);
  expect(largest_product(256, 4, {400, 300}), 256, 300, 400);
  expect(largest_product(32, 4, {16}), 32, 16, 4);
  expect(largest_product(8, 4, {20, 10, 30}), 8, 30, 10);
}

// Each size has its yardstick among the products that the suite `machine` measures.
TEST(BenchSizes, EveryYardstickIsMeasured) {
  for (const Sizes sizes : {Sizes::kFull, Sizes::kShort, Sizes::kTiny}) {
    const std::vector<ProductShape> shapes = yardstick_shapes(sizes);
    const auto there = [&](const ProductShape& s) {
      for (const ProductShape& o : shapes) {
        if (o.m == s.m && o.n == s.n && o.k == s.k) return true;
      }
      return false;
    };
    for (const UpdateSize& u : update_sizes(sizes, false)) EXPECT_TRUE(there(update_yardstick(u)));
    for (const RolloutSize& r : rollout_sizes(sizes, false)) {
      EXPECT_TRUE(there(rollout_yardstick(r.hidden)));
    }
    EXPECT_TRUE(there(update_yardstick(train_update(sizes))));
    for (const PopulationSize& p : population_sizes(sizes, false)) {
      EXPECT_TRUE(there(update_yardstick({p.hidden, p.batch})));
    }
    for (const UpdateSize& u : small_batch_sizes(sizes, false)) {
      EXPECT_TRUE(there(update_yardstick(u)));
    }
  }
}

// Work whose clock says `seconds` per call, each call being noted.
class FakeWork final : public Work {
 public:
  FakeWork(int id, double seconds, std::vector<int>& calls)
      : id_(id), seconds_(seconds), calls_(calls) {}
  double call() override {
    calls_.push_back(id_);
    return seconds_;
  }
  double units() const override { return 3.0; }

 private:
  int id_;
  double seconds_;
  std::vector<int>& calls_;
};

Case fake_case(int id, double seconds, std::vector<int>& calls) {
  Case c;
  c.keys = {{"suite", "fake"}, {"case", "n" + std::to_string(id)}};
  c.quantities = {{"things_per_second", 2.0, {}}, {"seconds", 1.0, {}}};
  c.group = "fake";
  c.prepare = [=, &calls] { return std::make_unique<FakeWork>(id, seconds, calls); };
  return c;
}

std::vector<Row> measure_quietly(std::vector<Case> cases, Effort effort = {5, 0.01, 0.001}) {
  const std::atomic<bool> stop{false};
  return measure(std::move(cases), effort, stop, [](const std::string&) {});
}

TEST(BenchMeasure, RatesAndLatenciesOfEachRepeat) {
  std::vector<int> calls;
  const auto rows = measure_quietly({fake_case(0, 0.004, calls), fake_case(1, 0.002, calls)});
  ASSERT_EQ(rows.size(), 4u);
  EXPECT_EQ(rows[0].keys["metric"], "things_per_second");
  EXPECT_EQ(rows[3].keys["case"], "n1");
  for (const Row& row : rows) EXPECT_EQ(row.values.size(), 5u);
  EXPECT_NEAR(rows[0].statistics.median, 2.0 * 3.0 / 0.004, 1e-6);
  EXPECT_NEAR(rows[1].statistics.median, 0.004 / 3.0, 1e-12);
  EXPECT_NEAR(rows[2].statistics.median, 2.0 * 3.0 / 0.002, 1e-6);
  // At least 10 ms by the fake clock in each of five repeats, besides the warm-up.
  EXPECT_GE(std::count(calls.begin(), calls.end(), 0), 5 * 3);
  EXPECT_GE(std::count(calls.begin(), calls.end(), 1), 5 * 5);
}

// With twenty repeats of two cases, an order without turns comes once in 7e10 runs.
TEST(BenchMeasure, CasesOfAGroupTakeTurns) {
  std::vector<int> calls;
  measure_quietly({fake_case(0, 0.02, calls), fake_case(1, 0.02, calls)}, {20, 0.01, 0.001});
  int changes = 0;
  for (size_t i = 1; i < calls.size(); ++i) changes += calls[i] != calls[i - 1] ? 1 : 0;
  EXPECT_GT(changes, 1);
}

TEST(BenchMeasure, FailuresAreThrownAndLackOfMemoryIsSaid) {
  std::vector<int> calls;
  Case broken = fake_case(0, 0.01, calls);
  broken.prepare = []() -> std::unique_ptr<Work> { throw Error(ExitCode::kDevice, "it broke"); };
  EXPECT_THROW(measure_quietly({broken, fake_case(1, 0.01, calls)}), Error);
  Case large = fake_case(0, 0.01, calls);
  large.prepare = []() -> std::unique_ptr<Work> { throw Error(ExitCode::kMemory, "too large"); };
  Case absent = fake_case(2, 0.01, calls);
  absent.not_measured = "no library";
  calls.clear();
  const auto rows = measure_quietly({large, absent, fake_case(1, 0.01, calls)});
  EXPECT_EQ(rows[0].not_measured, "too large");
  EXPECT_TRUE(rows[0].values.empty());
  EXPECT_EQ(rows[2].not_measured, "no library");
  EXPECT_EQ(rows[4].values.size(), 5u);
  EXPECT_EQ(std::count(calls.begin(), calls.end(), 2), 0);
}

TEST(BenchMeasure, AClockThatStandsIsAnError) {
  std::vector<int> calls;
  for (const double seconds : {0.0, kNan, -1.0}) {
    EXPECT_THROW(measure_quietly({fake_case(0, seconds, calls)}), Error) << seconds;
  }
}

// A training run whose updates are not those that were due, or that diverges, has no speed.
TEST(BenchBackendWork, ChecksWhatTheRunDid) {
  BackendRun run;
  run.config.device = "cpu";
  run.config.actor.hidden = run.config.critic.hidden = {8};
  run.config.env.num_envs = 64;
  run.config.ddpg.batch_size = 16;
  run.config.ddpg.updates_per_step = 0.125;
  run.config.replay.warmup_steps = run.first_steps = 128;
  run.config.report.interval = 64;
  run.threads = 1;
  run.updates_per_iteration = 8;
  run.call_seconds = 1e-6;
  const auto work = make_backend_work(run);
  EXPECT_GE(work->units(), 1.0);
  EXPECT_GT(work->call(), 0.0);
  BackendRun miscounted = run;
  miscounted.updates_per_iteration = 9;
  EXPECT_THROW(make_backend_work(miscounted), Error);
  BackendRun early = run;  // updates where none are expected yet
  early.first_steps = 256;
  EXPECT_THROW(make_backend_work(early), Error);
  BackendRun diverging = run;
  diverging.config.optimizer.actor_lr = diverging.config.optimizer.critic_lr = 1e30;
  diverging.call_seconds = 0.02;
  try {
    make_backend_work(diverging);
    ADD_FAILURE() << "nothing was thrown";
  } catch (const Error& error) {
    EXPECT_TRUE(contains(error.what(), {"became NaN or infinite"}));
  }
}

Row machine_row(const std::string& name, int threads, double median) {
  Row r;
  r.keys = {{"suite", "machine"}, {"case", name}, {"threads", threads}, {"metric", "x"}};
  r.values = {median};
  r.statistics = statistics_of(r.values);
  return r;
}

TEST(BenchLimits, TheLowestCeilingOfTheHighestRows) {
  Row row;
  row.keys = {{"suite", "update"}, {"metric", "updates_per_second"}};
  row.values = {1.0};
  row.caps = {{{{"suite", "machine"}, {"case", "sgemm"}}, 0.5},
              {{{"suite", "machine"}, {"case", "triad"}, {"threads", 2}}, 1.0}};
  Row absent = machine_row("sgemm", 4, 1000.0);
  absent.values.clear();
  std::vector<Row> rows = {row,
                           machine_row("sgemm", 1, 40.0),
                           machine_row("sgemm", 2, 100.0),
                           machine_row("triad", 1, 10.0),
                           machine_row("triad", 2, 60.0),
                           absent};
  set_limits(rows);
  EXPECT_EQ(rows[0].limit, 50.0);
  EXPECT_EQ(rows[0].limit_from, "sgemm threads=2");
  EXPECT_EQ(rows[1].limit, 0.0);
  rows[0].keys["metric"] = "seconds";  // of 6,000 units; the slowest ceiling counts
  for (Ceiling& ceiling : rows[0].caps) ceiling.scale = 6000.0;
  rows[0].limit = 0.0;
  set_limits(rows);
  EXPECT_EQ(rows[0].limit, 100.0);
  EXPECT_EQ(rows[0].limit_from, "triad threads=2");
  rows[0].caps = {{{{"suite", "machine"}, {"case", "absent"}}, 1.0}};
  rows[0].limit = 0.0;
  set_limits(rows);
  EXPECT_EQ(rows[0].limit, 0.0);
}

TEST(BenchProbes, PeaksOfEachLevelComputeWhatTheySay) {
  for (const std::string& level : simd_levels()) {
    if (!has_simd_level(level)) continue;
    const CpuPeaks& peaks = cpu_peaks(level);
    EXPECT_EQ(peaks.fma(100, 0.0f, 0.5f, 1.0f), 2.0f);
    EXPECT_EQ(peaks.fma(1, 3.0f, 0.5f, 1.0f), 2.5f);
    std::vector<float> a(128, 0.0f), b(128), c(128);
    for (size_t i = 0; i < a.size(); ++i) {
      b[i] = static_cast<float>(i);
      c[i] = static_cast<float>(2 * i);
    }
    peaks.triad(a.size(), a.data(), b.data(), c.data(), 3.0f);
    for (size_t i = 0; i < a.size(); ++i) EXPECT_EQ(a[i], 7.0f * static_cast<float>(i));
    uint32_t words = 0;
    for (uint32_t i = 0; i < 128; ++i) {
      const Uint4 r = philox({i, 1, 2, 3}, 99);
      words ^= r.x ^ r.y ^ r.z ^ r.w;
    }
    EXPECT_EQ(peaks.philox(128, 99), words);
  }
}

TEST(BenchProbes, GatherSeesAWrongWord) {
  constexpr int kLog2 = 10;
  for (const int words : {4, 8, 16}) {
    std::vector<uint32_t> ring(size_t{1} << kLog2);
    fill_gather_ring(ring.size(), ring.data());
    uint64_t seed = 1;
    EXPECT_TRUE(gather(words, kLog2, ring.data(), 5000, seed));
    EXPECT_NE(seed, 1u);
    ring[500] ^= 1;
    EXPECT_FALSE(gather(words, kLog2, ring.data(), 5000, seed));
  }
  uint64_t seed = 1;
  EXPECT_FALSE(gather(5, kLog2, nullptr, 0, seed));
}

// Of two threads: those who measure with one thread count once.
TEST(BenchProbes, TwoThreadsDoTwiceTheWork) {
  const auto probes = cpu_probes(choose_simd_level("auto"), {1, 2}, {{33, 17, 5}}, false);
  int pairs = 0;
  for (const Probe& one : probes) {
    for (const Probe& two : probes) {
      if (one.name != two.name || one.name.rfind("triad", 0) == 0) continue;
      if (one.sizes.back().second != 1.0 || two.sizes.back().second != 2.0) continue;
      ++pairs;
      EXPECT_EQ(two.work, 2.0 * one.work) << one.name;
    }
  }
  EXPECT_EQ(pairs, 2);  // fma, sgemm
}

// What a call's units become, and what divides the machine's rates.
TEST(BenchSuites, UnitsAndLimitsOfARow) {
  Target t;
  t.backend = "cpu";
  t.simd = "auto";
  t.sizes = Sizes::kFull;
  t.threads = {1, 2};
  const auto find = [&](const std::string& suite, const Keys& keys) {
    for (Case& c : suite_cases(suite, t)) {
      if (has_keys(c.keys, keys)) return c;
    }
    throw std::logic_error("no such case");
  };
  const Case update = find("update", {{"network", "2x64"}, {"batch", 100}, {"threads", 2}});
  ASSERT_EQ(update.quantities.size(), 1u);
  EXPECT_EQ(update.quantities[0].per_unit, 64.0);
  ASSERT_EQ(update.quantities[0].caps.size(), 1u);
  EXPECT_EQ(update.quantities[0].caps[0].scale, 1.0 / (86528.0 * 100.0));  // docs/performance.md
  EXPECT_TRUE(has_keys(update.quantities[0].caps[0].keys,
                       {{"case", "sgemm"}, {"m", 100}, {"n", 64}, {"k", 64}, {"threads", 2}}));
  const Case env = find("env", {{"num_envs", 1024}, {"rollout_length", 32}, {"threads", 1}});
  EXPECT_EQ(env.quantities[0].per_unit, 1024.0 * 32.0);
  EXPECT_EQ(env.quantities[0].caps[0].scale, 1.0 / 16.0);
  const Case train = find("train", {{"num_envs", 4096}, {"threads", 1}});
  ASSERT_EQ(train.quantities.size(), 2u);
  EXPECT_EQ(train.quantities[0].per_unit, 4096.0);
  EXPECT_EQ(train.quantities[1].metric, "updates_per_second");
  EXPECT_EQ(train.quantities[1].caps[0].scale / train.quantities[0].caps[0].scale,
            train.quantities[1].per_unit / train.quantities[0].per_unit);
}

// The work counts the iterations of all agents, and one agent's updates in each.
TEST(BenchSuites, UnitsAndLimitsOfManyAgents) {
  Target t;
  t.simd = "auto";
  t.threads = {1, 2};
  int populations = 0;
  for (const Case& c : suite_cases("population", t)) {
    EXPECT_FALSE(c.keys.contains("plan")) << "a CPU has none";
    if (!has_keys(c.keys, {{"network", "2x64"}, {"batch", 128}, {"threads", 2}})) continue;
    ++populations;
    const double agents = c.keys["agents"];
    ASSERT_EQ(c.quantities.size(), 2u);
    EXPECT_EQ(c.quantities[0].metric, "updates_per_second");
    EXPECT_EQ(c.quantities[0].per_unit, agents * 16.0);
    EXPECT_EQ(c.quantities[0].caps[0].scale, 1.0 / (86528.0 * 128.0));
    EXPECT_EQ(c.quantities[1].metric, "updates_per_second_per_agent");
    EXPECT_EQ(c.quantities[1].per_unit, 16.0);
    EXPECT_DOUBLE_EQ(c.quantities[1].caps[0].scale, 1.0 / (86528.0 * 128.0 * agents));
    for (const Quantity& q : c.quantities) {
      EXPECT_TRUE(has_keys(q.caps[0].keys, {{"case", "sgemm"}, {"m", 128}, {"threads", 2}}));
    }
  }
  EXPECT_EQ(populations, 4);  // 1, 2, 8 and 64 agents
  std::vector<int> batches;
  for (const Case& c : suite_cases("small-batch", t)) {
    EXPECT_EQ(c.keys["agents"], 1);
    ASSERT_EQ(c.quantities.size(), 1u);
    EXPECT_EQ(c.quantities[0].per_unit, 16.0);
    const bool small = has_keys(c.keys, {{"network", "2x64"}, {"threads", 1}});
    if (small) batches.push_back(c.keys["batch"]);
  }
  EXPECT_EQ(batches, (std::vector<int>{16, 32, 64, 128, 256}));
}

// Every probe runs twice in its small form and checks itself. OpenBLAS may be missing: then its
// probes say so.
TEST(BenchProbes, AllOfTheCpuRun) {
  const auto probes = cpu_probes(choose_simd_level("auto"), {1, 2}, {{33, 17, 5}}, true);
  EXPECT_EQ(probes.size(), 2u + 2u + 2u + 2u + 3u + 1u);
  for (const Probe& p : probes) {
    EXPECT_GT(p.work, 0.0) << p.name;
    if (p.name == "sgemm" && !OpenBlas::instance().problem().empty()) {
      EXPECT_THROW(p.call(), Error);
      continue;
    }
    EXPECT_GT(p.call(), 0.0) << p.name;
    EXPECT_GT(p.call(), 0.0) << p.name;
  }
}

}  // namespace
}  // namespace pendula
