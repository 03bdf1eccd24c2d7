// Where a run lives:
//
//   <parent>/<name>/<YYYY-MM-DD_HH-MM-SS>_s<seed>/     _2, _3, ... when the name is taken
//     config.json  meta.json                           what was run, and on what
//     metrics.jsonl  eval.jsonl                        a row per report and per evaluation
//     agents.npy                                       the same of each agent, see agent_records.h
//     pbt.jsonl                                        a row per agent that copied another
//     checkpoints/step_<12 digits>/  best/             see checkpoint.h
//     result.json                                      written last: the sign that the run finished
//     .lock                                            held by the process that writes here
//   <parent>/latest -> <name>/<the newest run>
//
// Functions throw Error(kFiles) where a file cannot be read or written.
#pragma once

#include <cstdint>
#include <ctime>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

namespace pendula {

// What RUN on the command line means.
struct ResolvedRun {
  std::filesystem::path run_dir;
  std::filesystem::path checkpoint;  // a directory that load_checkpoint() takes
};

// `run` is a run directory or "latest" (of `parent`), the newest checkpoint unless followed by
// "@best" or "@STEP"; or a checkpoint's own directory. Throws Error(kFiles) that lists what there
// is instead.
ResolvedRun resolve_run(const std::string& run, const std::filesystem::path& parent);

// A run directory that this process may write to: it holds the lock until it is destroyed.
class RunDirectory {
 public:
  // Makes a new one, named by local time `now`, and points <parent>/latest to it (a warning where
  // the filesystem has no links). Throws Error(kUsage) for a name that cannot be a directory's.
  static RunDirectory create(const std::filesystem::path& parent, const std::string& name,
                             uint64_t seed, std::time_t now);

  // An existing one, to resume. Throws where another process holds its lock. Clears up what a
  // killed process left half done.
  static RunDirectory open(const std::filesystem::path& run_dir);

  RunDirectory(RunDirectory&& other) noexcept;
  RunDirectory& operator=(RunDirectory&&) = delete;
  ~RunDirectory();

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path metrics() const { return path_ / "metrics.jsonl"; }
  std::filesystem::path evaluations() const { return path_ / "eval.jsonl"; }
  std::filesystem::path agents() const { return path_ / "agents.npy"; }
  std::filesystem::path exploits() const { return path_ / "pbt.jsonl"; }
  std::filesystem::path best() const { return path_ / "best"; }
  std::filesystem::path checkpoint(int64_t step) const;

  // Each replaces its file atomically. `result` is what ends a run: call it last.
  void write_config(const nlohmann::ordered_json& config) const;
  void write_meta(const nlohmann::ordered_json& meta) const;
  void write_result(const nlohmann::ordered_json& result) const;

  // Before resuming from the checkpoint of `timesteps` environment steps: removes result.json,
  // newer checkpoints, a newer best/, and the rows and records of metrics.jsonl, eval.jsonl,
  // agents.npy and pbt.jsonl beyond it. A kill in the middle is healed by calling it again. Open
  // these files for writing only afterwards.
  void rewind(int64_t timesteps) const;
  // Takes back the evaluations and the exploits of `timesteps` too: what a run does once it stands
  // there.
  void rewind_events(int64_t timesteps) const;

 private:
  RunDirectory(std::filesystem::path path, int lock_fd)
      : path_(std::move(path)), lock_fd_(lock_fd) {}
  std::filesystem::path path_;
  int lock_fd_;  // -1 where the filesystem has no locks
};

// Keeps the rows of a .jsonl file with "time/total_timesteps" <= `timesteps`, atomically. Rows that
// are not JSON (a torn last line of a killed process) go too. No error where there is no file.
void cut_rows(const std::filesystem::path& file, int64_t timesteps);

}  // namespace pendula
