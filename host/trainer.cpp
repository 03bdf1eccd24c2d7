#include "host/trainer.h"

#include <ctime>
#include <iostream>
#include <optional>

#include "host/checkpoint.h"
#include "host/config_check.h"
#include "host/config_io.h"
#include "host/device.h"
#include "host/narration.h"
#include "host/resume.h"
#include "host/run_directory.h"
#include "host/run_records.h"
#include "host/signals.h"
#include "host/training.h"
#include "host/training_state.h"

namespace pendula {
namespace {

// Sets the backend up for a new run.
void initialise(Backend& backend, const TrainOptions& options) {
  backend.initialise();
  if (options.init_from.empty()) return;
  const ResolvedRun from = resolve_run(options.init_from, options.parent);
  load_checkpoint(from.checkpoint, backend.tensors(), backend, is_network);
  copy_actor_to_lagged(backend);
}

}  // namespace

TrainOutcome train(const Config& config, const TrainOptions& options) {
  std::optional<ResolvedRun> from;
  std::optional<RunDirectory> run;
  if (!options.resume.empty()) {
    // Its directory first: until the lock is held, another process may replace the checkpoint.
    run.emplace(RunDirectory::open(resolve_run(options.resume, options.parent).run_dir));
    from = resolve_run(options.resume, options.parent);
    if (const auto result = finished_result(config, *from)) {
      if (!options.quiet) {
        std::cerr << "pendula: " << from->run_dir.string()
                  << " has finished; raise total_timesteps to go on with it\n";
      }
      return {ExitCode::kDone, from->run_dir, *result};
    }
  }
  const std::string simd_before = from ? recorded_simd_level(from->run_dir) : "";
  Config here = config;
  if (from) here.simd = resumed_simd(config.simd, from->run_dir);
  if (!options.quiet) tell_memory(memory_of_run(here, options.threads));
  std::unique_ptr<Backend> backend = make_backend(here, options.threads);
  // Rows are drawn with 32 random bits, evenly to 1.6 % up to 2^26 of them.
  constexpr int64_t kMaxRows = int64_t{1} << 26;
  if (ring_rows(config) > kMaxRows) {
    throw Error(ExitCode::kUsage, "replay.capacity / env.num_envs is " +
                                      std::to_string(ring_rows(config)) + " rows, more than " +
                                      std::to_string(kMaxRows) +
                                      "; lower replay.capacity or raise env.num_envs");
  }
  const DeviceInfo device = backend->device();
  if (!from) initialise(*backend, options);
  const StopSignals signals;  // from here on there is something to save
  if (!run) {
    run.emplace(RunDirectory::create(options.parent, config.name, config.seed, std::time(nullptr)));
  }
  bool exact = true;
  if (from) {  // nothing of the run is touched before its checkpoint has been found whole
    const LoadedCheckpoint loaded = load_checkpoint(from->checkpoint, backend->tensors(), *backend);
    const int64_t timesteps = loaded.info.value(kTimestepsKey, int64_t{0});
    exact = loaded.exact;
    run->rewind(timesteps);
    // The evaluation and the exploit of this step are repeated where they are due. In the middle
    // of an iteration they lie behind, and the policies have moved on.
    if (read_counters(*backend, 0).slice == 0) run->rewind_events(timesteps);
  }
  run->write_config(to_json(config));
  run->write_meta(meta_record(device));
  if (!options.quiet) {
    const auto resumed = from ? std::optional(from->checkpoint) : std::nullopt;
    tell_start(config, device, run->path(), resumed, exact);
  }
  tell_simd_level(simd_before, device);  // a warning
  return run_training(config, options, signals, std::move(*run), std::move(backend),
                      from ? std::optional(exact) : std::nullopt);
}

}  // namespace pendula
