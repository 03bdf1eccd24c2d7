#include "bench/race.h"

#include <fmt/format.h>

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <filesystem>
#include <limits>
#include <nlohmann/json.hpp>
#include <system_error>

#include "host/error.h"
#include "host/files.h"

extern char** environ;

namespace pendula {
namespace {

namespace fs = std::filesystem;

constexpr int kLookMilliseconds = 50;  // how often the stop flag is looked at

// A folder that goes with this.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::error_code error;
    const fs::path parent = fs::temp_directory_path(error);
    if (error) throw_file_error("use", "the folder that TMPDIR names", error.value());
    std::string name = (parent / "pendula-race-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw_file_error("create", name, errno);
    path_ = name;
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

class Process {
 public:
  // Starts this binary with the arguments, its standard output in a pipe.
  explicit Process(std::vector<std::string> arguments) {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) fail(errno);
    out_ = ends[0];
    posix_spawn_file_actions_t actions;
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
    std::vector<char*> argv;
    for (std::string& argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);
    const int error =
        ::posix_spawn(&pid_, "/proc/self/exe", &actions, nullptr, argv.data(), environ);
    ::posix_spawn_file_actions_destroy(&actions);
    ::close(ends[1]);
    if (error != 0) {
      ::close(out_);
      fail(error);
    }
  }
  ~Process() {
    ::close(out_);
    if (!awaited_) {  // something failed meanwhile
      ::kill(pid_, SIGKILL);
      ::waitpid(pid_, nullptr, 0);
    }
  }
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  // What it printed, at its end. Tells it to stop, once, where `stop` is set.
  std::string output(const std::atomic<bool>& stop) {
    std::string text;
    char buffer[4096];
    for (bool told = false;;) {
      pollfd ready{out_, POLLIN, 0};
      ::poll(&ready, 1, kLookMilliseconds);
      if (stop && !told) {
        ::kill(pid_, SIGTERM);
        told = true;
      }
      if (ready.revents == 0) continue;
      const ssize_t n = ::read(out_, buffer, sizeof buffer);
      if (n == 0) return text;
      if (n < 0 && errno != EINTR) fail(errno);
      if (n > 0) text.append(buffer, static_cast<size_t>(n));
    }
  }

  // Its exit code; of one that a signal killed 128 and the signal.
  int wait() {
    int status = 0;
    while (::waitpid(pid_, &status, 0) < 0) {
      if (errno != EINTR) fail(errno);
    }
    awaited_ = true;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }

 private:
  [[noreturn]] static void fail(int error) {
    throw Error(ExitCode::kUsage, fmt::format("a training cannot be started ({}); the suite race "
                                              "needs /proc and room for one more process",
                                              std::generic_category().message(error)));
  }

  int out_ = -1;
  pid_t pid_ = 0;
  bool awaited_ = false;
};

}  // namespace

std::optional<RaceResult> run_race(const Race& race, int64_t seed, const std::atomic<bool>& stop) {
  const TemporaryFolder folder;
  const fs::path config = folder.path() / "race.json";
  write_text_atomically(config, race.config);
  std::vector<std::string> arguments = {"pendula", "train", config.string()};
  arguments.insert(arguments.end(), race.overrides.begin(), race.overrides.end());
  for (const std::string& word :
       {"seed=" + std::to_string(seed), "simd=" + race.simd, std::string("--device"), race.device,
        std::string("--run-dir"), folder.path().string(), std::string("--json"),
        std::string("--quiet")}) {
    arguments.push_back(word);
  }
  if (race.threads > 0) {
    arguments.push_back("--threads");
    arguments.push_back(std::to_string(race.threads));
  }
  const auto begin = std::chrono::steady_clock::now();
  Process process(std::move(arguments));
  const std::string text = process.output(stop);
  const int code = process.wait();
  const std::chrono::duration<double> wall = std::chrono::steady_clock::now() - begin;
  if (stop) return std::nullopt;
  RaceResult r;
  r.wall = wall.count();
  if (code == static_cast<int>(ExitCode::kDiverged)) {
    constexpr double kNever = std::numeric_limits<double>::infinity();
    r.wall = r.training = r.steps = kNever;
    r.final_return = std::numeric_limits<double>::quiet_NaN();
    r.stopped_by = "divergence";
    return r;
  }
  if (code != 0) {
    throw Error(static_cast<ExitCode>(code),
                fmt::format("the training of seed {} ended with code {}", seed, code));
  }
  const auto said = nlohmann::json::parse(text);
  r.training = said.at("time/time_elapsed");
  r.evaluation = said.at("time/evaluation");
  r.steps = said.at("time/total_timesteps");
  const auto& reward = said.at("eval/mean_reward");
  r.final_return = reward.is_number() ? reward.get<double>()  // null: it is not finite
                                      : std::numeric_limits<double>::quiet_NaN();
  r.stopped_by = said.at("stopped_by");
  return r;
}

}  // namespace pendula
