// `pendula sweep`, with the arguments already parsed: trains the agents of a config whose keys
// differ between them in one run, and ranks them.
#pragma once

#include <ostream>

#include "host/config.h"
#include "host/trainer.h"

namespace pendula {

struct SweepOptions {
  TrainOptions train;
  int64_t top = 10;   // rows of each table
  bool json = false;  // sweep.json instead of the tables
};

// Trains `config` as train() does and ends with two tables on `out`: the best agents by final
// return and by area under the curve of evaluations. Writes sweep.json (all agents) and best.json
// (the config of the best by final return) into the run directory; of a run that has finished it
// does only that. Returns the exit code; throws Error, with kUsage for a config of which nothing
// but the seeds differs.
int run_sweep(const Config& config, const SweepOptions& options, std::ostream& out);

}  // namespace pendula
