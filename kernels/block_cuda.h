// The block of the CUDA backend: kThreads threads that share the work of each primitive. The same
// interface as CpuBlock (kernels/block_cpu.h); every thread of the block makes the same calls.
#pragma once

#include "kernels/block_memory.h"
#include "kernels/gemm_cuda.h"

namespace PENDULA_PROGRAMS {

// The dynamic shared memory of this block.
PENDULA_FN char* shared_memory() {
#if PENDULA_DEVICE
  extern __shared__ __align__(128) char memory[];
  return memory;
#else
  return nullptr;
#endif
}

// What b.gemm computes with; gemm_fp32 is always kFfma.
enum class Products { kFfma, kTf32 };

template <Products kProducts>
class CudaBlock {
 public:
  static constexpr int kLd = kCudaLd;

  // place: which part of the spill area this block owns. resident: networks that lie in front of
  // what shared() hands out, resident_bytes of them.
  PENDULA_FN CudaBlock(int index, int place, const BlockMemory& memory, Resident resident = {},
                       uint32_t resident_bytes = 0)
      : index_(index),
        memory_(memory),
        spill_(memory.spill + static_cast<uint64_t>(place) * memory.spill_bytes),
        resident_(resident),
        resident_bytes_(resident_bytes) {}

  PENDULA_FN int index() const { return index_; }
  PENDULA_FN Resident resident() const { return resident_; }

  template <class F>
  PENDULA_FN void for_each(int n, F f) const {
    for (int i = thread(); i < n; i += kThreads) f(i);
  }

  template <class T, class F>
  PENDULA_FN void for_lanes(int n, F f) const {
    for (int i = thread(); i < n; i += kThreads) f(i, T());
  }

  // The rows that products run over for `rows` live ones of a tile: always whole tiles.
  template <class T>
  PENDULA_FN int padded(int) const {
    return kRows;
  }

  PENDULA_FN void sync() const {
#if PENDULA_DEVICE
    __syncthreads();
#endif
  }

  // n elements, not initialised, aligned to 64 bytes; shared memory, then the spill part.
  template <class T>
  PENDULA_FN T* shared(int n) {
    const uint64_t bytes = BlockBump::padded(static_cast<uint64_t>(n) * sizeof(T));
    uint64_t offset = 0;
    const bool fits = bump_.take(bytes, memory_.shared_bytes, offset);
    char* base = fits ? shared_memory() + resident_bytes_ : spill_;
    if (!fits && offset + bytes > memory_.spill_bytes) fail();
    return reinterpret_cast<T*>(base + offset);
  }

  // Every warp computes the same sum, lane j the strided sum j, so that no thread waits for a
  // result; the barrier lets the caller overwrite what f reads.
  template <class T, class F>
  PENDULA_FN T reduce(int n, F f) const {
    T sum = T(0);
    for (int i = thread() % 32; i < n; i += 32) sum += f(i);
#if PENDULA_DEVICE
    for (int d = 16; d > 0; d /= 2) sum += __shfl_xor_sync(0xffffffffu, sum, d);
#endif
    sync();
    return sum;
  }

  template <class T, class E>
  PENDULA_FN void gemm(int M, int N, int K, Matrix<T> A, Matrix<T> B, E epilogue) const {
    if constexpr (kProducts == Products::kTf32 && sizeof(T) == sizeof(float)) {
      gemm_tf32(thread(), M, N, K, A, B, epilogue);
    } else {
      gemm_ffma<T>(thread(), M, N, K, A, B, epilogue);
    }
  }
  template <class T, class E>
  PENDULA_FN void gemm_fp32(int M, int N, int K, Matrix<T> A, Matrix<T> B, E epilogue) const {
    gemm_ffma<T>(thread(), M, N, K, A, B, epilogue);
  }

  static PENDULA_FN void or_into(uint32_t* word, uint32_t bits) {
#if PENDULA_DEVICE
    atomicOr(word, bits);
#endif
  }

  // The host page is mapped memory: what was written before a store must be visible to the host
  // before the stored value is.
  template <class T>
  static PENDULA_FN T load_shared(const T* p) {
    return *static_cast<const volatile T*>(p);
  }
  template <class T>
  static PENDULA_FN void store_shared(T* p, T x) {
#if PENDULA_DEVICE
    __threadfence_system();
#endif
    *static_cast<volatile T*>(p) = x;
  }

 private:
  static PENDULA_FN int thread() { return thread_index(); }
  // The host measured less than the program takes: a bug, and the launch ends with an error.
  static PENDULA_FN void fail() {
#if PENDULA_DEVICE
    __trap();
#endif
  }

  int index_;
  BlockMemory memory_;
  char* spill_;
  Resident resident_;
  uint32_t resident_bytes_;
  BlockBump bump_;
};

}  // namespace PENDULA_PROGRAMS
