// The replay ring: which records may be sampled, and how evenly.
#pragma once

#include <set>

#include "tests/kernels/rollout_tests.h"

namespace pendula {

template <class Runner>
class ReplayTest : public testing::Test {};
TYPED_TEST_SUITE(ReplayTest, Runners, RunnerNames);

TYPED_TEST(ReplayTest, SampledRecordsAreWrittenOnesAndNoneThatIsBeingWritten) {
  for (int lag : {0, 1}) {
    Config c = rollout_config(33);
    c.rollout.policy_lag = lag;
    const Plan p = make_plan(c, test_environment<Pendulum>(), 4).plan;
    for (uint64_t first : {0u, 50u}) {
      for (uint64_t iteration = first / 3; iteration < first / 3 + 20; ++iteration) {
        const uint64_t last = (iteration + 1) * 3;  // rows written
        if (last <= first) continue;
        std::set<uint64_t> allowed;  // the ring's rows that hold what is allowed
        const uint64_t oldest = last > 10 ? last - 10 : 0;
        for (uint64_t t = std::max(first, oldest); t < last; ++t) {
          const bool overwritten = lag == 1 && t + 10 < last + 3;  // by the next rollout
          if (!overwritten) allowed.insert(t % 10);
        }
        std::set<uint64_t> seen;
        for (uint64_t i = 0; i < 2000; ++i) {
          const uint64_t at = sample_index(p, 5, iteration, i, first, last);
          ASSERT_LT(at, 330u);
          ASSERT_TRUE(allowed.count(at / 33)) << "row " << at / 33 << " of " << last;
          seen.insert(at / 33);
        }
        EXPECT_EQ(seen, allowed);
      }
    }
  }
}

TYPED_TEST(ReplayTest, SamplesAreUniform) {
  Config c = rollout_config(33);
  const Plan p = make_plan(c, test_environment<Pendulum>(), 4).plan;
  std::vector<double> count(330, 0.0);
  constexpr int kDraws = 330000;
  for (int i = 0; i < kDraws; ++i) {
    count[sample_index(p, 5, uint64_t(i) / 100, uint64_t(i) % 100, 0, 1000)] += 1.0;
  }
  double chi_squared = 0.0;
  for (double n : count) chi_squared += (n - 1000.0) * (n - 1000.0) / 1000.0;
  // 329 degrees of freedom: mean 329, standard deviation sqrt(658). Five of them either way.
  EXPECT_TRUE(std::fabs(chi_squared - 329.0) <= 5.0 * std::sqrt(658.0)) << chi_squared;
}

}  // namespace pendula
