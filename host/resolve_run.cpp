// What RUN on the command line means (see run_directory.h).
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <vector>

#include "host/checkpoint.h"
#include "host/error.h"
#include "host/files.h"
#include "host/run_directory.h"

namespace pendula {
namespace {

namespace fs = std::filesystem;

bool is_run(const fs::path& dir) { return path_exists(dir / "config.json"); }

// "@best, @10000, @20000": what can stand behind the run's name.
std::string what_there_is(const fs::path& run_dir) {
  std::vector<std::string> names;
  if (is_checkpoint(run_dir / "best")) names.push_back("@best");
  for (const StoredCheckpoint& stored : list_checkpoints(run_dir)) {
    names.push_back(fmt::format("@{}", stored.step));
  }
  if (names.empty()) return "it has no checkpoint yet, wait for the first or train again";
  return fmt::format("there are {}", fmt::join(names, ", "));
}

// Up to a few run directories below `dir`, newest first, to choose from.
std::string runs_below(const fs::path& dir) {
  std::vector<std::string> runs;
  std::error_code error;
  for (fs::directory_iterator it(dir, error), end; !error && it != end; it.increment(error)) {
    std::error_code ignored;
    if (fs::exists(it->path() / "config.json", ignored)) runs.push_back(it->path().string());
  }
  if (runs.empty()) return "name a directory that pendula train made, or latest";
  std::sort(runs.rbegin(), runs.rend());
  if (runs.size() > 5) runs.resize(5);
  return fmt::format("it holds runs, name one: {}", fmt::join(runs, ", "));
}

[[noreturn]] void fail(const std::string& run, const std::string& why) {
  throw Error(ExitCode::kFiles, fmt::format("cannot find the run {}: {}", run, why));
}

fs::path without_slash(const fs::path& path) {
  const fs::path normal = path.lexically_normal();
  return normal.has_filename() ? normal : normal.parent_path();
}

fs::path find_latest(const std::string& run, const fs::path& parent) {
  const fs::path link = parent / "latest";
  std::error_code error;
  const fs::path target = fs::read_symlink(link, error);
  if (error) {
    fail(run, fmt::format("there is no {}; train first, or name the parent directory of the runs "
                          "with --run-dir",
                          link.string()));
  }
  const fs::path run_dir = (parent / target).lexically_normal();  // an absolute target stays itself
  if (!is_run(run_dir)) {
    fail(run, fmt::format("{} points to {}, which is no run directory (removed, or killed at its "
                          "start); name a run by its directory",
                          link.string(), run_dir.string()));
  }
  return run_dir;
}

ResolvedRun find_checkpoint(const std::string& run, const fs::path& run_dir,
                            const std::string& which) {
  if (which.empty()) {
    const std::vector<StoredCheckpoint> stored = list_checkpoints(run_dir);
    if (!stored.empty()) return {run_dir, stored.back().dir};
    fail(run, fmt::format("{} has no checkpoint yet; wait for the first, or train again",
                          run_dir.string()));
  }
  if (which == "best") {
    if (is_checkpoint(run_dir / "best")) return {run_dir, run_dir / "best"};
    fail(run, "it has no best checkpoint; " + what_there_is(run_dir));
  }
  int64_t step = 0;
  const auto [last, error] = std::from_chars(which.data(), which.data() + which.size(), step);
  if (error != std::errc() || last != which.data() + which.size()) {
    fail(run, fmt::format("\"@{}\" is neither @best nor @STEP; {}", which, what_there_is(run_dir)));
  }
  for (const StoredCheckpoint& stored : list_checkpoints(run_dir)) {
    if (stored.step == step) return {run_dir, stored.dir};
  }
  fail(run, fmt::format("it has no checkpoint of step {}; {}", step, what_there_is(run_dir)));
}

}  // namespace

ResolvedRun resolve_run(const std::string& run, const fs::path& parent) {
  std::string name = run, which;
  // A directory may have an '@' in its own name.
  if (const size_t at = run.rfind('@'); at != std::string::npos && !path_exists(run)) {
    name = run.substr(0, at);
    which = run.substr(at + 1);
    if (which.empty()) fail(run, "nothing stands behind the @; write @best or @STEP");
  }
  if (name == "latest") return find_checkpoint(run, find_latest(run, parent), which);
  if (name.empty()) fail(run, "name a run directory or latest");

  const fs::path dir = without_slash(name);
  if (is_run(dir)) return find_checkpoint(run, dir, which);
  if (which.empty() && is_checkpoint(dir)) {
    const fs::path above = dir.parent_path();
    return {above.filename() == "checkpoints" ? above.parent_path() : above, dir};
  }
  if (!path_exists(dir)) fail(run, "there is no such directory; check the path, or use latest");
  fail(run, fmt::format("{} has no config.json; {}", dir.string(), runs_below(dir)));
}

}  // namespace pendula
