#include "host/cmd_sweep.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iostream>

#include "host/agent_values.h"
#include "host/config_io.h"
#include "host/files.h"
#include "host/sweep_results.h"

namespace pendula {
namespace {

namespace fs = std::filesystem;
using nlohmann::ordered_json;

void expect_a_population(const Config& config) {
  std::vector<std::string> keys = differing_keys(config);
  std::erase(keys, "seed");
  if (keys.empty()) {
    throw Error(ExitCode::kUsage,
                "nothing but the seed differs between the agents of this config; give a key a "
                "list or a distribution, as optimizer.actor_lr='{\"log_uniform\": [1e-4, 1e-2]}', "
                "or train seeds alone with pendula train CONFIG --seeds N");
  }
  if (config.population.pbt.interval > 0) {
    throw Error(ExitCode::kUsage,
                "a sweep compares values that agents keep, and population-based training changes "
                "them; set population.pbt.interval to 0, or use pendula train");
  }
  if (config.agents < 2) {
    throw Error(ExitCode::kUsage,
                "a sweep of one agent has nothing to compare; say --agents N, or set the key "
                "agents");
  }
}

std::string shown_return(double value) {
  return std::isfinite(value) ? fmt::format("{:.2f}", value) : "unknown";
}

// Columns as wide as what stands in them, numbers at their right ends.
void print_table(const std::vector<std::vector<std::string>>& rows, std::ostream& out) {
  std::vector<size_t> widths(rows.at(0).size());
  for (const auto& row : rows) {
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  for (const auto& row : rows) {
    for (size_t i = 0; i < row.size(); ++i) out << fmt::format("  {:>{}}", row[i], widths[i]);
    out << '\n';
  }
}

void print_best(const Config& config, const SweepResults& results,
                const std::vector<int64_t>& order, int64_t top, std::ostream& out) {
  std::vector<std::vector<std::string>> rows = {{"agent", "return", "area"}};
  for (const std::string& key : results.keys) rows[0].push_back(key);
  for (size_t i = 0; i < order.size() && i < static_cast<size_t>(top); ++i) {
    const SweptAgent& agent = results.agents[static_cast<size_t>(order[i])];
    rows.push_back({std::to_string(order[i]), shown_return(agent.final_return),
                    agent.diverged ? "diverged" : shown_return(agent.area)});
    const ordered_json values = agent_values(agent_config(config, order[i]), results.keys);
    for (const auto& [key, value] : values.items()) {
      rows.back().push_back(value.is_number_float() ? fmt::format("{:.4g}", value.get<double>())
                                                    : value.dump());
    }
  }
  print_table(rows, out);
}

// "3 agents diverged and rank last: 4, 9, 12\n"; nothing where there are none.
std::string agents_text(const SweepResults& results, const char* what,
                        bool (*is)(const SweptAgent&)) {
  constexpr size_t kShown = 20;
  std::string numbers;
  size_t count = 0;
  for (size_t k = 0; k < results.agents.size(); ++k) {
    if (!is(results.agents[k])) continue;
    if (++count <= kShown) numbers += (count > 1 ? ", " : "") + std::to_string(k);
  }
  if (count == 0) return "";
  if (count > kShown) numbers += ", ...";
  return fmt::format("{} of {} agents {} and rank last: {}\n", count, results.agents.size(), what,
                     numbers);
}

void print(const Config& config, const SweepResults& results, int64_t top, std::ostream& out) {
  const auto shown = std::min(top, config.agents);
  out << fmt::format("best {} of {} agents by final return, the mean of {} episodes:\n", shown,
                     config.agents, config.eval.final_episodes);
  print_best(config, results, results.by_return, top, out);
  out << "\nby area under the curve, the mean return over the steps from the first evaluation to "
         "the last:\n";
  print_best(config, results, results.by_area, top, out);
  out << '\n'
      << agents_text(results, "diverged", [](const SweptAgent& a) { return a.diverged; })
      << agents_text(results, "have no known return", [](const SweptAgent& a) {
           return !a.diverged && !std::isfinite(a.final_return);
         });
}

}  // namespace

int run_sweep(const Config& config, const SweepOptions& options, std::ostream& out) {
  expect_a_population(config);
  const TrainOutcome outcome = train(config, options.train);
  if (!outcome.result.is_object()) {
    const bool stopped =
        outcome.code == ExitCode::kInterrupted || outcome.code == ExitCode::kTerminated;
    if (stopped && !options.train.quiet) {
      std::cerr << "or, with the tables at its end:\n  pendula sweep --resume "
                << outcome.run_dir.string() << '\n';
    }
    return static_cast<int>(outcome.code);
  }
  if (outcome.code == ExitCode::kFiles) return static_cast<int>(outcome.code);  // it was told
  const fs::path& run_dir = outcome.run_dir;
  const SweepResults results = sweep_results(config, run_dir, outcome.result);
  ordered_json record = sweep_record(config, results);
  write_text_atomically(run_dir / "sweep.json", record.dump(2) + "\n");
  const int64_t best = results.best();
  const fs::path best_file = run_dir / "best.json";
  if (best >= 0) {
    write_text_atomically(best_file, to_json(best_config(config, results, best)).dump(2) + "\n");
  } else {
    remove_tree(best_file);  // of the same run, shorter
  }
  if (options.json) {
    record["run"] = run_dir.string();
    out << record.dump(2) << '\n';
    return static_cast<int>(outcome.code);
  }
  print(config, results, options.top, out);
  if (best >= 0) {
    out << fmt::format("the config of agent {}: pendula train {}\n", best, best_file.string());
  } else {
    out << "no agent has a return to rank by: lower the learning rates of the config\n";
  }
  out << run_dir.string() << '\n';
  return static_cast<int>(outcome.code);
}

}  // namespace pendula
