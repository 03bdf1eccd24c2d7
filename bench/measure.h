// Measuring with Google Benchmark: manual time, repetitions, the cases of a group by turns in
// random order.
#pragma once

#include <atomic>
#include <functional>
#include <string>
#include <vector>

#include "bench/case.h"

namespace pendula {

struct Effort {
  int repeats = 11;
  double seconds = 0.2;  // of one repeat, at least
  double warmup = 1.0;   // seconds of each case before its first repeat, at least
};

// The rows of all cases, in the order of the cases and their quantities. A case that lacks memory,
// or whose `not_measured` is set, gives rows that say so, and so do those whose group was not done
// when `stop` was set; every other failure is thrown. The cases' memory is gone when it returns.
// Calls progress(group) before each group.
std::vector<Row> measure(std::vector<Case> cases, const Effort& effort,
                         const std::atomic<bool>& stop,
                         const std::function<void(const std::string&)>& progress);

// Fills limit and limit_from of each row from those of `rows` that its `caps` name: of several that
// fit one ceiling the highest, of several ceilings the tightest.
void set_limits(std::vector<Row>& rows);

}  // namespace pendula
