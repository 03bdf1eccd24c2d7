// What the CUDA backend owns: memory, streams, events and graphs that free themselves. Move-only;
// the current device is the caller's business. Destructors log, constructors throw Error.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>
#include <string>
#include <utility>

#include "host/cuda/check.h"
#include "host/error.h"

namespace pendula {

// A handle of the runtime that `release` gives back.
template <class Handle, cudaError_t (*release)(Handle)>
class CudaHandle {
 public:
  CudaHandle() = default;
  explicit CudaHandle(Handle h) : handle_(h) {}
  CudaHandle(CudaHandle&& other) noexcept : handle_(std::exchange(other.handle_, Handle{})) {}
  CudaHandle& operator=(CudaHandle&& other) noexcept {
    std::swap(handle_, other.handle_);
    return *this;
  }
  ~CudaHandle() {
    if (handle_ != Handle{}) log_cuda_error(release(handle_), "releasing a CUDA resource");
  }
  Handle get() const { return handle_; }

 private:
  Handle handle_{};
};

using CudaStream = CudaHandle<cudaStream_t, cudaStreamDestroy>;
using CudaEvent = CudaHandle<cudaEvent_t, cudaEventDestroy>;
using CudaGraph = CudaHandle<cudaGraph_t, cudaGraphDestroy>;
using CudaGraphExec = CudaHandle<cudaGraphExec_t, cudaGraphExecDestroy>;
using DeviceMemory = CudaHandle<void*, cudaFree>;
using PinnedMemory = CudaHandle<void*, cudaFreeHost>;

// first: what is on it runs before what is on other streams, where there is not room for both.
inline CudaStream make_stream(bool first = false) {
  int least = 0, greatest = 0;
  PENDULA_CUDA_CHECK(cudaDeviceGetStreamPriorityRange(&least, &greatest));
  cudaStream_t s = nullptr;
  PENDULA_CUDA_CHECK(
      cudaStreamCreateWithPriority(&s, cudaStreamNonBlocking, first ? greatest : least));
  return CudaStream(s);
}

// flags: of cudaEventCreateWithFlags; cudaEventDefault for an event that takes the time.
inline CudaEvent make_event(unsigned flags = cudaEventDisableTiming) {
  cudaEvent_t e = nullptr;
  PENDULA_CUDA_CHECK(cudaEventCreateWithFlags(&e, flags));
  return CudaEvent(e);
}

// Between two events that have happened, on the device's clock.
inline double seconds_between(const CudaEvent& begin, const CudaEvent& end) {
  float milliseconds = 0.0f;
  PENDULA_CUDA_CHECK(cudaEventElapsedTime(&milliseconds, begin.get(), end.get()));
  return static_cast<double>(milliseconds) * 1e-3;
}

// Bytes as MiB, rounded up.
inline std::string mebibytes(uint64_t bytes) { return std::to_string((bytes + 0xfffff) >> 20); }

inline constexpr const char* kSmallerRun = "lower replay.capacity, env.num_envs or agents";

// what, advice: for the sentence on running out of it ("the training state").
inline DeviceMemory make_device_memory(uint64_t bytes, const std::string& what,
                                       const std::string& advice = kSmallerRun) {
  void* p = nullptr;
  const cudaError_t error = cudaMalloc(&p, bytes);
  if (error == cudaErrorMemoryAllocation) {
    cudaGetLastError();
    size_t free = 0, total = 0;
    PENDULA_CUDA_CHECK(cudaMemGetInfo(&free, &total));
    throw Error(ExitCode::kMemory, "out of memory on the GPU: " + what + " needs " +
                                       mebibytes(bytes) + " MiB, " + mebibytes(free) + " MiB of " +
                                       mebibytes(total) + " MiB are free; " + advice);
  }
  PENDULA_CUDA_CHECK(error);
  return DeviceMemory(p);
}

// flags: of cudaHostAlloc.
inline PinnedMemory make_pinned_memory(uint64_t bytes, unsigned flags) {
  void* p = nullptr;
  const cudaError_t error = cudaHostAlloc(&p, bytes, flags);
  if (error == cudaErrorMemoryAllocation) {
    cudaGetLastError();
    throw Error(ExitCode::kMemory, "out of pinned host memory: " + mebibytes(bytes) +
                                       " MiB could not be had; lower agents, or free memory");
  }
  PENDULA_CUDA_CHECK(error);
  return PinnedMemory(p);
}

}  // namespace pendula
