#include "host/device.h"

#include <fmt/format.h>

#include "host/cuda_loader.h"
#include "host/error.h"
#include "host/play.h"

namespace pendula {

std::unique_ptr<Backend> make_backend(const Config& config, int threads) {
  const std::string& d = config.device;
  if (d == "auto" && probe_cuda().available) return make_cuda_backend(config, 0);
  if (d == "auto" || d == "cpu") {
    if (config.precision == Precision::kTf32 || config.precision == Precision::kBf16) {
      throw Error(ExitCode::kUsage,
                  fmt::format("\"precision\": \"{}\" needs a GPU; this run is on the CPU, which "
                              "computes in fp32: say \"auto\" or \"fp32\"",
                              config.precision == Precision::kTf32 ? "tf32" : "bf16"));
    }
    return make_cpu_backend(config, threads);
  }
  return make_cuda_backend(config, d == "cuda" ? 0 : std::stoi(d.substr(5)));
}

}  // namespace pendula
