// What a training run says on stderr besides its progress: one function per event.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "host/backend.h"
#include "host/config.h"
#include "host/memory_plan.h"

namespace pendula {

// Before it is taken.
void tell_memory(const MemoryPlan& memory);

// resumed: the checkpoint that the run goes on from; exact: with its replay ring.
void tell_start(const Config& config, const DeviceInfo& device,
                const std::filesystem::path& run_dir,
                const std::optional<std::filesystem::path>& resumed, bool exact);

// before: the level of instructions that a resumed run had on the CPU, or "". Says so where it is
// another one now.
void tell_simd_level(const std::string& before, const DeviceInfo& device);

void tell_stopped(const Config& config, uint64_t timesteps, const std::filesystem::path& run_dir);

// Agents that diverged since it was last called, the first ten each by its own sentence. steps:
// environment steps of an iteration.
void tell_faults(const std::vector<FaultReport>& faults, uint64_t steps);

void tell_diverged(const std::filesystem::path& run_dir);

// event: "the run came to its end"; failure: a sentence of an Error.
void tell_unsaved(const std::string& event, const std::string& failure,
                  const std::filesystem::path& run_dir);

}  // namespace pendula
