#include "bench/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>

namespace pendula {
namespace {

using nlohmann::ordered_json;

double percent_of_limit(const Row& row) {
  const double v = row.statistics.median;
  const bool latency = is_latency(row.keys.value("metric", ""));
  return 100.0 * (latency ? row.limit / v : v / row.limit);
}

// The keys that all rows of a suite have with the same value, if there are several rows.
Keys common_keys(const std::vector<const Row*>& rows) {
  Keys common = rows.front()->keys;
  for (const Row* row : rows) {
    Keys left;
    for (const auto& [key, value] : common.items()) {
      if (row->keys.contains(key) && row->keys[key] == value) left[key] = value;
    }
    common = left;
  }
  return rows.size() > 1 ? common : Keys::object();
}

Keys without(const Keys& keys, const Keys& dropped) {
  Keys left = Keys::object();
  for (const auto& [key, value] : keys.items()) {
    if (key == "case" || !dropped.contains(key)) left[key] = value;
  }
  return left;
}

void print_suite(const std::vector<const Row*>& rows, std::ostream& out) {
  const Keys common = common_keys(rows);
  Keys head = without(common, {{"case", ""}});
  head.erase("case");
  const std::string suite = rows.front()->keys.value("suite", "");
  out << '\n' << suite << ", " << rows.front()->keys.value("backend", "");
  if (const std::string text = row_text(head); !text.empty()) out << ": " << text;
  out << '\n';
  const auto told = [&](double Row::*of) {
    return std::any_of(rows.begin(), rows.end(), [=](const Row* row) { return row->*of > 0.0; });
  };
  std::vector<std::string> columns = {"case", "metric", "median", "min",
                                      "max",  "spread", "limit",  "of limit"};
  const bool flop = told(&Row::flop), samples = told(&Row::samples);
  if (flop) columns.push_back("FLOP/s");
  if (samples) columns.push_back("samples/s");
  const bool returns =
      std::any_of(rows.begin(), rows.end(), [](const Row* row) { return !row->returns.empty(); });
  if (returns) columns.insert(columns.end(), {"seeds", "unsolved", "return", "worst"});
  Table table(columns);
  for (const Row* row : rows) {
    const std::string what = row_text(without(row->keys, common));
    const std::string metric = row->keys.value("metric", "");
    if (!row->not_measured.empty()) {
      table.add({what, metric, "not measured"});
      continue;
    }
    const Statistics& s = row->statistics;
    const bool limit = row->limit > 0.0;
    const auto rate = [&](double each) { return each > 0.0 ? with_prefix(each * s.median) : ""; };
    std::vector<std::string> cells = {what,
                                      metric,
                                      with_prefix(s.median),
                                      with_prefix(s.min),
                                      with_prefix(s.max),
                                      fmt::format("{:.1f}%", 100.0 * s.spread),
                                      limit ? with_prefix(row->limit) : "",
                                      limit ? fmt::format("{:.1f}%", percent_of_limit(*row)) : ""};
    if (flop) cells.push_back(rate(row->flop));
    if (samples) cells.push_back(rate(row->samples));
    if (!row->returns.empty()) {
      const double n = static_cast<double>(row->returns.size());
      const double sum = std::accumulate(row->returns.begin(), row->returns.end(), 0.0);
      // Not min_element, which would pass over a NaN.
      const double worst =
          std::accumulate(row->returns.begin(), row->returns.end(), row->returns.front(),
                          [](double a, double b) { return std::isnan(a) || a < b ? a : b; });
      cells.push_back(fmt::format("{}", row->returns.size()));
      cells.push_back(fmt::format("{}", row->unsolved));
      cells.push_back(fmt::format("{:.1f}", sum / n));
      cells.push_back(fmt::format("{:.1f}", worst));
    }
    table.add(cells);
  }
  table.print(out);
}

}  // namespace

bool is_figure(const std::string& key) {
  static const std::set<std::string> figures = {"repeats",
                                                "median",
                                                "min",
                                                "max",
                                                "spread",
                                                "limit",
                                                "limit_from",
                                                "percent_of_limit",
                                                "flop_per_second",
                                                "samples_per_second",
                                                "returns",
                                                "unsolved",
                                                "not_measured"};
  return figures.count(key) > 0;
}

void Table::print(std::ostream& out) const {
  std::vector<size_t> widths(rows_.front().size());
  for (const auto& row : rows_) {
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  for (const auto& row : rows_) {
    std::string line;
    for (size_t i = 0; i < row.size(); ++i) {
      line += i == 0 ? fmt::format("  {:<{}}", row[i], widths[i])
                     : fmt::format("  {:>{}}", row[i], widths[i]);
    }
    out << line.substr(0, line.find_last_not_of(' ') + 1) << '\n';
  }
}

std::string with_prefix(double value) {
  if (value == 0.0 || !std::isfinite(value)) return fmt::format("{:g}", value);
  constexpr const char* kPrefixes[] = {"n", "u", "m", "", "k", "M", "G", "T", "P"};
  // 999.7 becomes 1.00 k: the power is that of the rounded number.
  const double rounded = std::stod(fmt::format("{:.2e}", value));
  const int power = static_cast<int>(std::floor(std::log10(std::abs(rounded)) / 3.0 + 1e-9));
  const int i = std::clamp(power, -3, 5);
  const double scaled = rounded / std::pow(1000.0, i);
  const int digits = std::abs(scaled) < 10.0 ? 2 : std::abs(scaled) < 100.0 ? 1 : 0;
  const std::string number = fmt::format("{:.{}f}", scaled, digits);
  return i == 0 ? number : number + " " + kPrefixes[i + 3];
}

ordered_json report_json(const ordered_json& machine, const std::vector<Row>& rows) {
  ordered_json all = ordered_json::array();
  for (const Row& row : rows) {
    ordered_json r = row.keys;
    if (!row.not_measured.empty()) {
      r["not_measured"] = row.not_measured;
    } else {
      r["repeats"] = row.values.size();
      r["median"] = row.statistics.median;
      r["min"] = row.statistics.min;
      r["max"] = row.statistics.max;
      r["spread"] = row.statistics.spread;
      if (row.limit > 0.0) {
        r["limit"] = row.limit;
        r["limit_from"] = row.limit_from;
        r["percent_of_limit"] = percent_of_limit(row);
      }
      if (row.flop > 0.0) r["flop_per_second"] = row.flop * row.statistics.median;
      if (row.samples > 0.0) r["samples_per_second"] = row.samples * row.statistics.median;
      if (!row.returns.empty()) {
        r["returns"] = row.returns;  // NaN becomes null
        r["unsolved"] = row.unsolved;
      }
    }
    all.push_back(std::move(r));
  }
  return {{"machine", machine}, {"rows", all}};
}

void print_table(const ordered_json& machine, const std::vector<Row>& rows, std::ostream& out) {
  for (const auto& [key, value] : machine.items()) {
    std::string name = key;
    std::replace(name.begin(), name.end(), '_', ' ');
    out << name << ": " << (value.is_string() ? value.get<std::string>() : value.dump()) << '\n';
  }
  std::vector<std::string> suites;
  for (const Row& row : rows) {
    const std::string suite = row.keys.value("suite", "");
    if (std::find(suites.begin(), suites.end(), suite) == suites.end()) suites.push_back(suite);
  }
  for (const std::string& suite : suites) {
    std::vector<const Row*> some;
    for (const Row& row : rows) {
      if (row.keys.value("suite", "") == suite) some.push_back(&row);
    }
    print_suite(some, out);
  }
}

}  // namespace pendula
