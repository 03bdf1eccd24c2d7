// Checks of CUDA calls: a failure is an Error with file:line, the expression and the runtime's
// words. Out of memory is ExitCode::kMemory, everything else ExitCode::kDevice.
#pragma once

#include <cuda_runtime_api.h>

#include <string>

namespace pendula {

// values: what the call was given, where the expression does not say it.
[[noreturn]] void throw_cuda_error(cudaError_t error, const char* expression, const char* file,
                                   int line, const std::string& values);

// For destructors: says on stderr what went wrong, unless the same error has been thrown already.
void log_cuda_error(cudaError_t error, const char* expression) noexcept;

inline void check_cuda(cudaError_t error, const char* expression, const char* file, int line) {
  if (error != cudaSuccess) throw_cuda_error(error, expression, file, line, "");
}

}  // namespace pendula

#define PENDULA_CUDA_CHECK(call) ::pendula::check_cuda((call), #call, __FILE__, __LINE__)
