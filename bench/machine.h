// The machine block: where and with what the rows were measured. A number without it is no result.
#pragma once

#include <nlohmann/json.hpp>

#include "bench/suites.h"

namespace pendula {

// CPU, clocks, compiler, flags, commit, date, load, OpenBLAS; for CUDA the GPU, its driver and
// clocks. What this machine does not say reads "not measured". Keys that end with "_after" are
// filled in by finish_machine_block. Throws Error(kDevice) where the target's GPU cannot be had.
nlohmann::ordered_json machine_block(const Target& target);

// The clocks after the measurement.
void finish_machine_block(const Target& target, nlohmann::ordered_json& block);

}  // namespace pendula
