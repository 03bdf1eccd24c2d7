// What a run writes down while it trains: metrics.jsonl, eval.jsonl and, of a population,
// agents.npy and pbt.jsonl. Failures to write warn and never stop the training.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <vector>

#include "host/agent_records.h"
#include "host/backend.h"
#include "host/config.h"
#include "host/evaluation_log.h"
#include "host/metrics.h"
#include "host/run_directory.h"
#include "kernels/plan.h"

namespace pendula {

class RunLog {
 public:
  RunLog(const RunDirectory& run, const Config& config);

  // The reports of a launch, all agents of one report side by side, as take_reports() gives them;
  // counters: of all agents after it. Returns rollout/ep_rew_mean of the last report that has one.
  std::optional<double> write_reports(const std::vector<ReportRow>& rows,
                                      const std::vector<AgentCounters>& counters,
                                      const RunTiming& timing);

  // An evaluation at `timesteps` environment steps of each agent.
  const EvaluationSummary& write_evaluation(const Evaluation& evaluation, uint64_t timesteps,
                                            const std::vector<AgentCounters>& counters);

  void write_exploit(const nlohmann::ordered_json& row) { exploits_->write(row); }

  // Of the last evaluation: per agent (evaluation_rows() in host/metrics.h), and over the agents.
  const std::vector<nlohmann::ordered_json>& rows() const { return rows_; }
  const EvaluationSummary& summary() const { return summary_; }

 private:
  size_t agents_;
  MetricsWriter metrics_;
  MetricsWriter evaluations_;
  std::optional<AgentRecordsWriter> records_;  // of a population
  std::optional<MetricsWriter> exploits_;      // with population-based training
  std::vector<nlohmann::ordered_json> rows_;
  EvaluationSummary summary_{};
};

}  // namespace pendula
