// A training run from its config to its result: the loop over launches, evaluations and checkpoints.
// The device does the work; this only watches, writes down and decides when to stop.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "host/config.h"
#include "host/error.h"

namespace pendula {

struct TrainOptions {
  std::filesystem::path parent = "runs";  // of the run directory
  std::string resume;                     // RUN to go on with, or empty
  std::string init_from;                  // RUN whose networks start the new run, or empty
  int threads = 0;                        // CPU backend: 0 means as many as are useful
  bool quiet = false;
};

struct TrainOutcome {
  ExitCode code = ExitCode::kDone;
  std::filesystem::path run_dir;
  nlohmann::ordered_json result;  // what result.json holds; null where the run did not finish
};

// The config to resume `run_dir` with: its own, with the overrides; config_file, if not empty, must
// agree with it. Only how long to train, where, and what to watch and keep may differ: anything else
// throws Error(kUsage), because the result would be neither experiment's.
Config resumed_config(const std::filesystem::path& run_dir, const std::string& config_file,
                      const std::vector<std::string>& overrides);

// Trains; with options.resume set, `config` comes from resumed_config(). Throws Error for what keeps
// a run from starting or its end from being saved; a NaN or a signal is an outcome with its exit code.
TrainOutcome train(const Config& config, const TrainOptions& options);

}  // namespace pendula
