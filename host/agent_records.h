// agents.npy: what each agent of a population reported, in one columnar file. It is a NumPy
// structured array with one record per agent per report and per evaluation, in the order of time:
//
//   a = numpy.load("agents.npy")            # or with mmap_mode="r"
//   a[a["kind"] == b"eval"]["eval/mean_reward"]
//
// The header has a fixed size and says how many records there are. Records are appended first and
// counted then, so whoever reads meanwhile, or after a kill, sees whole reports.
#pragma once

#include <cstdint>
#include <filesystem>
#include <limits>
#include <nlohmann/json.hpp>
#include <vector>

#include "kernels/report.h"

namespace pendula {

inline constexpr uint64_t kAgentHeaderBytes = 1024;

// One record as it lies in the file, little-endian. NaN: unknown, or not of this kind.
struct AgentRecord {
  static constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();
  char kind[8] = {};  // "report" or "eval"
  uint64_t agent = 0;
  uint64_t timesteps = 0;
  uint64_t updates = 0;
  uint64_t diverged = 0;  // 1: the agent has been frozen
  double ep_rew_mean = kUnknown, ep_len_mean = kUnknown;
  double critic_loss = kUnknown, actor_loss = kUnknown, q_mean = kUnknown;
  double grad_norm_actor = kUnknown, grad_norm_critic = kUnknown;
  double eval_mean_reward = kUnknown, eval_std_reward = kUnknown, eval_mean_ep_length = kUnknown;
  uint64_t eval_episodes = 0;
};
static_assert(sizeof(AgentRecord) == 128);

// Means over the updates and the episodes of the row, as metrics_row() has them (host/metrics.h).
AgentRecord report_record(const ReportRow& row, bool diverged);

// row: one of evaluation_rows() (host/metrics.h).
AgentRecord evaluation_record(const nlohmann::ordered_json& row, uint64_t updates, bool diverged);

// Appends records. A failure (disk full, read-only) warns once and training goes on: the records of
// one call are in the file together or not at all, and the next call tries again.
class AgentRecordsWriter {
 public:
  explicit AgentRecordsWriter(std::filesystem::path path);
  AgentRecordsWriter(const AgentRecordsWriter&) = delete;
  AgentRecordsWriter& operator=(const AgentRecordsWriter&) = delete;
  ~AgentRecordsWriter();

  void write(const std::vector<AgentRecord>& records);
  bool failed() const { return failed_; }  // whether any record was lost

 private:
  bool open();
  void warn(const std::string& reason);

  std::filesystem::path path_;
  int fd_ = -1;
  uint64_t count_ = 0;  // records
  bool failed_ = false;
};

// All records that the file counts. Throws Error(kFiles) where it cannot be read or holds others.
std::vector<AgentRecord> read_agent_records(const std::filesystem::path& file);

// Takes back the records beyond `timesteps` environment steps, and those of evaluations beyond
// `evaluated`: they are the file's last ones. Also what a killed process had not counted yet. No
// error where there is no file; throws Error(kFiles) where it cannot be changed or holds other
// records.
void cut_agent_records(const std::filesystem::path& file, int64_t timesteps, int64_t evaluated);

}  // namespace pendula
