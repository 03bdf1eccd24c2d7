// What `pendula bench` measures: a case is something that can be run again and again; it gives one
// row of the report per quantity.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "bench/statistics.h"

namespace pendula {

// What tells a row from all others, in the order of the report: suite, case, backend, network,
// batch, num_envs, ..., metric. Keys that do not apply are left out.
using Keys = nlohmann::ordered_json;

// A case made ready: memory allocated, inputs filled, size of one call chosen.
class Work {
 public:
  virtual ~Work() = default;
  // Runs once. Returns the seconds on the device's clock. Throws Error, also for a wrong result.
  virtual double call() = 0;
  // What one call does, in units of the case: see Quantity.
  virtual double units() const = 0;
};

// A bound: `scale` x the median of the row of the suite `machine` that has all of `keys`; of a
// latency, `scale` / that median.
struct Ceiling {
  Keys keys;
  double scale = 1.0;
};

struct Quantity {
  std::string metric;         // "updates_per_second", "seconds", ...
  double per_unit = 1.0;      // of it, in one unit of the case's work
  std::vector<Ceiling> caps;  // the limit is the tightest; empty: no limit is known
  // What is done for one of it: FLOP of products, samples of a batch. 0: not told.
  double flop = 0.0, samples = 0.0;
};

// A whole training of one seed.
struct SeedRun {
  std::map<std::string, double> values;  // by metric
  double final_return = 0.0;             // of its final policy; NaN: it diverged
  bool solved = true;                    // else the values are those of a run that ended in vain
};

struct Case {
  Keys keys;  // all but "metric"
  std::vector<Quantity> quantities;
  // Cases of one group are measured by turns. Their memory is held at the same time.
  std::string group;
  std::function<std::unique_ptr<Work>()> prepare;  // throws Error
  std::string not_measured = {};                   // why it cannot be, known before; else empty
  // In place of `prepare`, of cases whose repeats are the seeds 1, 2, ...: gives nothing where the
  // flag was set before its end. Throws Error.
  std::function<std::optional<SeedRun>(int64_t, const std::atomic<bool>&)> run_seed = {};
  int seeds = 0;
};

// One row of the report.
struct Row {
  Keys keys;
  std::vector<double> values = {};   // one per repeat; empty where not measured
  Statistics statistics = {};        // of the values
  std::string not_measured = {};     // why; empty where measured
  std::vector<Ceiling> caps = {};    // of its quantity
  double limit = 0.0;                // 0: none
  std::string limit_from = {};       // the machine's row that it comes from
  double flop = 0.0, samples = 0.0;  // as its quantity's
  std::vector<double> returns = {};  // of a case with seeds: each one's final policy's
  int unsolved = 0;                  // of them
};

// Less is better for it: "seconds", "seconds_until_solved", "steps_until_solved", ...
inline bool is_latency(const std::string& metric) {
  return metric.rfind("seconds", 0) == 0 || metric == "steps_until_solved";
}

// Whether `keys` has every key of `part` with the same value.
bool has_keys(const Keys& keys, const Keys& part);

// "sgemm m=100 n=64 k=64 threads=1": a row for people, without its suite, backend and metric.
std::string row_text(const Keys& keys);

}  // namespace pendula
