// The block of the CPU backend: one worker of the pool runs a whole block alone, so that barriers
// are nothing and loops run over everything. Vectors are explicit (Lanes).
#pragma once

#include <cstddef>
#include <stdexcept>

#include "kernels/gemm_cpu.h"
#include "kernels/plan.h"

namespace PENDULA_PROGRAMS {

// A worker's scratch memory: what shared() hands out.
struct Scratch {
  char* base = nullptr;
  std::size_t bytes = 0;
};

class CpuBlock {
 public:
  static constexpr int kLd = kRows + 16;  // leading dimension of (features, rows) buffers

  CpuBlock(int index, Scratch scratch) : index_(index), scratch_(scratch) {}

  // Which block of the grid this is.
  int index() const { return index_; }

  // Networks that it holds in memory of its own: none, the caches do.
  Resident resident() const { return {}; }

  // f(i) for 0 <= i < n. No barrier.
  template <class F>
  PENDULA_FN void for_each(int n, F f) const {
    for (int i = 0; i < n; ++i) f(i);
  }

  // f(i, V()) for 0 <= i < n in steps of V's lanes. Buffers must be readable and writable up to the
  // next multiple of 16 elements.
  template <class T, class F>
  PENDULA_FN void for_lanes(int n, F f) const {
    for (int i = 0; i < n; i += kLanes<T>) f(i, Lanes<T>());
  }

  PENDULA_FN void sync() const {}

  // The rows that products run over for `rows` live ones of a tile: whole registers.
  template <class T>
  PENDULA_FN int padded(int rows) const {
    return (rows + kLanes<T> - 1) / kLanes<T> * kLanes<T>;
  }

  // n elements of scratch, not initialised, aligned to 64 bytes. Every thread of the block makes
  // the same calls.
  template <class T>
  T* shared(int n) {
    const std::size_t bytes = (static_cast<std::size_t>(n) * sizeof(T) + 63) / 64 * 64;
    if (used_ + bytes > scratch_.bytes) throw std::logic_error("block scratch is too small");
    T* p = reinterpret_cast<T*>(scratch_.base + used_);
    used_ += bytes;
    return p;
  }

  // The sum of f(i) for 0 <= i < n: 32 strided sums, then a tree, in that order on every backend.
  template <class T, class F>
  PENDULA_FN T reduce(int n, F f) const {
    T s[32];
    int i = 0;
    if (n >= 32) {
      for (; i < 32; ++i) s[i] = T(0) + f(i);
    } else {
      for (int j = 0; j < 32; ++j) s[j] = T(0);
    }
    for (; i + 32 <= n; i += 32) {
      for (int j = 0; j < 32; ++j) s[j] += f(i + j);
    }
    for (int j = 0; i + j < n; ++j) s[j] += f(i + j);
    PENDULA_UNROLL
    for (int d = 16; d > 0; d /= 2) {
      for (int j = 0; j < d; ++j) s[j] += s[j + d];
    }
    return s[0];
  }

  // C(m, n) = sum over k of A(m, k) B(k, n), given to epilogue(m, n, value) where value holds one
  // element, or the elements n, n + 1, ... of one register. gemm_fp32 is never reduced in
  // precision.
  template <class T, class E>
  PENDULA_FN void gemm(int M, int N, int K, Matrix<T> A, Matrix<T> B, E epilogue) {
    gemm_wide<T>(M, N, K, A, B, product_room<T>(M, N, K, B), epilogue);
  }
  template <class T, class E>
  PENDULA_FN void gemm_fp32(int M, int N, int K, Matrix<T> A, Matrix<T> B, E epilogue) {
    gemm_narrow<T>(M, N, K, A, B, epilogue);
  }

  // Sets bits of a word that other threads of the block set bits of.
  static void or_into(uint32_t* word, uint32_t bits) { *word |= bits; }

  // The host page is ordinary memory that other threads of this process read.
  template <class T>
  static T load_shared(const T* p) {
    return __atomic_load_n(p, __ATOMIC_ACQUIRE);
  }
  template <class T>
  static void store_shared(T* p, T x) {
    __atomic_store_n(p, x, __ATOMIC_RELEASE);
  }

 private:
  // Room for what gemm_wide makes of B(k, n) first; taken from the free end of the scratch.
  template <class T>
  T* product_room(int M, int N, int K, Matrix<T> B) {
    std::size_t bytes = 0;
    if (needs_transpose(M, N, B)) bytes = transpose_bytes<T>(N, K);
    if (needs_packing(M, K, B)) bytes = packing_bytes<T>(K);
    if (bytes == 0) return nullptr;
    if (used_ + bytes > scratch_.bytes) throw std::logic_error("block scratch is too small");
    return reinterpret_cast<T*>(scratch_.base + used_);
  }

  int index_;
  Scratch scratch_;
  std::size_t used_ = 0;
};

}  // namespace PENDULA_PROGRAMS
