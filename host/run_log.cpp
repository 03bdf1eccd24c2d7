#include "host/run_log.h"

#include "host/training_state.h"

namespace pendula {

using nlohmann::ordered_json;

RunLog::RunLog(const RunDirectory& run, const Config& config)
    : agents_(static_cast<size_t>(config.agents)),
      metrics_(run.metrics()),
      evaluations_(run.evaluations()) {
  if (config.agents > 1) records_.emplace(run.agents());
  if (config.population.pbt.interval > 0) exploits_.emplace(run.exploits());
}

std::optional<double> RunLog::write_reports(const std::vector<ReportRow>& rows,
                                            const std::vector<AgentCounters>& counters,
                                            const RunTiming& timing) {
  std::optional<double> train_return;
  for (auto first = rows.begin(); first != rows.end(); first += static_cast<int64_t>(agents_)) {
    const std::vector<ReportRow> report(first, first + static_cast<int64_t>(agents_));
    // By then, and not by the end of the launch: where a launch is cut changes no record.
    std::vector<bool> diverged;
    std::vector<AgentRecord> records;
    for (size_t k = 0; k < agents_; ++k) {
      const AgentCounters& c = counters.at(k);
      diverged.push_back(c.fault != 0 && c.fault_iteration < report[k].iteration);
      records.push_back(report_record(report[k], diverged.back()));
    }
    const ordered_json row =
        records_ ? metrics_row(report, diverged, timing) : metrics_row(report.front(), timing);
    if (records_) records_->write(records);
    metrics_.write(row);
    const ordered_json& value = row.at("rollout/ep_rew_mean");
    if (value.is_number()) train_return = value.get<double>();
  }
  return train_return;
}

const EvaluationSummary& RunLog::write_evaluation(const Evaluation& evaluation, uint64_t timesteps,
                                                  const std::vector<AgentCounters>& counters) {
  rows_ = evaluation_rows(evaluation, static_cast<int64_t>(agents_), timesteps);
  const std::vector<bool> diverged = diverged_agents(counters);
  summary_ = summarise(rows_, diverged);
  if (records_) {
    std::vector<AgentRecord> records;
    for (size_t k = 0; k < agents_; ++k) {
      records.push_back(evaluation_record(rows_[k], counters.at(k).updates, diverged[k]));
      if (diverged[k]) rows_[k]["diverged"] = true;
    }
    records_->write(records);
  }
  evaluations_.write(records_ ? evaluation_row(summary_) : rows_.front());
  return summary_;
}

}  // namespace pendula
