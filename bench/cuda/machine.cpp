// The GPU for the head of a report. Clocks and the driver's version come from NVML, which is part
// of the driver and opened at run time; where it is missing they read "not measured".
#include <dlfcn.h>

#include "bench/cuda/probes.h"
#include "host/cuda/check.h"

namespace pendula {
namespace {

constexpr const char* kNotMeasured = "not measured";

// What is used of NVML (nvml.h), all of it since NVML 5.
class Nvml {
 public:
  using Device = void*;
  static constexpr int kSuccess = 0;
  enum Clock { kSm = 1, kMemory = 2 };  // nvmlClockType_t

  Nvml() {
    library_ = dlopen("libnvidia-ml.so.1", RTLD_NOW | RTLD_LOCAL);
    if (library_ == nullptr) return;
    find("nvmlInit_v2", init_);
    find("nvmlShutdown", shutdown_);
    find("nvmlSystemGetDriverVersion", driver_version_);
    find("nvmlDeviceGetHandleByPciBusId_v2", device_);
    find("nvmlDeviceGetClockInfo", clock_);
    find("nvmlDeviceGetMaxClockInfo", max_clock_);
    ready_ = complete_ && init_() == kSuccess;
  }
  ~Nvml() {
    if (ready_) shutdown_();
    if (library_ != nullptr) dlclose(library_);
  }
  Nvml(const Nvml&) = delete;
  Nvml& operator=(const Nvml&) = delete;

  std::string driver_version() const {
    char text[96] = "";  // NVML_SYSTEM_DRIVER_VERSION_BUFFER_SIZE is 80
    return ready_ && driver_version_(text, sizeof text) == kSuccess ? text : kNotMeasured;
  }
  Device device(const char* pci_bus_id) const {
    Device d = nullptr;
    return ready_ && device_(pci_bus_id, &d) == kSuccess ? d : nullptr;
  }
  // MHz
  std::string clock(Device d, Clock type) const { return ask(clock_, d, type); }
  std::string max_clock(Device d, Clock type) const { return ask(max_clock_, d, type); }

 private:
  using ClockInfo = int (*)(Device, int, unsigned*);

  template <class Function>
  void find(const char* name, Function& function) {
    function = reinterpret_cast<Function>(dlsym(library_, name));
    complete_ = complete_ && function != nullptr;
  }
  static std::string ask(ClockInfo function, Device d, Clock type) {
    unsigned mhz = 0;
    return d != nullptr && function(d, type, &mhz) == kSuccess ? std::to_string(mhz) : kNotMeasured;
  }

  void* library_ = nullptr;
  bool complete_ = true, ready_ = false;
  int (*init_)() = nullptr;
  int (*shutdown_)() = nullptr;
  int (*driver_version_)(char*, unsigned) = nullptr;
  int (*device_)(const char*, Device*) = nullptr;
  ClockInfo clock_ = nullptr, max_clock_ = nullptr;
};

std::string cuda_version(int v) {  // 13020 is 13.2
  return std::to_string(v / 1000) + "." + std::to_string(v % 1000 / 10);
}

}  // namespace

std::vector<std::pair<std::string, std::string>> cuda_machine(int device) {
  cudaDeviceProp p;
  int driver = 0, runtime = 0;
  char bus[32] = "";
  PENDULA_CUDA_CHECK(cudaGetDeviceProperties(&p, device));
  PENDULA_CUDA_CHECK(cudaDriverGetVersion(&driver));
  PENDULA_CUDA_CHECK(cudaRuntimeGetVersion(&runtime));
  PENDULA_CUDA_CHECK(cudaDeviceGetPCIBusId(bus, sizeof bus, device));
  const Nvml nvml;
  const Nvml::Device d = nvml.device(bus);
  return {{"name", p.name},
          {"compute_capability", std::to_string(p.major) + "." + std::to_string(p.minor)},
          {"multiprocessors", std::to_string(p.multiProcessorCount)},
          {"memory_mib", std::to_string(p.totalGlobalMem >> 20)},
          {"l2_mib", std::to_string(p.l2CacheSize >> 20)},
          {"driver", nvml.driver_version()},
          {"driver_cuda", cuda_version(driver)},
          {"runtime_cuda", cuda_version(runtime)},
          {"sm_clock_mhz", nvml.clock(d, Nvml::kSm)},
          {"sm_clock_max_mhz", nvml.max_clock(d, Nvml::kSm)},
          {"memory_clock_mhz", nvml.clock(d, Nvml::kMemory)}};
}

}  // namespace pendula
