#include "bench/machine.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <ctime>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "bench/openblas.h"
#include "host/cuda_loader.h"
#include "host/version.h"
#include "kernels/platform.h"

namespace pendula {
namespace {

using nlohmann::ordered_json;

constexpr const char* kNotMeasured = "not measured";

// The values of the lines "<name> : <value>" of /proc/cpuinfo.
std::vector<std::string> cpuinfo(const std::string& name) {
  std::ifstream file("/proc/cpuinfo");
  std::vector<std::string> values;
  for (std::string line; std::getline(file, line);) {
    const size_t colon = line.find(':');
    if (colon == std::string::npos || line.compare(0, name.size(), name) != 0) continue;
    if (line.find_first_not_of(" \t", name.size()) != colon) continue;  // a longer name
    values.push_back(line.substr(std::min(line.size(), colon + 2)));
  }
  return values;
}

std::string first_line(const std::string& file) {
  std::ifstream in(file);
  std::string line;
  std::getline(in, line);
  return line;
}

// Of the fastest core, MHz: cpufreq's figure where there is one (kHz), else the kernel's estimate.
ordered_json cpu_clock() {
  double fastest = 0.0;
  const unsigned cores = std::max(1u, std::thread::hardware_concurrency());
  for (unsigned i = 0; i < cores; ++i) {
    const std::string khz =
        first_line(fmt::format("/sys/devices/system/cpu/cpu{}/cpufreq/scaling_cur_freq", i));
    if (!khz.empty()) fastest = std::max(fastest, std::strtod(khz.c_str(), nullptr) / 1000.0);
  }
  if (fastest > 0.0) return fastest;
  for (const std::string& mhz : cpuinfo("cpu MHz")) {
    fastest = std::max(fastest, std::strtod(mhz.c_str(), nullptr));
  }
  return fastest > 0.0 ? ordered_json(fastest) : ordered_json(kNotMeasured);
}

// One of the GPU's figures, by its name in bench/cuda/probes.h.
ordered_json gpu_value(const Target& target, const std::string& name) {
  for (const auto& [key, value] : load_cuda_machine(target.device)) {
    if (key == name) return value;
  }
  return kNotMeasured;
}

std::string or_not_measured(const std::string& text) { return text.empty() ? kNotMeasured : text; }

}  // namespace

ordered_json machine_block(const Target& target) {
  const VersionInfo& v = version_info();
  const OpenBlas& blas = OpenBlas::instance();
  const std::vector<std::string> names = cpuinfo("model name");
  const std::string load = first_line("/proc/loadavg");
  ordered_json b;
  b["cpu"] = names.empty() ? kNotMeasured : names.front();
  b["cores"] = std::thread::hardware_concurrency();
  b["simd_level"] = kSimdLevel;
  b["cpu_mhz_before"] = cpu_clock();
  b["cpu_mhz_after"] = nullptr;
  b["scaling_governor"] =
      or_not_measured(first_line("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"));
  b["load_average"] = or_not_measured(load.substr(0, load.find(' ')));
  if (target.backend == "cuda") {
    for (const auto& [key, value] : load_cuda_machine(target.device)) {
      b[key == "name" ? "gpu" : key == "sm_clock_mhz" ? "sm_clock_mhz_before" : key] = value;
    }
    b["sm_clock_mhz_after"] = nullptr;
  }
  b["openblas"] = blas.problem().empty() ? fmt::format("{} ({})", blas.version(), blas.core())
                                         : fmt::format("{}: {}", kNotMeasured, blas.problem());
  b["version"] = v.version;
  b["commit"] = v.commit;
  b["compiler"] = v.compiler;
  b["flags"] = v.flags;
  b["date"] = fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::time(nullptr)));
  return b;
}

void finish_machine_block(const Target& target, ordered_json& block) {
  block["cpu_mhz_after"] = cpu_clock();
  if (target.backend == "cuda") block["sm_clock_mhz_after"] = gpu_value(target, "sm_clock_mhz");
}

}  // namespace pendula
