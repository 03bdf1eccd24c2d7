// What the tests of the command line share: `pendula` as a child process in a directory of its own,
// and readers of what it leaves there.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

namespace pendula {

struct Output {
  int code = -1;            // exit code; 128 + signal where a signal ended the process
  std::string out;          // standard output
  std::string err;          // standard error
  size_t signals = 0;       // that were sent before it ended
  double after_signal = 0;  // seconds from the first of them to the end
};

struct Child {
  std::vector<std::string> args = {};
  std::map<std::string, std::string> environment = {};  // added to this process's
  // Signals, each sent so many seconds after the previous one. The first counts from the moment
  // when `await` stands on stderr.
  std::vector<std::pair<double, int>> signals = {};
  std::string await = ", run ";
  uint64_t file_limit = 0;       // RLIMIT_FSIZE in bytes; 0: none
  std::string out_to = {};       // a file to have as standard output, e.g. /dev/full
  bool close_out = false;        // standard output is closed
  bool err_is_terminal = false;  // standard error is a pseudo terminal of 100 columns
};

// A test in a fresh directory, which is the working directory of its children.
class CliTest : public ::testing::Test {
 protected:
  CliTest();
  ~CliTest() override;

  // Runs pendula to its end (at most 60 s).
  Output run(const Child& child) const;
  Output run(const std::vector<std::string>& args) const { return run(Child{args}); }

  // `train tiny.json` with overrides and options, which must end with code 0. Returns the run's
  // directory.
  std::filesystem::path train(const std::vector<std::string>& args) const;

  std::filesystem::path path(const std::string& name) const { return dir_ / name; }
  // The run that <parent>/latest points to.
  std::filesystem::path latest(const std::string& parent = "runs") const;

 private:
  std::filesystem::path dir_;
};

// 4,000 steps of a small pendulum run: 500 iterations of 8 environments, 1,800 updates; evaluations
// each 800 steps, checkpoints each 1,200, of which the last two stay.
extern const char* const kTinyConfig;

std::string slurp(const std::filesystem::path& file);
void spit(const std::filesystem::path& file, const std::string& text);
nlohmann::json read_json(const std::filesystem::path& file);
std::vector<nlohmann::json> read_rows(const std::filesystem::path& jsonl);

// The records of an agents.npy by column: text, unsigned integers, numbers; NaN is null.
std::vector<nlohmann::json> read_records(const std::filesystem::path& npy);

// Rows without the three columns that hold wall time.
std::vector<nlohmann::json> timeless(std::vector<nlohmann::json> rows);

// The names of the entries of a directory, sorted.
std::vector<std::string> entries(const std::filesystem::path& dir);

// The bytes of each tensor of a safetensors file, by name.
std::map<std::string, std::string> read_tensors(const std::filesystem::path& file);

// Two runs ended in the same bits: the newest checkpoints, metrics, evaluations, agents.npy and
// pbt.jsonl.
void expect_equal_runs(const std::filesystem::path& a, const std::filesystem::path& b);
void expect_equal_checkpoints(const std::filesystem::path& a, const std::filesystem::path& b);

std::filesystem::path newest_checkpoint(const std::filesystem::path& run);

}  // namespace pendula
