#include "bench/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace pendula {
namespace {

using nlohmann::ordered_json;

double percent_of_limit(const Row& row) {
  const double v = row.statistics.median;
  const bool latency = is_latency(row.keys.value("metric", ""));
  return 100.0 * (latency ? row.limit / v : v / row.limit);
}

// Columns of text, aligned: the first to the left, the others to the right.
class Table {
 public:
  explicit Table(std::vector<std::string> head) { rows_.push_back(std::move(head)); }
  void add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }
  void print(std::ostream& out) const {
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

 private:
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace

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
    }
    all.push_back(std::move(r));
  }
  return {{"machine", machine}, {"rows", all}};
}

void print_table(const ordered_json& machine, const std::vector<Row>& rows, std::ostream& out) {
  for (const auto& [key, value] : machine.items()) {
    const std::string name = [&k = key] {
      std::string words = k;
      std::replace(words.begin(), words.end(), '_', ' ');
      return words;
    }();
    out << name << ": " << (value.is_string() ? value.get<std::string>() : value.dump()) << '\n';
  }
  std::vector<std::string> suites;
  for (const Row& row : rows) {
    const std::string suite = row.keys.value("suite", "");
    if (std::find(suites.begin(), suites.end(), suite) == suites.end()) suites.push_back(suite);
  }
  for (const std::string& suite : suites) {
    out << '\n';
    Table table({suite, "metric", "median", "min", "max", "spread", "limit", "of limit"});
    for (const Row& row : rows) {
      if (row.keys.value("suite", "") != suite) continue;
      const std::string what = row.keys.value("backend", "") + " " + row_text(row.keys);
      const std::string metric = row.keys.value("metric", "");
      if (!row.not_measured.empty()) {
        table.add({what, metric, "not measured"});
        continue;
      }
      const Statistics& s = row.statistics;
      const bool limit = row.limit > 0.0;
      table.add({what, metric, with_prefix(s.median), with_prefix(s.min), with_prefix(s.max),
                 fmt::format("{:.1f}%", 100.0 * s.spread), limit ? with_prefix(row.limit) : "",
                 limit ? fmt::format("{:.1f}%", percent_of_limit(row)) : ""});
    }
    table.print(out);
  }
}

}  // namespace pendula
