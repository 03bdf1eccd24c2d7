// How a test runs a block program on a GPU or on the simulator: see tests/runner.h for what a
// runner is.
#pragma once

#include <gtest/gtest.h>

#include <cstring>
#include <vector>

#include "host/cuda/resources.h"
#include "kernels/launch.h"

namespace pendula {

// n elements of device memory between guard bytes. Contents: all bits set, which is NaN.
template <class T>
class CudaBuffer {
 public:
  explicit CudaBuffer(size_t n)
      : n_(n),
        bytes_(padded(n * sizeof(T)) + 2 * kGuardBytes),
        memory_(make_device_memory(bytes_, "a test")) {
    std::vector<char> all(bytes_, char(kGuard));
    std::memset(all.data() + kGuardBytes, 0xff, n_ * sizeof(T));
    PENDULA_CUDA_CHECK(cudaMemcpy(memory_.get(), all.data(), bytes_, cudaMemcpyHostToDevice));
  }
  explicit CudaBuffer(const std::vector<T>& from) : CudaBuffer(from.size()) { upload(from); }
  ~CudaBuffer() { check_guards(); }
  CudaBuffer(const CudaBuffer&) = delete;
  CudaBuffer& operator=(const CudaBuffer&) = delete;

  // A device address.
  T* data() const { return reinterpret_cast<T*>(base() + kGuardBytes); }
  size_t size() const { return n_; }
  void upload(const std::vector<T>& from) {
    ASSERT_EQ(from.size(), n_);
    PENDULA_CUDA_CHECK(cudaMemcpy(data(), from.data(), n_ * sizeof(T), cudaMemcpyHostToDevice));
  }
  std::vector<T> download() const {
    check_guards();
    std::vector<T> to(n_);
    PENDULA_CUDA_CHECK(cudaMemcpy(to.data(), data(), n_ * sizeof(T), cudaMemcpyDeviceToHost));
    return to;
  }
  // Expects that nothing was written before the first element or behind the last.
  void check_guards() const {
    const size_t behind = bytes_ - kGuardBytes - n_ * sizeof(T);
    std::vector<char> guard(kGuardBytes + behind);
    const char* end = base() + kGuardBytes + n_ * sizeof(T);
    cudaError_t error = cudaMemcpy(guard.data(), base(), kGuardBytes, cudaMemcpyDeviceToHost);
    if (error == cudaSuccess) {
      error = cudaMemcpy(guard.data() + kGuardBytes, end, behind, cudaMemcpyDeviceToHost);
    }
    EXPECT_EQ(error, cudaSuccess) << cudaGetErrorString(error);
    size_t written = 0;
    for (char c : guard) written += c != char(kGuard);
    EXPECT_EQ(written, 0u) << "guard bytes overwritten around a buffer of " << n_ << " elements";
  }

 private:
  static constexpr size_t kGuardBytes = 256;  // also the alignment of the arena's tensors
  static constexpr int kGuard = 0xa5;
  static size_t padded(size_t n) { return (n + kGuardBytes - 1) / kGuardBytes * kGuardBytes; }
  char* base() const { return static_cast<char*>(memory_.get()); }

  size_t n_, bytes_;
  DeviceMemory memory_;
};

// kTf32: products on tensor cores, else fused multiply-adds.
template <bool kTf32>
struct CudaRunner {
  static constexpr const char* kName = kTf32 ? "cuda_tf32" : "cuda_fp32";
  static constexpr bool kIsCuda = true;
  // tf32: both operands are rounded to 11 significant bits, 2^-11 relative each.
  static constexpr double kGemmTolerance = kTf32 ? 1e-3 : 1e-6;
  template <class T>
  using Buffer = CudaBuffer<T>;

  // All the shared memory that a block may have, and room beyond it for two blocks at a time.
  template <class P>
  static void run(const P& program) {
    constexpr uint64_t kSpillBytes = 24u << 20;
    constexpr int kResident = 2;
    static const DeviceMemory spill = make_device_memory(kResident * kSpillBytes, "the tests");
    int shared = 0;
    PENDULA_CUDA_CHECK(cudaDeviceGetAttribute(&shared, cudaDevAttrMaxSharedMemoryPerBlockOptin, 0));
    const BlockMemory memory{static_cast<uint64_t>(shared), kSpillBytes,
                             static_cast<char*>(spill.get())};
    launch<CudaBlock<kTf32 ? Products::kTf32 : Products::kFfma>>(nullptr, program, memory,
                                                                 kResident, nullptr);
    PENDULA_CUDA_CHECK(cudaDeviceSynchronize());
  }
};

}  // namespace pendula
