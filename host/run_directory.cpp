#include "host/run_directory.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <optional>
#include <system_error>
#include <utility>
#include <vector>

#include "host/agent_records.h"
#include "host/checkpoint.h"
#include "host/error.h"
#include "host/files.h"

namespace pendula {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using nlohmann::ordered_json;

std::string time_name(std::time_t now) {
  std::tm local;
  char text[32];
  if (::localtime_r(&now, &local) == nullptr ||
      std::strftime(text, sizeof text, "%Y-%m-%d_%H-%M-%S", &local) == 0) {
    throw Error(ExitCode::kFiles, "cannot name the run after the time; check the system's clock");
  }
  return text;
}

// A config may come from someone else: its name must not lead out of the parent directory.
void check_name(const std::string& name) {
  const bool good = !name.empty() && name.size() <= 200 && name[0] != '.' && name != "latest" &&
                    std::none_of(name.begin(), name.end(), [](unsigned char c) {
                      return c == '/' || c == '@' || c < 0x20 || c == 0x7f;
                    });
  if (good) return;
  throw Error(ExitCode::kUsage,
              fmt::format("the run's name {} cannot be a directory's; give \"name\" 1 to 200 "
                          "characters without '/' and '@', not \"latest\", no leading dot",
                          json(name).dump(-1, ' ', true, json::error_handler_t::replace)));
}

// Takes the first free name among base, base_2, base_3, ...; mkdir decides between two processes.
fs::path make_exclusively(const fs::path& base) {
  constexpr int kAttempts = 10000;
  for (int i = 1; i <= kAttempts; ++i) {
    const fs::path path = i == 1 ? base : fs::path(fmt::format("{}_{}", base.string(), i));
    if (::mkdir(path.c_str(), 0777) == 0) return path;
    if (errno != EEXIST) throw_file_error("create the directory", path, errno);
  }
  throw_file_error("create the directory", base, EEXIST);
}

// The lock goes with the process, however it ends; the file stays and holds the last owner's id.
int take_lock(const fs::path& run_dir) {
  const fs::path path = run_dir / ".lock";
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (fd < 0) throw_file_error("open", path, errno);
  if (::flock(fd, LOCK_EX | LOCK_NB) != 0) {
    const int error_number = errno;
    char owner[32] = {};
    const ssize_t n = ::pread(fd, owner, sizeof owner - 1, 0);
    ::close(fd);
    if (error_number == EWOULDBLOCK) {
      throw Error(ExitCode::kFiles,
                  fmt::format("the run {} is in use by another process{}; wait until it ends or "
                              "stop it",
                              run_dir.string(), n > 0 ? fmt::format(" ({})", owner) : ""));
    }
    spdlog::warn("cannot lock {}: {}; do not resume this run twice at the same time",
                 run_dir.string(), std::generic_category().message(error_number));
    return -1;
  }
  const std::string owner = fmt::format("process {}", ::getpid());
  if (::ftruncate(fd, 0) != 0 ||
      ::pwrite(fd, owner.data(), owner.size(), 0) != static_cast<ssize_t>(owner.size())) {
    spdlog::debug("cannot write to {}", path.string());  // only the other's message is poorer
  }
  return fd;
}

// A link cannot be replaced in place, but another one can be renamed over it.
// `target` is relative to `parent`, so that the whole directory can be moved.
void point_latest(const fs::path& parent, const fs::path& target) {
  const fs::path link = parent / "latest";
  const fs::path temporary = temporary_neighbour(link);
  ::unlink(temporary.c_str());
  if (::symlink(target.c_str(), temporary.c_str()) != 0 ||
      ::rename(temporary.c_str(), link.c_str()) != 0) {
    spdlog::warn("cannot point {} to the new run: {}; name the run by its directory instead",
                 link.string(), std::generic_category().message(errno));
    ::unlink(temporary.c_str());
  }
}

void write_json(const fs::path& path, const ordered_json& value) {
  write_text_atomically(path, value.dump(2, ' ', false, json::error_handler_t::replace) + "\n");
}

// The environment steps of a checkpoint, by its own account.
std::optional<int64_t> stored_timesteps(const fs::path& checkpoint) {
  try {
    const json info = read_manifest(checkpoint).info;
    if (info.is_object() && info.contains(kTimestepsKey)) {
      return info[kTimestepsKey].get<int64_t>();
    }
  } catch (const std::exception& error) {
    spdlog::warn("{}", error.what());
  }
  return std::nullopt;
}

}  // namespace

RunDirectory RunDirectory::create(const fs::path& parent, const std::string& name, uint64_t seed,
                                  std::time_t now) {
  check_name(name);
  make_directories(parent / name);
  const fs::path path =
      make_exclusively(parent / name / fmt::format("{}_s{}", time_name(now), seed));
  RunDirectory run(path, take_lock(path));
  make_directories(path / "checkpoints");
  sync_directory(path);
  sync_directory(parent / name);
  point_latest(parent, fs::path(name) / path.filename());
  return run;
}

RunDirectory RunDirectory::open(const fs::path& run_dir) {
  if (!path_exists(run_dir / "config.json")) {
    throw Error(ExitCode::kFiles,
                fmt::format("{} is not a run directory: it has no config.json; name a directory "
                            "that pendula train made",
                            run_dir.string()));
  }
  RunDirectory run(run_dir, take_lock(run_dir));
  std::vector<fs::path> leftovers;  // of write_text_atomically
  std::error_code error;
  for (fs::directory_iterator it(run_dir, error), end; !error && it != end; it.increment(error)) {
    if (is_temporary(it->path())) leftovers.push_back(it->path());
  }
  if (error) throw_file_error("read the directory", run_dir, error.value());
  for (const fs::path& leftover : leftovers) remove_tree(leftover);
  recover_checkpoints(run_dir);
  recover_checkpoints(run_dir / "checkpoints");
  return run;
}

RunDirectory::RunDirectory(RunDirectory&& other) noexcept
    : path_(std::move(other.path_)), lock_fd_(std::exchange(other.lock_fd_, -1)) {}

RunDirectory::~RunDirectory() {
  if (lock_fd_ >= 0 && ::close(lock_fd_) != 0) {
    spdlog::warn("cannot unlock {}: {}", path_.string(), std::generic_category().message(errno));
  }
}

fs::path RunDirectory::checkpoint(int64_t step) const { return checkpoint_dir(path_, step); }

void RunDirectory::write_config(const ordered_json& config) const {
  write_json(path_ / "config.json", config);
}

void RunDirectory::write_meta(const ordered_json& meta) const {
  write_json(path_ / "meta.json", meta);
}

void RunDirectory::write_result(const ordered_json& result) const {
  write_json(path_ / "result.json", result);
}

void RunDirectory::rewind(int64_t timesteps) const {
  remove_tree(path_ / "result.json");
  for (const StoredCheckpoint& stored : list_checkpoints(path_)) {
    if (stored.step > timesteps) remove_checkpoint(stored.dir);
  }
  if (is_checkpoint(best()) && stored_timesteps(best()).value_or(timesteps) > timesteps) {
    remove_checkpoint(best());
  }
  cut_rows(metrics(), timesteps);
  cut_rows(evaluations(), timesteps);
  cut_rows(exploits(), timesteps);
  cut_agent_records(agents(), timesteps, timesteps);
  sync_directory(path_);
}

void RunDirectory::rewind_events(int64_t timesteps) const {
  cut_rows(evaluations(), timesteps - 1);
  cut_rows(exploits(), timesteps - 1);
  cut_agent_records(agents(), timesteps, timesteps - 1);
}

void cut_rows(const fs::path& file, int64_t timesteps) {
  if (!path_exists(file)) return;
  std::ifstream in(file, std::ios::binary);
  std::string kept, line;
  bool changed = false;
  while (std::getline(in, line)) {
    const bool torn = in.eof();  // no newline: the writer was cut off, whatever the line holds
    const json row = json::parse(line, nullptr, false);
    const bool keep = !torn && row.is_object() && row.contains(kTimestepsKey) &&
                      row[kTimestepsKey].is_number() &&
                      row[kTimestepsKey].get<double>() <= static_cast<double>(timesteps);
    changed |= !keep;
    if (keep) kept += line + "\n";
  }
  if (in.bad() || !in.eof()) throw_file_error("read", file, EIO);
  if (changed) write_text_atomically(file, kept);
}

}  // namespace pendula
