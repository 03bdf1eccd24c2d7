#include "host/cuda/plugin.h"

#include "bench/cuda/probes.h"
#include "host/cuda/backend.h"

#define PENDULA_EXPORT extern "C" __attribute__((visibility("default")))

PENDULA_EXPORT const char* pendula_cuda_version() { return PENDULA_BUILD_ID; }

PENDULA_EXPORT void pendula_cuda_probe(pendula::CudaProbe& result) {
  int count = 0;
  const cudaError_t error = cudaGetDeviceCount(&count);
  if (error != cudaSuccess) cudaGetLastError();
  int driver = 0, runtime = 0;
  if (cudaDriverGetVersion(&driver) != cudaSuccess) driver = 0;
  if (cudaRuntimeGetVersion(&runtime) != cudaSuccess) runtime = 0;
  const auto version = [](int v) {
    return std::to_string(v / 1000) + "." + std::to_string(v % 1000 / 10);
  };
  if (error == cudaErrorInsufficientDriver && driver == 0) {
    result.sentence =
        "there is no NVIDIA driver (nvidia-smi shows whether one is loaded); install "
        "one for CUDA " +
        version(runtime) + " or newer";
  } else if (error == cudaErrorInsufficientDriver) {
    result.sentence = "the NVIDIA driver is too old: it is for CUDA " + version(driver) +
                      ", this pendula needs CUDA " + version(runtime) + "; update the driver";
  } else if (error == cudaErrorNoDevice || (error == cudaSuccess && count == 0)) {
    result.sentence = "the driver sees no NVIDIA GPU (is CUDA_VISIBLE_DEVICES set to hide it?)";
  } else if (error != cudaSuccess) {
    result.sentence = std::string("the CUDA runtime does not start: ") + cudaGetErrorName(error) +
                      ": " + cudaGetErrorString(error);
  } else {
    for (int i = 0; i < count; ++i) {
      cudaDeviceProp p;
      if (cudaGetDeviceProperties(&p, i) != cudaSuccess) {
        cudaGetLastError();
        result.devices.push_back("(cannot be asked)");
        continue;
      }
      result.devices.push_back(std::string(p.name) + ", compute capability " +
                               std::to_string(p.major) + "." + std::to_string(p.minor) + ", " +
                               std::to_string(p.totalGlobalMem >> 20) + " MiB");
    }
    result.available = true;
    result.sentence = std::to_string(count) + (count == 1 ? " GPU" : " GPUs") +
                      ", driver for CUDA " + version(driver) + ", runtime " + version(runtime);
  }
}

PENDULA_EXPORT pendula::Backend* pendula_cuda_create(const pendula::Config& config, int device) {
  return new pendula::CudaBackend(config, device);
}

PENDULA_EXPORT void pendula_cuda_plan(const pendula::Config& config, int device,
                                      pendula::DevicePlan& result) {
  result = pendula::plan_on_gpu(config, device);
}

PENDULA_EXPORT void pendula_cuda_probes(int device, bool small,
                                        std::vector<pendula::Probe>& result) {
  result = pendula::cuda_probes(device, small);
}

PENDULA_EXPORT void pendula_cuda_machine(int device, pendula::CudaMachine& result) {
  result = pendula::cuda_machine(device);
}
