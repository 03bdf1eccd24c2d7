// Rows of metrics.jsonl and eval.jsonl: one JSON object per line, with the names that the field
// greps for. A value that is unknown (no episode ended, no update was made) or not finite is null.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <vector>

#include "host/backend.h"

namespace pendula {

// Where and when this process began, so that rates after a resume are this process's own.
struct RunTiming {
  double seconds = 0;            // wall time since then
  uint64_t start_timesteps = 0;  // of one agent, environment steps done before
  uint64_t start_updates = 0;
};

// A row of metrics.jsonl of one agent. Rates are averages over timing.seconds; losses, q and
// gradient norms are means over the updates since the agent's previous row.
nlohmann::ordered_json metrics_row(const ReportRow& row, const RunTiming& timing);

// A row of metrics.jsonl of a population: `rows` has one report of every agent. Each value is the
// mean of what metrics_row() says of the agents that go on and know it; time/fps and the updates
// are one agent's. diverged: for each agent, whether it had been frozen by then. Also
// "train/agents", all of the run, and "train/agents_diverged".
nlohmann::ordered_json metrics_row(const std::vector<ReportRow>& rows,
                                   const std::vector<bool>& diverged, const RunTiming& timing);

// One row per agent: mean and (population) standard deviation of the undiscounted returns, the mean
// length in steps; "agent" is there if agents > 1. The only row of an agent alone is the row of
// eval.jsonl. Throws std::logic_error where the counts do not divide.
std::vector<nlohmann::ordered_json> evaluation_rows(const Evaluation& evaluation, int64_t agents,
                                                    uint64_t timesteps);

// Appends rows to a file. A failure (disk full, read-only) warns once and training goes on: metrics
// are not worth a run. Every row is tried again, so that rows come back with the space.
class MetricsWriter {
 public:
  explicit MetricsWriter(std::filesystem::path path);
  MetricsWriter(const MetricsWriter&) = delete;
  MetricsWriter& operator=(const MetricsWriter&) = delete;
  ~MetricsWriter();

  void write(const nlohmann::ordered_json& row);  // in the file when it returns, not yet synced
  bool failed() const { return failed_; }         // whether any row was lost

 private:
  bool open();
  void warn(int error_number);

  std::filesystem::path path_;
  int fd_ = -1;
  bool torn_ = false;  // the file ends in the middle of a line
  bool failed_ = false;
};

}  // namespace pendula
