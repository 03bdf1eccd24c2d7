#include "host/sweep_results.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>

#include "host/agent_records.h"
#include "host/agent_values.h"
#include "host/checkpoint.h"
#include "host/config_io.h"
#include "host/environments.h"
#include "host/error.h"
#include "host/planning.h"
#include "host/run_directory.h"

namespace pendula {
namespace {

namespace fs = std::filesystem;
using nlohmann::ordered_json;

constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();

double number_or_unknown(const ordered_json& row, const char* key) {
  const auto found = row.find(key);
  return found != row.end() && found->is_number() ? found->get<double>() : kUnknown;
}

ordered_json number_or_null(double value) {
  return std::isfinite(value) ? ordered_json(value) : ordered_json(nullptr);
}

// Takes the counters of all agents out of a checkpoint, and no other tensor.
class CountersOnly final : public ArenaAccess {
 public:
  explicit CountersOnly(const PlannedRun& planned)
      : counters(static_cast<size_t>(planned.plan.agents)),
        agent_bytes_(planned.plan.agent_bytes),
        offset_(planned.plan.counters) {}

  std::vector<AgentCounters> counters;

  void read(uint64_t, uint64_t, void*) const override {
    throw std::logic_error("the counters of a checkpoint are not read back");
  }
  void write(uint64_t offset, uint64_t bytes, const void* from) override {
    const uint64_t inside = offset % agent_bytes_ - offset_;
    if (inside + bytes > sizeof(AgentCounters)) throw std::logic_error("no counters");
    char* to = reinterpret_cast<char*>(&counters.at(static_cast<size_t>(offset / agent_bytes_)));
    std::memcpy(to + inside, from, bytes);
  }

 private:
  uint64_t agent_bytes_, offset_;
};

std::vector<AgentCounters> read_counters(const Config& config, const fs::path& run_dir) {
  const PlannedRun planned = make_plan(config, *find_environment(config.env.id), 4);
  CountersOnly arena(planned);
  load_checkpoint(resolve_run(run_dir.string(), run_dir.parent_path()).checkpoint, planned.tensors,
                  arena, [](const std::string& name) { return name == "agents.counters"; });
  return arena.counters;
}

}  // namespace

std::vector<EvaluationPoint> read_evaluations(const fs::path& run_dir, int64_t agents) {
  const fs::path path = run_dir / "agents.npy";
  std::vector<EvaluationPoint> points;
  size_t rows = 0;
  bool whole = true;
  for (const AgentRecord& record : read_agent_records(path)) {
    if (std::string_view(record.kind) != "eval") continue;
    const size_t k = rows++ % static_cast<size_t>(agents);
    whole = whole && record.agent == k;
    if (k == 0) points.push_back({static_cast<int64_t>(record.timesteps), {}});
    points.back().mean_reward.push_back(record.eval_mean_reward);
  }
  if (points.empty() || !whole || rows % static_cast<size_t>(agents) != 0) {
    throw Error(ExitCode::kFiles,
                fmt::format("{}: {} evaluations of an agent are none of {} agents each; the curves "
                            "of this run's agents are not known",
                            path.string(), rows, agents));
  }
  return points;
}

double area_under_curve(const std::vector<EvaluationPoint>& points, size_t agent) {
  double area = 0;
  for (size_t i = 1; i < points.size(); ++i) {
    const double width = static_cast<double>(points[i].timesteps - points[i - 1].timesteps);
    area += width * 0.5 * (points[i - 1].mean_reward.at(agent) + points[i].mean_reward.at(agent));
  }
  const double steps = static_cast<double>(points.back().timesteps - points.front().timesteps);
  return steps > 0 ? area / steps : points.back().mean_reward.at(agent);
}

std::vector<int64_t> ranking(const std::vector<SweptAgent>& agents, double SweptAgent::*value) {
  std::vector<int64_t> order(agents.size());
  std::iota(order.begin(), order.end(), int64_t{0});
  const auto worth = [&](int64_t k) {  // below every value where there is none
    const SweptAgent& agent = agents[static_cast<size_t>(k)];
    const bool known = !agent.diverged && std::isfinite(agent.*value);
    return known ? agent.*value : -std::numeric_limits<double>::infinity();
  };
  std::stable_sort(order.begin(), order.end(),
                   [&](int64_t a, int64_t b) { return worth(a) > worth(b); });
  return order;
}

int64_t SweepResults::best() const {
  const SweptAgent& first = agents.at(static_cast<size_t>(by_return.at(0)));
  return !first.diverged && std::isfinite(first.final_return) ? by_return[0] : -1;
}

SweepResults sweep_results(const Config& config, const fs::path& run_dir,
                           const ordered_json& result) {
  SweepResults results;
  results.keys = differing_keys(config);
  std::erase(results.keys, "seed");
  const std::vector<EvaluationPoint> points = read_evaluations(run_dir, config.agents);
  const std::vector<AgentCounters> counters = read_counters(config, run_dir);
  for (size_t k = 0; k < counters.size(); ++k) {
    results.agents.push_back({number_or_unknown(result.at("agents").at(k), "eval/mean_reward"),
                              area_under_curve(points, k), counters[k].fault != 0});
  }
  results.by_return = ranking(results.agents, &SweptAgent::final_return);
  results.by_area = ranking(results.agents, &SweptAgent::area);
  return results;
}

ordered_json sweep_record(const Config& config, const SweepResults& results) {
  ordered_json record;
  record["name"] = config.name;
  record["total_timesteps"] = config.total_timesteps;
  record["eval/episodes"] = config.eval.final_episodes;
  record["keys"] = results.keys;
  record["best"] = results.best() < 0 ? ordered_json(nullptr) : ordered_json(results.best());
  record["agents"] = ordered_json::array();
  for (size_t k = 0; k < results.agents.size(); ++k) {
    const SweptAgent& agent = results.agents[k];
    const Config own = agent_config(config, static_cast<int64_t>(k));
    ordered_json row;
    row["agent"] = k;
    row["seed"] = own.seed;
    row["eval/mean_reward"] = number_or_null(agent.final_return);
    row["area_under_curve"] = number_or_null(agent.area);
    row["diverged"] = agent.diverged;
    row["values"] = agent_values(own, results.keys);
    record["agents"].push_back(row);
  }
  return record;
}

Config best_config(const Config& config, const SweepResults& results, int64_t agent) {
  Config best = agent_config(config, agent);
  best.name = config.name.substr(0, 95) + "-best";  // a name has at most 100 characters
  const SweptAgent& reached = results.agents.at(static_cast<size_t>(agent));
  best.result = {{"sweep", config.name},
                 {"agent", agent},
                 {"eval/mean_reward", reached.final_return},
                 {"eval/episodes", config.eval.final_episodes}};
  return best;
}

}  // namespace pendula
