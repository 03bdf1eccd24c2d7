#include "host/narration.h"

#include <fmt/format.h>

#include <iostream>

#include "host/checkpoint.h"
#include "host/config_check.h"
#include "host/error.h"
#include "host/simd.h"

namespace pendula {
namespace {

namespace fs = std::filesystem;

const char* describe(Fault fault) {
  switch (fault) {
    case Fault::kReward:
      return "a state, an action or a reward of the rollout";
    case Fault::kCriticLoss:
      return "the critic's loss";
    case Fault::kCriticGradient:
      return "the critic's gradient";
    case Fault::kActorLoss:
      return "the actor's loss";
    case Fault::kActorGradient:
      return "the actor's gradient";
    case Fault::kNone:
      break;
  }
  return "nothing";
}

// Where the run can still be taken up. Throws nothing: what it stands behind must be told.
std::string last_checkpoint(const fs::path& run_dir) {
  try {
    const auto stored = list_checkpoints(run_dir);
    if (stored.empty()) return "This run has no checkpoint.\n";
    return fmt::format("The last good checkpoint is {}\n", stored.back().dir.string());
  } catch (const Error& error) {
    return fmt::format("Its checkpoints cannot be looked for: {}\n", error.what());
  }
}

}  // namespace

void tell_memory(const MemoryPlan& memory) {
  std::cerr << fmt::format("pendula: takes {}\n", memory.text());
}

void tell_start(const Config& config, const DeviceInfo& device, const fs::path& run_dir,
                const std::optional<fs::path>& resumed, bool exact) {
  for (const std::string& note : config_notes(config)) std::cerr << "note: " << note << '\n';
  std::cerr << fmt::format("pendula: {} {} on {} ({}), run {}\n", resumed ? "resuming" : "training",
                           config.name, device.name, device.detail, run_dir.string());
  if (!resumed || exact) return;
  std::cerr << fmt::format(
      "pendula: {} has no replay ring: the ring is filled anew for {} steps before updates go on, "
      "and the result will not equal that of an uninterrupted run\n",
      resumed->string(), config.replay.warmup_steps);
}

void tell_simd_level(const std::string& before, const DeviceInfo& device) {
  const std::string now = device.meta.value("simd_level", before);
  if (before.empty() || now == before) return;
  std::cerr << fmt::format(
      "pendula: the run was trained with {} instructions and goes on with {}{}: its result will "
      "not equal that of an uninterrupted run to the last bit\n",
      before, now, has_simd_level(before) ? "" : ", as this processor lacks them");
}

void tell_stopped(const Config& config, uint64_t timesteps, const fs::path& run_dir) {
  const bool exact = config.checkpoint.replay == ReplaySaving::kFull;
  std::cerr << fmt::format(
      "pendula: stopped and saved at step {}{}. Go on with:\n  pendula train --resume {}\n",
      timesteps, exact ? "" : " (without the replay ring: the resume will not be exact)",
      run_dir.string());
}

void tell_faults(const std::vector<FaultReport>& faults, uint64_t steps) {
  constexpr size_t kShown = 10;
  for (size_t i = 0; i < faults.size(); ++i) {
    const FaultReport& f = faults[i];
    if (i == kShown) {
      std::cerr << fmt::format("pendula: {} more agents diverged; agents.npy says which\n",
                               faults.size() - kShown);
      return;
    }
    std::cerr << fmt::format(
        "pendula: agent {} diverged and was frozen: a NaN or an Inf, first seen in {} at iteration "
        "{} (step {}), update {}\n",
        f.agent, describe(f.fault), f.iteration, f.iteration * steps, f.update);
  }
}

void tell_diverged(const fs::path& run_dir) {
  std::cerr << "pendula: the run diverged; nothing of it was saved after that. In a new run, lower "
               "the learning rates or ddpg.reward_scale, or set optimizer.max_grad_norm. "
            << last_checkpoint(run_dir);
}

void tell_unsaved(const std::string& event, const std::string& failure, const fs::path& run_dir) {
  std::cerr << fmt::format("pendula: {}, but could not be saved: {}. {}", event, failure,
                           last_checkpoint(run_dir));
}

}  // namespace pendula
