// The loop of a training run over launches, evaluations, exploits and checkpoints: what train()
// (host/trainer.h) does once a run directory and a backend are there.
#pragma once

#include <memory>
#include <optional>

#include "host/backend.h"
#include "host/config.h"
#include "host/run_directory.h"
#include "host/signals.h"
#include "host/trainer.h"

namespace pendula {

// Trains until the config, a signal or divergence ends it. backend: at the run's first iteration or
// with its checkpoint; resumed: nothing of a new run, else whether the checkpoint had the replay
// ring. Failures are outcomes, as train() says.
TrainOutcome run_training(const Config& config, const TrainOptions& options,
                          const StopSignals& signals, RunDirectory run,
                          std::unique_ptr<Backend> backend, std::optional<bool> resumed);

}  // namespace pendula
