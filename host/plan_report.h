// What `pendula doctor --plan` tells: how a run of a config would be laid out on a GPU and on the
// CPU, its work and its memory, before it runs.
#pragma once

#include <nlohmann/json.hpp>
#include <ostream>
#include <string>

#include "host/config.h"
#include "host/cuda_loader.h"

namespace pendula {

// The keys of "plan" in `pendula doctor --json`; bytes, and FLOP of products. The GPU is the one
// that config.device names where one works, else an assumed H200. Throws Error(kUsage) for a config
// that no plan can hold or whose "plan" that GPU cannot have, Error(kDevice) where there is no GPU
// of its index.
nlohmann::ordered_json plan_report(const Config& config, const CudaProbe& cuda);

// The same as a few lines.
void print_plan_report(const nlohmann::ordered_json& report, const std::string& config_file,
                       std::ostream& out);

}  // namespace pendula
