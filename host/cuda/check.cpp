#include "host/cuda/check.h"

#include <atomic>
#include <cstdio>
#include <cstring>

#include "host/error.h"

namespace pendula {
namespace {

std::atomic<int> last_thrown{cudaSuccess};

const char* file_name(const char* path) {
  const char* slash = std::strrchr(path, '/');
  return slash != nullptr ? slash + 1 : path;
}

}  // namespace

void throw_cuda_error(cudaError_t error, const char* expression, const char* file, int line,
                      const std::string& values) {
  last_thrown = error;
  cudaGetLastError();  // forget it, where it can be forgotten
  const std::string where = std::string(file_name(file)) + ":" + std::to_string(line) + ": " +
                            expression + ": " + cudaGetErrorName(error) + ": " +
                            cudaGetErrorString(error) + (values.empty() ? "" : " (" + values + ")");
  if (error == cudaErrorMemoryAllocation) {
    throw Error(ExitCode::kMemory,
                "out of memory on the GPU; lower replay.capacity, env.num_envs or "
                "agents (" +
                    where + ")");
  }
  throw Error(ExitCode::kDevice, "the GPU or its driver reported an error: " + where);
}

void log_cuda_error(cudaError_t error, const char* expression) noexcept {
  if (error == cudaSuccess || error == cudaErrorCudartUnloading || error == last_thrown) return;
  std::fprintf(stderr, "pendula: %s: %s: %s\n", expression, cudaGetErrorName(error),
               cudaGetErrorString(error));
}

}  // namespace pendula
