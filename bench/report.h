// The report of a run of `pendula bench`: a table for people, a JSON object for programs.
#pragma once

#include <nlohmann/json.hpp>
#include <ostream>
#include <vector>

#include "bench/case.h"

namespace pendula {

// {"machine": {...}, "rows": [{the row's keys, "repeats", "median", "min", "max", "spread",
// "limit", "limit_from", "percent_of_limit"}, ...]}. A row that could not be measured has
// "not_measured" in place of the figures; a row without a limit has none of its three keys.
nlohmann::ordered_json report_json(const nlohmann::ordered_json& machine,
                                   const std::vector<Row>& rows);

// The machine block, then a table per suite.
void print_table(const nlohmann::ordered_json& machine, const std::vector<Row>& rows,
                 std::ostream& out);

// "97.3 G", "4.21 k", "12.5 u": three digits and the unit's prefix.
std::string with_prefix(double value);

}  // namespace pendula
