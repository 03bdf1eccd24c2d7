// Which machine runs the programs.
#pragma once

#include <memory>
#include <string>

#include "host/backend.h"
#include "host/memory_plan.h"

namespace pendula {

// The backend that config.device names: "cpu", "cuda", "cuda:N", or "auto" (a GPU where there is
// one that works, else the CPU). Throws Error(kDevice) where the GPU that was asked for cannot be
// had.
std::unique_ptr<Backend> make_backend(const Config& config, int threads);

// What that backend would take of its device's memory; takes none. Throws the same.
MemoryPlan memory_of_run(const Config& config, int threads);

}  // namespace pendula
