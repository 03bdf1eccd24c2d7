// How a test runs a block program on the CPU. A runner is a type with
//
//   Buffer<T>       n elements where the programs run, between guard words: upload, download, data
//   run(program)    a struct with grid() and operator()(B&), on every block of the grid
//   kName, kIsCuda
//   kGemmTolerance  error of a product of matrices, relative to the sum of |a b|
//
// Test bodies (tests/kernels/*_tests.h) are typed tests over runners: CpuRunner and ShuffleRunner
// here, CUDA's in tests/runner_cuda.h.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <vector>

#include "kernels/block_cpu.h"
#include "tests/block_shuffle.h"

namespace pendula {

template <class T>
class CpuBuffer {
 public:
  // Contents: all bits set, which is NaN.
  explicit CpuBuffer(size_t n) : n_(n), bytes_(padded(n * sizeof(T)) + 2 * kGuardBytes) {
    memory_ = static_cast<char*>(std::aligned_alloc(kGuardBytes, bytes_));
    std::memset(memory_, kGuard, bytes_);
    std::memset(memory_ + kGuardBytes, 0xff, n_ * sizeof(T));
  }
  explicit CpuBuffer(const std::vector<T>& from) : CpuBuffer(from.size()) { upload(from); }
  ~CpuBuffer() {
    check_guards();
    std::free(memory_);
  }
  CpuBuffer(const CpuBuffer&) = delete;
  CpuBuffer& operator=(const CpuBuffer&) = delete;

  T* data() const { return reinterpret_cast<T*>(memory_ + kGuardBytes); }
  size_t size() const { return n_; }
  void upload(const std::vector<T>& from) {
    ASSERT_EQ(from.size(), n_);
    if (n_ != 0) std::memcpy(static_cast<void*>(data()), from.data(), n_ * sizeof(T));
  }
  std::vector<T> download() const {
    check_guards();
    return std::vector<T>(data(), data() + n_);
  }
  // Expects that nothing was written before the first element or behind the last.
  void check_guards() const {
    const char* behind = memory_ + kGuardBytes + n_ * sizeof(T);
    size_t written = 0;
    for (const char* p = memory_; p < memory_ + kGuardBytes; ++p) written += *p != char(kGuard);
    for (const char* p = behind; p < memory_ + bytes_; ++p) written += *p != char(kGuard);
    EXPECT_EQ(written, 0u) << "guard bytes overwritten around a buffer of " << n_ << " elements";
  }

 private:
  static constexpr size_t kGuardBytes = 256;  // also the alignment of the arena's tensors
  static constexpr int kGuard = 0xa5;
  static size_t padded(size_t n) { return (n + kGuardBytes - 1) / kGuardBytes * kGuardBytes; }

  size_t n_, bytes_;
  char* memory_;
};

struct CpuRunner {
  static constexpr const char* kName = "cpu";
  static constexpr bool kIsCuda = false;
  static constexpr double kGemmTolerance = 1e-6;  // float sums in order, of terms of either sign
  template <class T>
  using Buffer = CpuBuffer<T>;

  template <class P>
  static void run(const P& program) {
    static CpuBuffer<char> scratch(size_t{24} << 20);
    for (int i = 0; i < program.grid(); ++i) {
      CpuBlock block(i, {scratch.data(), scratch.size()});
      program(block);
    }
  }
};

struct ShuffleRunner {
  static constexpr const char* kName = "shuffle";
  static constexpr bool kIsCuda = false;
  static constexpr double kGemmTolerance = 1e-6;
  template <class T>
  using Buffer = CpuBuffer<T>;

  template <class P>
  static void run(const P& program) {
    static ShuffleMachine machine(1);
    machine.run(program);
  }
};

}  // namespace pendula
