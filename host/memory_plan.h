// What a run takes of its device's memory, known before any of it is taken; and what to change
// where that is more than there is.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "host/config.h"
#include "host/device_plan.h"
#include "kernels/plan.h"

namespace pendula {

struct MemoryUse {
  std::string what;  // "replay ring"
  std::string key;   // of the config, that it grows with: "replay.capacity"
  uint64_t bytes;
};

struct MemoryPlan {
  std::vector<MemoryUse> uses;  // the largest first

  uint64_t bytes() const;
  // "16.6 MiB: replay ring 15.9, environments 0.4": what counts of it, in MiB.
  std::string text() const;
};

// On the CPU. scratch: of all workers, in bytes.
MemoryPlan host_memory_plan(const Plan& plan, uint64_t scratch);
// On a GPU, the largest evaluation included; without what CUDA itself takes.
MemoryPlan gpu_memory_plan(const Config& config, const Plan& plan, const DevicePlan& device);

// Throws Error(kMemory) where `available` bytes are not enough, with the largest uses and, for each
// key that they grow with, a value with which the run would fit. where: "", or " on the GPU".
// plan_of: what the same run would take with another config; it may throw Error.
void expect_room(const Config& config, const MemoryPlan& memory, uint64_t available,
                 const std::string& where, const std::function<MemoryPlan(const Config&)>& plan_of);

}  // namespace pendula
