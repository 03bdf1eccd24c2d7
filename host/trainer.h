// A training run from its config to its result: the loop over launches, evaluations and
// checkpoints. The device does the work; this only watches, writes down and decides when to stop.
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
  // What result.json holds, even where it could not be written; null where the run did not finish.
  nlohmann::ordered_json result;
};

// Trains; with options.resume set, `config` comes from resumed_config() (host/resume.h). Throws
// Error for what keeps a run from starting; a NaN, a signal, or a last checkpoint that cannot be
// saved is an outcome with its exit code, and has been told on stderr.
TrainOutcome train(const Config& config, const TrainOptions& options);

}  // namespace pendula
