#include "host/metrics.h"

#include <fcntl.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>

namespace pendula {
namespace {

using nlohmann::ordered_json;

// null where it is unknown: JSON has no NaN.
ordered_json number(double value) {
  return std::isfinite(value) ? ordered_json(value) : ordered_json(nullptr);
}

ordered_json mean(double sum, uint64_t count) {
  return count == 0 ? ordered_json(nullptr) : number(sum / static_cast<double>(count));
}

ordered_json rate(uint64_t now, uint64_t start, double seconds) {
  return number(static_cast<double>(now - start) / seconds);  // 0 s: infinite or NaN, so null
}

}  // namespace

ordered_json metrics_row(const ReportRow& row, const RunTiming& timing) {
  ordered_json json = ordered_json::object();
  json["time/total_timesteps"] = row.timesteps;
  json["time/updates"] = row.updates;
  json["time/time_elapsed"] = number(timing.seconds);
  json["time/fps"] = rate(row.timesteps, timing.start_timesteps, timing.seconds);
  json["time/updates_per_second"] = rate(row.updates, timing.start_updates, timing.seconds);
  json["rollout/ep_rew_mean"] = mean(row.episode_return_sum, row.row_episodes);
  json["rollout/ep_len_mean"] = mean(row.episode_length_sum, row.row_episodes);
  json["train/critic_loss"] = mean(row.critic_loss_sum, row.row_updates);
  json["train/actor_loss"] = mean(row.actor_loss_sum, row.row_updates);
  json["train/q_mean"] = mean(row.q_sum, row.row_updates);
  json["train/grad_norm_actor"] = mean(row.grad_norm_actor_sum, row.row_updates);
  json["train/grad_norm_critic"] = mean(row.grad_norm_critic_sum, row.row_updates);
  return json;
}

ordered_json metrics_row(const std::vector<ReportRow>& rows, const std::vector<bool>& diverged,
                         const RunTiming& timing) {
  if (rows.empty() || rows.size() != diverged.size()) {
    throw std::logic_error("metrics_row: not one row and one flag per agent");
  }
  // Sums over the agents in their order, so that the bits are those of every other run.
  std::vector<std::pair<double, uint64_t>> sums;  // and how many agents are in each
  ordered_json json = metrics_row(rows.front(), timing);
  for (size_t k = 0; k < rows.size(); ++k) {
    const ordered_json one = metrics_row(rows[k], timing);
    sums.resize(one.size());
    size_t column = 0;
    for (const auto& [key, value] : one.items()) {
      auto& [sum, count] = sums[column++];
      if (diverged[k] || !value.is_number()) continue;
      sum += value.get<double>();
      ++count;
    }
  }
  size_t column = 0;
  for (auto& [key, value] : json.items()) {
    const auto& [sum, count] = sums[column++];
    value = mean(sum, count);
  }
  // What all agents have, whether they go on or not.
  json["time/total_timesteps"] = rows.front().timesteps;
  json["time/time_elapsed"] = number(timing.seconds);
  json["train/agents"] = rows.size();
  json["train/agents_diverged"] = std::count(diverged.begin(), diverged.end(), true);
  return json;
}

std::vector<ordered_json> evaluation_rows(const Evaluation& evaluation, int64_t agents,
                                          uint64_t timesteps) {
  const size_t count = static_cast<size_t>(agents);
  if (agents < 1 || evaluation.returns.size() % count != 0 ||
      evaluation.lengths.size() != evaluation.returns.size()) {
    throw std::logic_error("evaluation_rows: the episodes do not divide among the agents");
  }
  const size_t episodes = evaluation.returns.size() / count;
  std::vector<ordered_json> rows;
  for (size_t agent = 0; agent < count; ++agent) {
    const double* returns = evaluation.returns.data() + agent * episodes;
    const uint32_t* lengths = evaluation.lengths.data() + agent * episodes;
    double return_sum = 0, length_sum = 0, square_sum = 0;
    for (size_t i = 0; i < episodes; ++i) {
      return_sum += returns[i];
      length_sum += lengths[i];
    }
    const double return_mean = return_sum / static_cast<double>(episodes);
    for (size_t i = 0; i < episodes; ++i) square_sum += std::pow(returns[i] - return_mean, 2);

    ordered_json json = ordered_json::object();
    if (agents > 1) json["agent"] = agent;
    json["time/total_timesteps"] = timesteps;
    json["eval/mean_reward"] = mean(return_sum, episodes);
    json["eval/std_reward"] = number(std::sqrt(square_sum / static_cast<double>(episodes)));
    json["eval/mean_ep_length"] = mean(length_sum, episodes);
    json["eval/episodes"] = episodes;
    rows.push_back(std::move(json));
  }
  return rows;
}

MetricsWriter::MetricsWriter(std::filesystem::path path) : path_(std::move(path)) { open(); }

MetricsWriter::~MetricsWriter() {
  if (fd_ >= 0 && ::close(fd_) != 0) warn(errno);
}

bool MetricsWriter::open() {
  if (fd_ >= 0) return true;
  fd_ = ::open(path_.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
  if (fd_ < 0) {
    warn(errno);
    return false;
  }
  // A killed process may have left half a row; the next one must not be glued to it.
  struct stat status;
  char last = '\n';
  if (::fstat(fd_, &status) == 0 && S_ISREG(status.st_mode) && status.st_size > 0) {
    torn_ = ::pread(fd_, &last, 1, status.st_size - 1) == 1 && last != '\n';
  }
  return true;
}

void MetricsWriter::write(const ordered_json& row) {
  if (!open()) return;
  const std::string line =
      (torn_ ? "\n" : "") +
      row.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
  size_t done = 0;
  while (done < line.size()) {
    const ssize_t n = ::write(fd_, line.data() + done, line.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      warn(errno);
      torn_ = torn_ || done > 0;
      return;
    }
    done += static_cast<size_t>(n);
  }
  torn_ = false;
}

void MetricsWriter::warn(int error_number) {
  if (!failed_) {
    spdlog::warn("cannot write to {}: {}; training goes on, rows are missing there until it can",
                 path_.string(), std::generic_category().message(error_number));
  }
  failed_ = true;
}

}  // namespace pendula
