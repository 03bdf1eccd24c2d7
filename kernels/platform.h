// The one file that knows which compiler reads it. Everything else asks PENDULA_CUDA.
//
//   PENDULA_FN     a function of a block program: forced inline, callable on both backends
//   PENDULA_SHARED_FN  the same, but large: compiled once and called
//   PENDULA_CUDA   1 where nvcc compiles (device code and its host side), else 0
//   PENDULA_DEVICE 1 in nvcc's device pass only
//   PENDULA_DEVICE_CLUSTERS  1 where that device has thread block clusters (capability 9.0)
#pragma once

#include <cstdint>

#if defined(__CUDACC__)
#define PENDULA_CUDA 1
#define PENDULA_FN __host__ __device__ __forceinline__
#define PENDULA_SHARED_FN __host__ __device__ __noinline__ inline
#else
#define PENDULA_CUDA 0
#define PENDULA_FN inline __attribute__((always_inline))
#define PENDULA_SHARED_FN inline __attribute__((noinline))
#endif

#if defined(__CUDA_ARCH__)
#define PENDULA_DEVICE 1
#else
#define PENDULA_DEVICE 0
#endif

#if PENDULA_DEVICE && __CUDA_ARCH__ >= 900
#define PENDULA_DEVICE_CLUSTERS 1
#else
#define PENDULA_DEVICE_CLUSTERS 0
#endif

// PENDULA_UNROLL: the loop that follows, wholly. PENDULA_UNROLL_BY(n): by n, device code only.
#define PENDULA_PRAGMA(text) _Pragma(#text)
#if PENDULA_DEVICE
#define PENDULA_UNROLL PENDULA_PRAGMA(unroll)
#define PENDULA_UNROLL_BY(n) PENDULA_PRAGMA(unroll n)
#elif PENDULA_CUDA  // nvcc's host pass knows neither pragma
#define PENDULA_UNROLL
#define PENDULA_UNROLL_BY(n)
#else
#define PENDULA_UNROLL _Pragma("GCC unroll 16")
#define PENDULA_UNROLL_BY(n)
#endif

// 1 where a multiply-add is one instruction.
#if PENDULA_DEVICE || defined(__FMA__)
#define PENDULA_FUSED 1
#else
#define PENDULA_FUSED 0
#endif

namespace pendula {

// Bytes of the widest vector register that the CPU backend is compiled for.
#if defined(__AVX512F__)
inline constexpr int kVectorBytes = 64;
inline constexpr const char* kSimdLevel = "avx512";
#elif defined(__AVX2__) && defined(__FMA__)
inline constexpr int kVectorBytes = 32;
inline constexpr const char* kSimdLevel = "avx2";
#else
inline constexpr int kVectorBytes = 16;
inline constexpr const char* kSimdLevel = "sse2";
#endif

}  // namespace pendula
