// Statistics over agents against numbers worked out by hand, and by SciPy's and NumPy's formulas.
#include "host/statistics_of_agents.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace pendula {
namespace {

using Values = std::vector<double>;

TEST(StatisticsOfAgents, IqmLeavesOutAQuarterAtEachEnd) {
  EXPECT_EQ(interquartile_mean({-1000, 0, 2, 3, 4, 5, 6, 1000}), (2 + 3 + 4 + 5) / 4.0);
  EXPECT_EQ(interquartile_mean({1, 2, 9}), 4.0);  // a quarter of three, rounded down: none
  EXPECT_EQ(interquartile_mean({0, 1, 2, 3, 4, 5, 6, 7, 8, 99}), 4.5);  // two of ten
  EXPECT_TRUE(std::isnan(interquartile_mean({})));
}

// numpy.quantile([1, 3, 7], ...)
TEST(StatisticsOfAgents, QuantilesAreLinearBetweenRanks) {
  const Values sorted = {1, 3, 7};
  EXPECT_EQ(quantile(sorted, 0), 1);
  EXPECT_EQ(quantile(sorted, 0.25), 2);
  EXPECT_EQ(quantile(sorted, 0.5), 3);
  EXPECT_EQ(quantile(sorted, 0.75), 5);
  EXPECT_DOUBLE_EQ(quantile(sorted, 0.95), 6.6);
  EXPECT_EQ(quantile(sorted, 1), 7);
  EXPECT_EQ(quantile({5}, 0.3), 5);
}

TEST(StatisticsOfAgents, AllOfThem) {
  Values values(101);
  std::iota(values.begin(), values.end(), 0.0);
  std::reverse(values.begin(), values.end());  // any order
  const AgentStatistics s = statistics_of_agents(values);
  EXPECT_EQ(s.agents, 101u);
  EXPECT_EQ(s.mean, 50);
  EXPECT_EQ(s.iqm, 50);
  const std::array<double, 7> want = {0, 5, 25, 50, 75, 95, 100};
  for (size_t i = 0; i < want.size(); ++i) EXPECT_DOUBLE_EQ(s.quantiles[i], want[i]);
}

// The interval's ends beside the distribution of all 4^4 resamples.
TEST(StatisticsOfAgents, TheIntervalIsThatOfAllResamples) {
  const Values values = {0, 1, 4, 16};
  Values every;
  for (int code = 0; code < 256; ++code) {
    Values drawn;
    for (int i = 0, c = code; i < 4; ++i, c /= 4)
      drawn.push_back(values[static_cast<size_t>(c % 4)]);
    std::sort(drawn.begin(), drawn.end());
    every.push_back((drawn[1] + drawn[2]) / 2);
  }
  const AgentStatistics s = statistics_of_agents(values);
  // 2,000 draws: a share of 2.5% has a standard error of 0.35%; four of them.
  const double slack = 0.014;
  const auto share = [&](auto test) {
    return static_cast<double>(std::count_if(every.begin(), every.end(), test)) / 256;
  };
  EXPECT_LE(share([&](double x) { return x < s.iqm_ci_low - 1e-9; }), 0.025 + slack);
  EXPECT_GE(share([&](double x) { return x < s.iqm_ci_low + 1e-9; }), 0.025 - slack);
  EXPECT_LE(share([&](double x) { return x < s.iqm_ci_high - 1e-9; }), 0.975 + slack);
  EXPECT_GE(share([&](double x) { return x < s.iqm_ci_high + 1e-9; }), 0.975 - slack);
}

// Of many values the IQM is nearly normal: its variance is that of the winsorised values over
// (1 - 2 x 0.25)^2 n (Huber 1981, by the influence function of the trimmed mean), and uniform
// values on [0, 1], winsorised to [1/4, 3/4], have a variance of 1/96 + 2 (1/4)^3 = 1/24.
TEST(StatisticsOfAgents, TheIntervalOfManyIsTheNormalOne) {
  Values values(1000);
  for (size_t i = 0; i < values.size(); ++i) values[i] = (static_cast<double>(i) + 0.5) / 1000;
  const AgentStatistics s = statistics_of_agents(values);
  const double deviation = std::sqrt(1.0 / 24 / 0.25 / 1000);
  EXPECT_NEAR((s.iqm_ci_high - s.iqm_ci_low) / (2 * 1.96 * deviation), 1, 0.08);
  EXPECT_NEAR((s.iqm_ci_high + s.iqm_ci_low) / 2, 0.5, 0.1 * deviation * 2);
}

TEST(StatisticsOfAgents, TheSameBitsEachTimeAndInAnyOrder) {
  Values values;
  for (int i = 0; i < 37; ++i) values.push_back(std::sin(37.0 * i));
  const AgentStatistics a = statistics_of_agents(values);
  std::rotate(values.begin(), values.begin() + 11, values.end());
  const AgentStatistics b = statistics_of_agents(values);
  EXPECT_EQ(a.mean, b.mean);
  EXPECT_EQ(a.iqm_ci_low, b.iqm_ci_low);
  EXPECT_EQ(a.iqm_ci_high, b.iqm_ci_high);
}

TEST(StatisticsOfAgents, OneValueIsItsOwnIntervalAndNoneIsUnknown) {
  const AgentStatistics one = statistics_of_agents({-3});
  EXPECT_EQ(one.iqm_ci_low, -3);
  EXPECT_EQ(one.iqm_ci_high, -3);
  EXPECT_EQ(one.quantiles[3], -3);
  for (const Values& values :
       {Values{}, Values{1, std::nan(""), 2}, Values{1, std::numeric_limits<double>::infinity()}}) {
    const AgentStatistics s = statistics_of_agents(values);
    EXPECT_TRUE(std::isnan(s.mean) && std::isnan(s.iqm) && std::isnan(s.iqm_ci_low) &&
                std::isnan(s.iqm_ci_high) && std::isnan(s.quantiles[0]));
  }
}

}  // namespace
}  // namespace pendula
