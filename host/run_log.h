// What a run writes down while it trains: metrics.jsonl, eval.jsonl and, of a population,
// agents.npy. Failures to write warn and never stop the training.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <vector>

#include "host/agent_records.h"
#include "host/backend.h"
#include "host/evaluation_log.h"
#include "host/metrics.h"
#include "host/run_directory.h"
#include "kernels/plan.h"

namespace pendula {

class RunLog {
 public:
  RunLog(const RunDirectory& run, int64_t agents);

  // The reports of a launch, all agents of one report side by side, as take_reports() gives them;
  // counters: of all agents after it. Returns rollout/ep_rew_mean of the last report that has one.
  std::optional<double> write_reports(const std::vector<ReportRow>& rows,
                                      const std::vector<AgentCounters>& counters,
                                      const RunTiming& timing);

  // An evaluation at `timesteps` environment steps of each agent.
  const EvaluationSummary& write_evaluation(const Evaluation& evaluation, uint64_t timesteps,
                                            const std::vector<AgentCounters>& counters);

  // Of the last evaluation: per agent (evaluation_rows() in host/metrics.h), and over the agents.
  const std::vector<nlohmann::ordered_json>& rows() const { return rows_; }
  const EvaluationSummary& summary() const { return summary_; }

 private:
  size_t agents_;
  MetricsWriter metrics_;
  MetricsWriter evaluations_;
  std::optional<AgentRecordsWriter> records_;
  std::vector<nlohmann::ordered_json> rows_;
  EvaluationSummary summary_{};
};

}  // namespace pendula
