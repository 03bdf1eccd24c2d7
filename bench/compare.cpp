#include "bench/compare.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include "bench/report.h"
#include "host/error.h"
#include "host/files.h"

namespace pendula {
namespace {

using nlohmann::ordered_json;

constexpr uint64_t kMaxBytes = uint64_t{1} << 26;

// The row without its figures: what it is.
Keys identity(const ordered_json& row) {
  Keys keys = Keys::object();
  for (const auto& [key, value] : row.items()) {
    if (!is_figure(key)) keys[key] = value;
  }
  return keys;
}

const ordered_json& rows_of(const ordered_json& report, const std::string& name) {
  const bool whole = report.is_object() && report.contains("rows") && report["rows"].is_array();
  const auto is_row = [](const ordered_json& row) {
    const auto is_text = [&](const char* key) { return row.contains(key) && row[key].is_string(); };
    return row.is_object() && is_text("metric") && is_text("suite");
  };
  if (!whole || !std::all_of(report["rows"].begin(), report["rows"].end(), is_row)) {
    throw Error(ExitCode::kUsage,
                name +
                    " is no report of `pendula bench --json`: it has no \"rows\", "
                    "each with a \"suite\" and a \"metric\"");
  }
  return report["rows"];
}

std::string text_of(const Keys& keys) {
  const auto backend = keys.find("backend");
  const bool named = backend != keys.end() && backend->is_string();
  return fmt::format("{} {} {}", keys["suite"].get<std::string>(),
                     named ? backend->get<std::string>() : "", row_text(keys));
}

bool is_measured(const ordered_json& row) { return !row.contains("not_measured"); }

// Of the same keys whatever their order, measured.
const ordered_json* find_row(const ordered_json& rows, const Keys& keys) {
  for (const ordered_json& row : rows) {
    const Keys other = identity(row);
    if (is_measured(row) && other.size() == keys.size() && has_keys(other, keys)) return &row;
  }
  return nullptr;
}

double figure(const ordered_json& row, const char* key) {
  const auto found = row.find(key);
  return found != row.end() && found->is_number() ? found->get<double>()
                                                  : std::numeric_limits<double>::quiet_NaN();
}

Comparison compare_rows(const ordered_json& a, const ordered_json& b) {
  Comparison c;
  c.keys = identity(a);
  const double before = figure(a, "median"), after = figure(b, "median");
  const bool latency = c.keys["metric"].is_string() && is_latency(c.keys["metric"]);
  c.ratio = latency ? before / after : after / before;
  c.noise = figure(a, "spread") + figure(b, "spread");
  const double margin = std::max(kRegression, c.noise);
  const auto good = [](double x) { return x > 0.0 && std::isfinite(x); };
  const double vain = figure(b, "unsolved") - figure(a, "unsolved");  // NaN where there are none
  if (vain > 0.0) {
    c.verdict = Verdict::kSlower;
  } else if (!good(before) || !good(after) || !(c.noise >= 0.0 && std::isfinite(c.noise))) {
    c.verdict = Verdict::kNotFinite;
  } else if (c.ratio < 1.0 - margin) {
    c.verdict = Verdict::kSlower;
  } else if (c.ratio > 1.0 + margin) {
    c.verdict = Verdict::kFaster;
  }
  return c;
}

ordered_json read_report(const std::string& file) {
  const ordered_json report =
      ordered_json::parse(read_text(file, kMaxBytes), nullptr, /*allow_exceptions=*/false);
  rows_of(report, file);
  return report;
}

const char* word(Verdict v) {
  switch (v) {
    case Verdict::kFaster:
      return "faster";
    case Verdict::kSlower:
      return "SLOWER";
    case Verdict::kNotFinite:
      return "NOT FINITE";
    case Verdict::kOnlyFirst:
      return "in the first alone";
    case Verdict::kOnlySecond:
      return "in the second alone";
    case Verdict::kSame:
      break;
  }
  return "";
}

// Throws Error(kUsage) where a row is there twice: which one counts?
void check_once(const ordered_json& rows, const std::string& name) {
  std::set<std::string> seen;
  for (const ordered_json& row : rows) {
    const Keys keys = identity(row);
    if (is_measured(row) && !seen.insert(nlohmann::json(keys).dump()).second) {
      throw Error(ExitCode::kUsage, fmt::format("{} has the row {} {} twice; measure again", name,
                                                text_of(keys), keys.value("metric", "")));
    }
  }
}

// What a report says of its machine under that key, as text.
std::string machine_text(const ordered_json& report, const char* key) {
  const auto machine = report.find("machine");
  if (machine == report.end() || !machine->is_object() || !machine->contains(key)) return "";
  const ordered_json& value = (*machine)[key];
  return value.is_string() ? value.get<std::string>() : value.dump();
}

}  // namespace

std::vector<Comparison> compare_reports(const ordered_json& first, const ordered_json& second,
                                        const std::string& first_name,
                                        const std::string& second_name) {
  const ordered_json& a = rows_of(first, first_name);
  const ordered_json& b = rows_of(second, second_name);
  check_once(a, first_name);
  check_once(b, second_name);
  std::vector<Comparison> all;
  for (const ordered_json& row : a) {
    if (!is_measured(row)) continue;
    const ordered_json* other = find_row(b, identity(row));
    all.push_back(other != nullptr ? compare_rows(row, *other)
                                   : Comparison{identity(row), Verdict::kOnlyFirst});
  }
  for (const ordered_json& row : b) {
    if (is_measured(row) && find_row(a, identity(row)) == nullptr) {
      all.push_back({identity(row), Verdict::kOnlySecond});
    }
  }
  return all;
}

int compare_files(const std::string& first, const std::string& second, std::ostream& out) {
  const ordered_json a = read_report(first), b = read_report(second);
  const std::vector<Comparison> all = compare_reports(a, b, first, second);
  const auto alone = [](const Comparison& c) {
    return c.verdict == Verdict::kOnlyFirst || c.verdict == Verdict::kOnlySecond;
  };
  if (std::all_of(all.begin(), all.end(), alone)) {
    throw Error(ExitCode::kUsage, first + " and " + second + " have no measured row in common");
  }
  for (const char* key : {"cpu", "cores", "simd_level", "gpu", "compiler", "flags"}) {
    const std::string x = machine_text(a, key), y = machine_text(b, key);
    if (x != y) out << fmt::format("not the same {}: \"{}\" and \"{}\"\n", key, x, y);
  }
  Table table({"row", "metric", "ratio", "noise", ""});
  int slower = 0, compared = 0, missing = 0, not_finite = 0;
  for (const Comparison& c : all) {
    const std::string what = text_of(c.keys);
    const std::string metric = c.keys.value("metric", "");
    if (alone(c)) {
      ++missing;
      table.add({what, metric, "", "", word(c.verdict)});
      continue;
    }
    ++compared;
    if (c.verdict == Verdict::kNotFinite) {
      ++not_finite;
      table.add({what, metric, "", "", word(c.verdict)});
      continue;
    }
    if (c.verdict == Verdict::kSlower) ++slower;
    table.add({what, metric, fmt::format("{:.3f}", c.ratio),
               fmt::format("{:.1f}%", 100.0 * c.noise), word(c.verdict)});
  }
  table.print(out);
  out << fmt::format(
      "{} rows compared (ratio: the speed of {} over that of {}), {} slower by more than {:.0f}% "
      "and "
      "the noise; {} rows in one report alone\n",
      compared, second, first, slower, 100.0 * kRegression, missing);
  if (not_finite > 0) {
    out << fmt::format("{} rows have no median or spread that is a number above 0\n", not_finite);
  }
  return slower + not_finite > 0 ? 1 : 0;
}

}  // namespace pendula
