// One training in a process of its own, as a person runs it, timed from the process's start.
#pragma once

#include <atomic>
#include <optional>
#include <string>
#include <vector>

#include "bench/case.h"

namespace pendula {

// A `pendula train` of this binary.
struct Race {
  std::string config;                  // JSON text
  std::vector<std::string> overrides;  // "key=value" each
  std::string device, simd;            // as --device and --simd take them
  int threads = 0;                     // 0: as many as are useful
};

// What came of it. Times in seconds, steps of the environments.
struct RaceResult {
  double wall = 0.0;        // from the start of the process to its end
  double training = 0.0;    // of it, the training: without set-up, evaluations among it
  double evaluation = 0.0;  // of the training, evaluations and saving the best policy
  double steps = 0.0;
  double final_return = 0.0;  // eval/mean_reward of the final policy; NaN, and infinite times: it
                              // diverged
  std::string stopped_by;     // the key that ended it: "stop.eval_return" where it was solved
};

// Runs it with that seed, in a temporary folder that is gone afterwards. Gives nothing where `stop`
// was set before its end: the process has been told to stop, and awaited. Throws Error where the
// process cannot be started or ends with another code than 0; what it said is on stderr.
std::optional<RaceResult> run_race(const Race& race, int64_t seed, const std::atomic<bool>& stop);

}  // namespace pendula
