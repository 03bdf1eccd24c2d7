// What meta.json and result.json of a run directory hold.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "host/backend.h"
#include "host/config.h"
#include "host/evaluation_log.h"

namespace pendula {

// Version, commit, compiler, flags; device, SIMD level or driver.
nlohmann::ordered_json meta_record(const DeviceInfo& device);

// How a run ended. Steps and updates are one agent's.
struct RunEnd {
  std::string reason;  // the config's key that stopped it
  uint64_t timesteps;
  uint64_t updates;
  double seconds;             // wall time of this process's training
  double evaluation_seconds;  // of it, that evaluations and saving the best policy took
};

// rows: those of the last evaluation, one per agent (RunLog::rows()); summary: over the agents.
nlohmann::ordered_json result_record(const Config& config, const RunEnd& end,
                                     const std::vector<nlohmann::ordered_json>& rows,
                                     const EvaluationSummary& summary);

}  // namespace pendula
