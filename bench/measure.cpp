#include "bench/measure.h"

#include <benchmark/benchmark.h>

#include <algorithm>
#include <cmath>
#include <exception>
#include <iterator>
#include <new>

#include "host/error.h"

namespace pendula {
namespace {

// One case while its group is measured.
struct Running {
  const Case* measured = nullptr;
  const std::atomic<bool>* stop = nullptr;
  std::unique_ptr<Work> work = nullptr;
  std::string not_measured = {};
  std::exception_ptr failure = nullptr;
  std::vector<double> seconds = {};  // per call, one value per repeat
  double units = 0.0;                // per call

  double timed_call() {
    const double s = work->call();
    if (!(s > 0.0) || !std::isfinite(s)) {
      throw Error(ExitCode::kDevice, "a call of " + row_text(measured->keys) + " took " +
                                         std::to_string(s) +
                                         " s by the device's clock; that "
                                         "clock cannot be trusted");
    }
    return s;
  }

  // Benchmark's function: as many calls as it asks for. Where there is nothing more to measure each
  // "takes" a second, so that it does not ask for more; it does not bear repeats that are left out.
  void operator()(benchmark::State& state) {
    for (auto _ : state) state.SetIterationTime(is_over() ? 1.0 : try_call());
  }

 private:
  bool is_over() const { return failure != nullptr || !not_measured.empty() || *stop; }

  double try_call() {
    try {
      if (work == nullptr) work = measured->prepare();
      return timed_call();
    } catch (const Error& error) {
      if (error.code() == ExitCode::kMemory) {
        not_measured = error.what();
      } else {
        failure = std::current_exception();
      }
    } catch (const std::bad_alloc&) {
      not_measured = "there is not enough memory";
    } catch (...) {
      failure = std::current_exception();
    }
    return 1.0;
  }
};

// Keeps the time per call of each repeat; prints nothing.
class Collector : public benchmark::BenchmarkReporter {
 public:
  explicit Collector(std::vector<Running>& all) : all_(all) {}
  bool ReportContext(const Context&) override { return true; }
  void ReportRuns(const std::vector<Run>& runs) override {
    for (const Run& run : runs) {
      if (run.run_type != Run::RT_Iteration || run.iterations == 0) continue;
      Running& running = all_[std::stoul(run.run_name.function_name)];
      running.seconds.push_back(run.real_accumulated_time / static_cast<double>(run.iterations));
    }
  }

 private:
  std::vector<Running>& all_;
};

void initialise_benchmark() {
  static const bool done = [] {
    std::string name = "pendula", by_turns = "--benchmark_enable_random_interleaving=true";
    char* argv[] = {name.data(), by_turns.data(), nullptr};
    int argc = 2;
    benchmark::Initialize(&argc, argv);
    return true;
  }();
  (void)done;
}

void run_group(std::vector<Running>& group, const Effort& effort) {
  initialise_benchmark();
  for (size_t i = 0; i < group.size(); ++i) {
    if (!group[i].not_measured.empty()) continue;
    benchmark::RegisterBenchmark(std::to_string(i).c_str(),
                                 [&group, i](benchmark::State& state) { group[i](state); })
        ->UseManualTime()
        ->MinTime(effort.seconds)
        ->MinWarmUpTime(effort.warmup)
        ->Repetitions(effort.repeats);
  }
  Collector collector(group);
  benchmark::RunSpecifiedBenchmarks(&collector, nullptr, "all");
  benchmark::ClearRegisteredBenchmarks();
  for (Running& r : group) {
    if (r.failure != nullptr) std::rethrow_exception(r.failure);
    if (*r.stop && r.not_measured.empty()) r.not_measured = "stopped before all repeats were done";
    if (r.work != nullptr) r.units = r.work->units();
    r.work = nullptr;
  }
}

// The cases' seeds by turns.
void run_seeds(const std::vector<Case*>& group, const std::atomic<bool>& stop,
               std::vector<std::vector<Row>>& rows) {
  std::vector<std::string> failures(group.size());
  int most = 0;
  for (size_t i = 0; i < group.size(); ++i) {
    most = std::max(most, group[i]->seeds);
    for (const Quantity& q : group[i]->quantities) {
      rows[i].push_back({group[i]->keys});
      rows[i].back().keys["metric"] = q.metric;
      rows[i].back().caps = q.caps;
    }
  }
  for (int seed = 1; seed <= most && !stop; ++seed) {
    for (size_t i = 0; i < group.size() && !stop; ++i) {
      if (seed > group[i]->seeds || !failures[i].empty()) continue;
      std::optional<SeedRun> run;
      try {
        run = group[i]->run_seed(seed, stop);
      } catch (const Error& error) {  // the other cases go on
        failures[i] = error.what();
      }
      if (!run) continue;
      for (Row& row : rows[i]) {
        row.values.push_back(run->values.at(row.keys["metric"]));
        row.returns.push_back(run->final_return);
        row.unsolved += run->solved ? 0 : 1;
      }
    }
  }
  for (size_t i = 0; i < group.size(); ++i) {
    for (Row& row : rows[i]) {
      if (row.values.size() < static_cast<size_t>(group[i]->seeds)) {
        row.not_measured = failures[i].empty() ? "stopped before all seeds were done" : failures[i];
      }
      row.statistics = statistics_of(row.values);
    }
  }
}

std::vector<Row> rows_of(const Running& r) {
  std::vector<Row> rows;
  for (const Quantity& q : r.measured->quantities) {
    Row row;
    row.keys = r.measured->keys;
    row.keys["metric"] = q.metric;
    row.caps = q.caps;
    row.flop = q.flop;
    row.samples = q.samples;
    row.not_measured = r.not_measured;
    if (r.not_measured.empty()) {
      const double amount = r.units * q.per_unit;
      for (const double s : r.seconds) {
        row.values.push_back(is_latency(q.metric) ? s / amount : amount / s);
      }
      row.statistics = statistics_of(row.values);
    }
    rows.push_back(std::move(row));
  }
  return rows;
}

}  // namespace

std::vector<Row> measure(std::vector<Case> cases, const Effort& effort,
                         const std::atomic<bool>& stop,
                         const std::function<void(const std::string&)>& progress) {
  std::vector<std::string> order;
  for (const Case& c : cases) {
    if (std::find(order.begin(), order.end(), c.group) == order.end()) order.push_back(c.group);
  }
  std::vector<std::vector<Row>> rows(cases.size());
  for (const std::string& name : order) {
    std::vector<Running> group;
    std::vector<Case*> seeds;
    std::vector<size_t> places, seed_places;
    for (size_t i = 0; i < cases.size(); ++i) {
      if (cases[i].group != name) continue;
      if (cases[i].run_seed) {
        seeds.push_back(&cases[i]);
        seed_places.push_back(i);
        continue;
      }
      group.push_back({&cases[i], &stop, nullptr, cases[i].not_measured});
      places.push_back(i);
    }
    if (!stop) progress(name);
    if (!group.empty()) run_group(group, effort);
    std::vector<std::vector<Row>> seed_rows(seeds.size());
    run_seeds(seeds, stop, seed_rows);
    for (size_t i = 0; i < seeds.size(); ++i) rows[seed_places[i]] = std::move(seed_rows[i]);
    for (size_t i = 0; i < group.size(); ++i) {
      rows[places[i]] = rows_of(group[i]);
      cases[places[i]].prepare = nullptr;  // may hold memory
    }
  }
  std::vector<Row> all;
  for (std::vector<Row>& r : rows) std::move(r.begin(), r.end(), std::back_inserter(all));
  return all;
}

void set_limits(std::vector<Row>& rows) {
  for (Row& row : rows) {
    for (const Ceiling& ceiling : row.caps) {
      const Row* highest = nullptr;
      for (const Row& machine : rows) {
        if (machine.values.empty() || !has_keys(machine.keys, ceiling.keys)) continue;
        if (highest == nullptr || machine.statistics.median > highest->statistics.median) {
          highest = &machine;
        }
      }
      if (highest == nullptr) continue;
      const bool latency = is_latency(row.keys.value("metric", ""));
      const double rate = highest->statistics.median;
      const double limit = latency ? ceiling.scale / rate : rate * ceiling.scale;
      if (row.limit == 0.0 || (latency ? limit > row.limit : limit < row.limit)) {
        row.limit = limit;
        row.limit_from = row_text(highest->keys);
      }
    }
  }
}

}  // namespace pendula
