#include "host/device.h"

#include <fmt/format.h>

#include <optional>

#include "host/cpu_backend.h"
#include "host/cuda_loader.h"
#include "host/error.h"
#include "host/planning.h"
#include "host/play.h"

namespace pendula {
namespace {

// The index of the GPU that config.device names, or nothing for the CPU.
std::optional<int> gpu_of(const Config& config) {
  const std::string& d = config.device;
  if (d == "auto" && probe_cuda().available) return 0;
  if (d != "auto" && d != "cpu") return d == "cuda" ? 0 : std::stoi(d.substr(5));
  if (config.precision == Precision::kTf32 || config.precision == Precision::kBf16) {
    throw Error(ExitCode::kUsage,
                fmt::format("\"precision\": \"{}\" needs a GPU; this run is on the CPU, which "
                            "computes in fp32: say \"auto\" or \"fp32\"",
                            config.precision == Precision::kTf32 ? "tf32" : "bf16"));
  }
  return std::nullopt;
}

}  // namespace

std::unique_ptr<Backend> make_backend(const Config& config, int threads) {
  const std::optional<int> gpu = gpu_of(config);
  if (gpu) return make_cuda_backend(config, *gpu);
  return make_cpu_backend(config, threads);
}

MemoryPlan memory_of_run(const Config& config, int threads) {
  const std::optional<int> gpu = gpu_of(config);
  if (!gpu) return cpu_memory_plan(config, threads);
  const DevicePlan plan = load_cuda_plan(config, *gpu);
  const EnvironmentInfo& env = *find_environment(config.env.id);
  return gpu_memory_plan(config, make_plan(config, env, sizeof(float)).plan, plan);
}

}  // namespace pendula
