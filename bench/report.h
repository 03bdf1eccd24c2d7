// The report of a run of `pendula bench`: a table for people, a JSON object for programs.
#pragma once

#include <nlohmann/json.hpp>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "bench/case.h"

namespace pendula {

// {"machine": {...}, "rows": [{the row's keys, "repeats", "median", "min", "max", "spread",
// "limit", "limit_from", "percent_of_limit"}, ...]}. A row that could not be measured has
// "not_measured" in place of the figures; a row without a limit has none of its three keys. A row
// of seeds has "returns", of each seed's final policy (null: it diverged), and "unsolved", how many
// ended in vain.
nlohmann::ordered_json report_json(const nlohmann::ordered_json& machine,
                                   const std::vector<Row>& rows);

// The machine block, then a table per suite.
void print_table(const nlohmann::ordered_json& machine, const std::vector<Row>& rows,
                 std::ostream& out);

// Whether a key of a row in JSON is a result; the others say what the row is.
bool is_figure(const std::string& key);

// Columns of text, aligned: the first to the left, the others to the right.
class Table {
 public:
  explicit Table(std::vector<std::string> head) { rows_.push_back(std::move(head)); }
  void add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }
  void print(std::ostream& out) const;

 private:
  std::vector<std::vector<std::string>> rows_;
};

// "97.3 G", "4.21 k", "12.5 u": three digits and the unit's prefix.
std::string with_prefix(double value);

}  // namespace pendula
