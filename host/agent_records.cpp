#include "host/agent_records.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "host/error.h"
#include "host/files.h"

namespace pendula {
namespace {

namespace fs = std::filesystem;

static_assert(std::endian::native == std::endian::little);

constexpr uint64_t kRecord = sizeof(AgentRecord);

// The columns in the order of AgentRecord's members.
constexpr std::pair<const char*, const char*> kColumns[] = {
    {"kind", "|S8"},
    {"agent", "<u8"},
    {"time/total_timesteps", "<u8"},
    {"time/updates", "<u8"},
    {"diverged", "<u8"},
    {"rollout/ep_rew_mean", "<f8"},
    {"rollout/ep_len_mean", "<f8"},
    {"train/critic_loss", "<f8"},
    {"train/actor_loss", "<f8"},
    {"train/q_mean", "<f8"},
    {"train/grad_norm_actor", "<f8"},
    {"train/grad_norm_critic", "<f8"},
    {"eval/mean_reward", "<f8"},
    {"eval/std_reward", "<f8"},
    {"eval/mean_ep_length", "<f8"},
    {"eval/episodes", "<u8"},
};
static_assert(std::size(kColumns) * 8 == kRecord);

// NEP 1, version 1.0: magic, the length of the rest, a Python dictionary, spaces, a newline.
std::string header_of(uint64_t count) {
  std::string columns;
  for (const auto& [name, type] : kColumns) columns += fmt::format("('{}', '{}'), ", name, type);
  constexpr uint64_t kRest = kAgentHeaderBytes - 10;
  std::string text("\x93NUMPY\x01\x00", 8);
  text += static_cast<char>(kRest & 0xff);
  text += static_cast<char>(kRest >> 8);
  text +=
      fmt::format("{{'descr': [{}], 'fortran_order': False, 'shape': ({},), }}", columns, count);
  text.resize(kAgentHeaderBytes - 1, ' ');
  return text + '\n';
}

// The records that a header of ours counts; nothing where it is not one.
std::optional<uint64_t> counted(const std::string& header) {
  constexpr std::string_view kShape = "'shape': (";
  const size_t at = header.find(kShape);
  uint64_t count = 0;
  if (at == std::string::npos) return std::nullopt;
  const char* begin = header.data() + at + kShape.size();
  std::from_chars(begin, header.data() + header.size(), count);
  return header == header_of(count) ? std::optional(count) : std::nullopt;
}

bool write_at(int fd, uint64_t offset, const void* from, uint64_t bytes) {
  const char* data = static_cast<const char*>(from);
  while (bytes > 0) {
    const ssize_t n = ::pwrite(fd, data, bytes, static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return false;
    data += n;
    offset += static_cast<uint64_t>(n);
    bytes -= static_cast<uint64_t>(n);
  }
  return true;
}

bool read_at(int fd, uint64_t offset, void* to, uint64_t bytes) {
  char* data = static_cast<char*>(to);
  while (bytes > 0) {
    const ssize_t n = ::pread(fd, data, bytes, static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) {
      if (n == 0) errno = EIO;  // the file became shorter
      return false;
    }
    data += n;
    offset += static_cast<uint64_t>(n);
    bytes -= static_cast<uint64_t>(n);
  }
  return true;
}

// The count first: a kill in between leaves records that nobody counts.
bool keep(int fd, uint64_t count) {
  const std::string header = header_of(count);
  return write_at(fd, 0, header.data(), header.size()) &&
         ::ftruncate(fd, static_cast<off_t>(kAgentHeaderBytes + count * kRecord)) == 0;
}

// What an open file holds. count: whole records; ours: false where it is another's file.
struct Content {
  uint64_t count = 0;
  bool ours = true;
};

// Nothing where it cannot be read (errno says why). A header that a kill tore is no content.
std::optional<Content> content_of(int fd) {
  struct stat status;
  if (::fstat(fd, &status) != 0) return std::nullopt;
  const uint64_t size = S_ISREG(status.st_mode) ? static_cast<uint64_t>(status.st_size) : 0;
  if (size < kAgentHeaderBytes) return Content{};
  std::string header(kAgentHeaderBytes, '\0');
  if (!read_at(fd, 0, header.data(), header.size())) return std::nullopt;
  const std::optional<uint64_t> count = counted(header);
  if (!count) return Content{0, false};
  return Content{std::min(*count, (size - kAgentHeaderBytes) / kRecord), true};
}

constexpr const char* kForeign = "it holds other records than this version writes; move it away";

double mean(double sum, uint64_t count) {
  return count == 0 ? AgentRecord::kUnknown : sum / static_cast<double>(count);
}

void set_kind(AgentRecord& record, std::string_view kind) {
  kind.copy(record.kind, sizeof record.kind);
}

}  // namespace

AgentRecord report_record(const ReportRow& row, bool diverged) {
  AgentRecord r;
  set_kind(r, "report");
  r.agent = row.agent;
  r.timesteps = row.timesteps;
  r.updates = row.updates;
  r.diverged = diverged ? 1 : 0;
  r.ep_rew_mean = mean(row.episode_return_sum, row.row_episodes);
  r.ep_len_mean = mean(row.episode_length_sum, row.row_episodes);
  r.critic_loss = mean(row.critic_loss_sum, row.row_updates);
  r.actor_loss = mean(row.actor_loss_sum, row.row_updates);
  r.q_mean = mean(row.q_sum, row.row_updates);
  r.grad_norm_actor = mean(row.grad_norm_actor_sum, row.row_updates);
  r.grad_norm_critic = mean(row.grad_norm_critic_sum, row.row_updates);
  return r;
}

AgentRecord evaluation_record(const nlohmann::ordered_json& row, uint64_t updates, bool diverged) {
  const auto number = [&](const char* key) {
    return row.at(key).is_number() ? row.at(key).get<double>() : AgentRecord::kUnknown;
  };
  AgentRecord r;
  set_kind(r, "eval");
  r.agent = row.at("agent").get<uint64_t>();
  r.timesteps = row.at("time/total_timesteps").get<uint64_t>();
  r.updates = updates;
  r.diverged = diverged ? 1 : 0;
  r.eval_mean_reward = number("eval/mean_reward");
  r.eval_std_reward = number("eval/std_reward");
  r.eval_mean_ep_length = number("eval/mean_ep_length");
  r.eval_episodes = row.at("eval/episodes").get<uint64_t>();
  return r;
}

AgentRecordsWriter::AgentRecordsWriter(fs::path path) : path_(std::move(path)) { open(); }

AgentRecordsWriter::~AgentRecordsWriter() {
  if (fd_ >= 0 && ::close(fd_) != 0) warn(std::generic_category().message(errno));
}

bool AgentRecordsWriter::open() {
  if (fd_ >= 0) return true;
  const int fd = ::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (fd >= 0) {
    const std::optional<Content> content = content_of(fd);
    const bool ours = content && content->ours;
    if (ours && keep(fd, content->count)) {
      fd_ = fd;
      count_ = content->count;
      return true;
    }
    warn(content && !ours ? kForeign : std::generic_category().message(errno));
    ::close(fd);
    return false;
  }
  warn(std::generic_category().message(errno));
  return false;
}

void AgentRecordsWriter::write(const std::vector<AgentRecord>& records) {
  if (!open()) return;
  const uint64_t count = count_ + records.size();
  const std::string header = header_of(count);
  if (write_at(fd_, kAgentHeaderBytes + count_ * kRecord, records.data(),
               records.size() * kRecord) &&
      write_at(fd_, 0, header.data(), header.size())) {
    count_ = count;
    return;
  }
  warn(std::generic_category().message(errno));
  // What was written of them is not counted, and the next ones are written over it.
}

void AgentRecordsWriter::warn(const std::string& reason) {
  if (!failed_) {
    spdlog::warn("cannot write to {}: {}; training goes on, records are missing there until it can",
                 path_.string(), reason);
  }
  failed_ = true;
}

std::vector<AgentRecord> read_agent_records(const fs::path& file) {
  const int fd = ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) throw_file_error("open", file, errno);
  std::vector<AgentRecord> records;
  const std::optional<Content> content = content_of(fd);
  bool done = content.has_value();
  if (done && content->ours) {
    records.resize(content->count);
    done = read_at(fd, kAgentHeaderBytes, records.data(), content->count * kRecord);
  }
  const int error_number = errno;
  ::close(fd);
  if (!done) throw_file_error("read", file, error_number);
  if (!content->ours) {
    throw Error(ExitCode::kFiles, fmt::format("cannot read {}: {}", file.string(), kForeign));
  }
  return records;
}

void cut_agent_records(const fs::path& file, int64_t timesteps, int64_t evaluated) {
  if (!path_exists(file)) return;
  const int fd = ::open(file.c_str(), O_RDWR | O_CLOEXEC);
  if (fd < 0) throw_file_error("open", file, errno);
  const auto cut = [&] {
    const std::optional<Content> content = content_of(fd);
    if (!content) return false;
    if (!content->ours) {
      throw Error(ExitCode::kFiles, fmt::format("cannot cut back {}: {}", file.string(), kForeign));
    }
    uint64_t count = content->count;
    for (; count > 0; --count) {
      AgentRecord last;
      if (!read_at(fd, kAgentHeaderBytes + (count - 1) * kRecord, &last, kRecord)) return false;
      const int64_t until = std::string_view(last.kind) == "eval" ? evaluated : timesteps;
      if (static_cast<int64_t>(last.timesteps) <= until) break;
    }
    return keep(fd, count) && ::fsync(fd) == 0;
  };
  try {
    const bool done = cut();
    const int error_number = errno;
    if (!done) throw_file_error("cut back", file, error_number);
  } catch (...) {
    ::close(fd);
    throw;
  }
  if (::close(fd) != 0) throw_file_error("close", file, errno);
}

}  // namespace pendula
