// `pendula bench`, with the arguments already parsed.
#pragma once

#include <ostream>
#include <string>
#include <vector>

namespace pendula {

struct BenchOptions {
  std::vector<std::string> suites;   // empty: all
  std::vector<std::string> filters;  // see bench/filter.h
  std::vector<std::string> compare;  // empty, or two files: nothing is measured
  std::string device = "auto";
  std::string simd = "auto";
  std::vector<int> threads;  // of the CPU; empty: one and all cores
  std::string json;          // file, "-" for stdout, empty: none
  int repeats = 0;           // 0: 11
  double seconds = 0.0;      // of a repeat; 0: 0.2
  bool short_form = false;
  bool tiny = false;
  bool list = false;
  bool quiet = false;
};

// Measures, or lists, or compares. The table goes to `out`, narration to stderr. Returns 0, or 1
// where the comparison found a regression. Throws Error, kUsage also for options that cannot be
// together. A first SIGINT or SIGTERM ends the measurement: the report has what is done by then,
// and 130 or 143 is returned.
int run_bench(const BenchOptions& options, std::ostream& out);

}  // namespace pendula
