// What must hold before a run goes on: its config may hardly change, and steps must be left.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "host/config.h"
#include "host/run_directory.h"

namespace pendula {

// The config to resume `run_dir` with: its own, with the overrides; config_file, if not empty, must
// agree with it. Only how long to train, where, and what to watch and keep may differ: anything
// else throws Error(kUsage), because the result would be neither experiment's.
Config resumed_config(const std::filesystem::path& run_dir, const std::string& config_file,
                      const std::vector<std::string>& overrides);

// The level of instructions (host/simd.h) that run_dir was last trained with, as its meta.json
// says;
// "" where it was trained on a GPU, or does not say.
std::string recorded_simd_level(const std::filesystem::path& run_dir);

// What `simd` of the config of run_dir means here: "auto" is the run's recorded level where this
// processor has it, so that its bits repeat; everything else is as it was.
std::string resumed_simd(const std::string& simd, const std::filesystem::path& run_dir);

// The same for a policy that is only looked at: a level that this processor lacks is "auto" too.
std::string viewed_simd(const std::string& simd, const std::filesystem::path& run_dir);

// The result of a run that has nothing left to do: finished, and at `config`'s total_timesteps.
// Nothing where steps or the result are missing. Throws Error(kUsage) for a checkpoint beyond them.
std::optional<nlohmann::ordered_json> finished_result(const Config& config, const ResolvedRun& run);

}  // namespace pendula
