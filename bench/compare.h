// --compare: two reports, row by row.
#pragma once

#include <nlohmann/json.hpp>
#include <ostream>
#include <string>
#include <vector>

#include "bench/case.h"

namespace pendula {

inline constexpr double kRegression = 0.05;  // a loss of speed below it is none

enum class Verdict {
  kSame,        // within 5%, or within the noise
  kFaster,      // beyond both
  kSlower,      // beyond both: a regression
  kNotFinite,   // a figure is missing, NaN, infinite or not positive: counts as a regression
  kOnlyFirst,   // the row, or its measurement, is in the first report alone
  kOnlySecond,  // in the second alone
};

struct Comparison {
  Keys keys;
  Verdict verdict = Verdict::kSame;
  double ratio = 0.0;  // of the speeds, second to first: below 1 is slower, for latencies too
  double noise = 0.0;  // the sum of both rows' spreads, as a part of the median
};

// The rows that were measured in either report, in the order of the first and then the second. Rows
// are the same where all keys but the figures are. Throws Error(kUsage) for what is no report
// and for a row that is there twice, `name` saying where.
std::vector<Comparison> compare_reports(const nlohmann::ordered_json& first,
                                        const nlohmann::ordered_json& second,
                                        const std::string& first_name,
                                        const std::string& second_name);

// Reads both files, prints a table and a sentence. Returns 1 where a row is kSlower or kNotFinite,
// else 0. Throws Error: kFiles for files that cannot be read, kUsage where they have no row in
// common.
int compare_files(const std::string& first, const std::string& second, std::ostream& out);

}  // namespace pendula
