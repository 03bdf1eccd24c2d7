// One number per agent, and what they say together: mean, interquartile mean with its interval,
// quantiles. All in double, in a fixed order: the same values give the same bits everywhere.
#pragma once

#include <array>
#include <cstddef>
#include <vector>

namespace pendula {

inline constexpr int kBootstrapResamples = 2000;
inline constexpr std::array<double, 7> kQuantiles = {0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0};

struct AgentStatistics {
  size_t agents = 0;  // values that there were
  double mean = 0.0;
  double iqm = 0.0;
  double iqm_ci_low = 0.0, iqm_ci_high = 0.0;  // 95% interval of the IQM
  std::array<double, kQuantiles.size()> quantiles = {};
};

// Of one value per agent, in any order. The interval is the percentile interval of the stratified
// bootstrap (Agarwal et al. 2021, "Deep Reinforcement Learning at the Edge of the Statistical
// Precipice", as rliable computes it): within each task as many agents as there are, drawn with
// replacement, kBootstrapResamples times. A run has one task, so one stratum. The draws are a
// function of the number of values alone. Without values, or with one that is not finite, every
// figure is NaN.
AgentStatistics statistics_of_agents(std::vector<double> values);

// The mean without the lowest and the highest quarter (each rounded down to whole values), as
// scipy.stats.trim_mean(values, 0.25). `sorted`: ascending. NaN where there are none.
double interquartile_mean(const std::vector<double>& sorted);

// Linear between the ranks, as NumPy's default. share in [0, 1]; `sorted`: ascending, not empty.
double quantile(const std::vector<double>& sorted, double share);

}  // namespace pendula
