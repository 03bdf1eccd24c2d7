#include "bench/cmd_bench.h"

#include <fmt/format.h>

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <iostream>
#include <set>
#include <thread>

#include "bench/compare.h"
#include "bench/filter.h"
#include "bench/machine.h"
#include "bench/measure.h"
#include "bench/report.h"
#include "bench/suites.h"
#include "host/config_table.h"
#include "host/cuda_loader.h"
#include "host/error.h"
#include "host/files.h"
#include "host/signals.h"
#include "host/simd.h"

namespace pendula {
namespace {

constexpr double kWideSpread = 0.02;

// Throws Error(kUsage) for what no device is called.
Target target_of(const BenchOptions& o) {
  const std::vector<KeySpec> keys = config_keys(nullptr);
  const KeySpec& key = *find_key(keys, "/device");
  if (!key.accepts(o.device)) {
    throw Error(ExitCode::kUsage,
                fmt::format("--device {}: it takes {}", o.device, key.accepted_text));
  }
  Target t;
  t.simd = choose_simd_level(o.simd);
  t.sizes = o.tiny ? Sizes::kTiny : o.short_form ? Sizes::kShort : Sizes::kFull;
  const bool automatic = o.device == "auto" && probe_cuda().available;
  if (automatic || o.device.rfind("cuda", 0) == 0) {
    t.backend = "cuda";
    t.device = o.device.size() > 5 ? std::stoi(o.device.substr(5)) : 0;
    return t;
  }
  std::set<int> threads(o.threads.begin(), o.threads.end());
  if (threads.empty()) {
    threads = {1, std::max(1, static_cast<int>(std::thread::hardware_concurrency()))};
  }
  t.threads.assign(threads.begin(), threads.end());
  return t;
}

Effort effort_of(const BenchOptions& o) {
  Effort e;
  if (o.short_form) e = {11, 0.02, 0.05};
  if (o.tiny) e = {3, 0.001, 0.001};
  if (o.repeats > 0) e.repeats = o.repeats;
  if (o.seconds > 0.0) {
    e.seconds = o.seconds;
    e.warmup = std::min(e.warmup, 5.0 * o.seconds);
  }
  return e;
}

// The file that the report replaces or creates, links followed. Throws Error where it could not be
// written, before minutes are spent on it.
std::filesystem::path report_file(const std::string& name) {
  namespace fs = std::filesystem;
  std::error_code error;
  fs::path file = fs::weakly_canonical(name, error);
  if (error) throw_file_error("write", name, error.value());
  const fs::file_status status = fs::status(file, error);
  if (fs::exists(status) && !fs::is_regular_file(status)) {
    throw Error(ExitCode::kUsage,
                fmt::format("--json {}: it is no file that a report can replace; name a file, or - "
                            "for standard output",
                            name));
  }
  if (!file.has_filename()) throw_file_error("write", name, EISDIR);
  const fs::path temporary = temporary_neighbour(file);  // as write_text_atomically does
  const int fd = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
  if (fd < 0) throw_file_error("write", name, errno);
  ::close(fd);
  ::unlink(temporary.c_str());
  return file;
}

// Throws Error(kUsage) for options that would do nothing.
void check_together(const BenchOptions& o) {
  const bool measures = !o.suites.empty() || !o.filters.empty() || !o.threads.empty() ||
                        !o.json.empty() || o.repeats > 0 || o.seconds != 0.0 || o.short_form ||
                        o.tiny || o.list;
  const auto refuse = [](const char* what) { throw Error(ExitCode::kUsage, what); };
  if (!o.compare.empty() && measures) {
    refuse("--compare takes two reports and measures nothing; leave the other options away");
  }
  if (o.list && !o.json.empty()) refuse("--list measures nothing; leave --json away");
  if (o.tiny && o.short_form) refuse("--tiny and --short are two forms; take one");
}

bool wanted(const BenchOptions& o, const std::string& suite) {
  return o.suites.empty() || std::find(o.suites.begin(), o.suites.end(), suite) != o.suites.end();
}

// What was asked for, and the rows of the suite `machine` that their limits come from. These are
// measured by turns with the first case that needs them.
std::vector<Case> selected_cases(const BenchOptions& o, const Target& target) {
  std::vector<Case> cases;
  for (const std::string& suite : suite_names()) {
    if (!wanted(o, suite)) continue;
    for (Case& c : suite_cases(suite, target)) cases.push_back(std::move(c));
  }
  cases = apply_filter(parse_filter(o.filters), std::move(cases));
  for (Case& c : cases) {
    if (o.repeats > 0 && c.seeds > 0) c.seeds = o.repeats;
  }
  std::vector<Case> needed;
  for (Case& machine : machine_cases(target)) {
    const auto same = [&](const Case& c) { return c.keys == machine.keys; };
    Keys row = machine.keys;
    row["metric"] = machine.quantities.front().metric;
    const auto limits = [&](const Case& c) {
      return std::any_of(c.quantities.begin(), c.quantities.end(), [&](const Quantity& q) {
        return std::any_of(q.caps.begin(), q.caps.end(),
                           [&](const Ceiling& cap) { return has_keys(row, cap.keys); });
      });
    };
    const auto user = std::find_if(cases.begin(), cases.end(), limits);
    if (user == cases.end()) continue;
    const auto there = std::find_if(cases.begin(), cases.end(), same);
    if (there != cases.end()) {
      there->group = user->group;
    } else {
      machine.group = user->group;
      needed.push_back(std::move(machine));
    }
  }
  needed.insert(needed.end(), std::make_move_iterator(cases.begin()),
                std::make_move_iterator(cases.end()));
  return needed;
}

void list(const std::vector<Case>& cases, std::ostream& out) {
  for (const Case& c : cases) {
    for (const Quantity& q : c.quantities) {
      out << fmt::format("{} {} {} {}\n", c.keys.value("suite", ""), c.keys.value("backend", ""),
                         row_text(c.keys), q.metric);
    }
  }
}

void warn_of_spread(const std::vector<Row>& rows) {
  const Row* widest = nullptr;
  int wide = 0;
  for (const Row& row : rows) {
    if (row.values.empty() || row.statistics.spread <= kWideSpread) continue;
    ++wide;
    if (widest == nullptr || row.statistics.spread > widest->statistics.spread) widest = &row;
  }
  if (wide == 0) return;
  std::cerr << fmt::format(
      "bench: the spread of {} of {} rows is over {:.0f}%, the widest {:.1f}% ({} {}): the machine "
      "was not quiet\n",
      wide, rows.size(), 100.0 * kWideSpread, 100.0 * widest->statistics.spread,
      widest->keys.value("suite", ""), row_text(widest->keys));
}

}  // namespace

int run_bench(const BenchOptions& o, std::ostream& out) {
  check_together(o);
  if (o.compare.size() == 2) return compare_files(o.compare[0], o.compare[1], out);
  for (const std::string& suite : o.suites) {
    const auto& names = suite_names();
    if (std::find(names.begin(), names.end(), suite) != names.end()) continue;
    throw Error(ExitCode::kUsage, unknown_suite(suite));
  }
  const Target target = target_of(o);
  std::vector<Case> cases = selected_cases(o, target);
  if (o.list) {
    list(cases, out);
    return 0;
  }
  std::filesystem::path file;
  if (!o.json.empty() && o.json != "-") file = report_file(o.json);
  const StopSignals signals;  // from here on there is something to report
  nlohmann::ordered_json machine = machine_block(target);
  const auto progress = [&](const std::string& group) {
    if (!o.quiet) std::cerr << "bench: " << group << '\n';
  };
  std::vector<Row> rows = measure(std::move(cases), effort_of(o), signals.flag(), progress);
  set_limits(rows);
  finish_machine_block(target, machine);
  warn_of_spread(rows);
  const nlohmann::ordered_json report = report_json(machine, rows);
  if (o.json == "-") {
    out << report.dump(2) << '\n';
    return static_cast<int>(signals.exit_code());
  }
  print_table(machine, rows, out);
  if (!file.empty()) write_text_atomically(file, report.dump(2) + "\n");
  return static_cast<int>(signals.exit_code());
}

}  // namespace pendula
