// The one file that knows which compiler reads it. Everything else asks PENDULA_CUDA.
//
//   PENDULA_FN     a function of a block program: forced inline, callable on both backends
//   PENDULA_SHARED_FN  the same, but large: compiled once and called
//   PENDULA_INLINE  the same for a lambda, behind its parameters
//   PENDULA_CUDA   1 where nvcc compiles (device code and its host side), else 0
//   PENDULA_DEVICE 1 in nvcc's device pass only
//   PENDULA_DEVICE_CLUSTERS  1 where that device has thread block clusters (capability 9.0)
#pragma once

#include <cstdint>

#if defined(__CUDACC__)
#define PENDULA_CUDA 1
#define PENDULA_FN __host__ __device__ __forceinline__
#define PENDULA_SHARED_FN __host__ __device__ __noinline__ inline
#define PENDULA_INLINE
#else
#define PENDULA_CUDA 0
#define PENDULA_FN inline __attribute__((always_inline))
#define PENDULA_SHARED_FN inline __attribute__((noinline))
#define PENDULA_INLINE __attribute__((always_inline))
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

// The compute capability that device code is compiled for, as 90; 0 elsewhere.
#if PENDULA_DEVICE
#define PENDULA_DEVICE_CAPABILITY (__CUDA_ARCH__ / 10)
#else
#define PENDULA_DEVICE_CAPABILITY 0
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

// The instructions that a file is compiled for. The programs of kernels/ are compiled once per
// level into one binary, so everything whose code depends on it lives in a namespace of its own:
// `namespace PENDULA_PROGRAMS`. Plain data (plan.h, report.h, choices.h) does not.
//
// PENDULA_EMULATE_AVX512, for tests on machines without it: the vectors of avx512, and so its bits,
// on the instructions of avx2. Its namespace is another, as its code is.
#if PENDULA_CUDA
#define PENDULA_LEVEL gpu
#elif defined(__AVX512F__)
#define PENDULA_LEVEL avx512
#elif defined(PENDULA_EMULATE_AVX512)
#define PENDULA_LEVEL emulated_avx512
#elif defined(__AVX2__) && defined(__FMA__)
#define PENDULA_LEVEL avx2
#elif defined(__x86_64__)
#define PENDULA_LEVEL sse2
#else
#define PENDULA_LEVEL portable
#endif
#define PENDULA_PROGRAMS pendula::inline PENDULA_LEVEL

namespace PENDULA_PROGRAMS {

// Bytes of the widest vector register of the level.
#if defined(__AVX512F__) || defined(PENDULA_EMULATE_AVX512)
inline constexpr int kVectorBytes = 64;
#elif defined(__AVX2__) && defined(__FMA__)
inline constexpr int kVectorBytes = 32;
#else
inline constexpr int kVectorBytes = 16;
#endif

#define PENDULA_TEXT_OF(x) #x
#define PENDULA_TEXT(x) PENDULA_TEXT_OF(x)
#if defined(PENDULA_EMULATE_AVX512)
inline constexpr const char* kSimdLevel = "avx512";
#else
inline constexpr const char* kSimdLevel = PENDULA_TEXT(PENDULA_LEVEL);
#endif

}  // namespace PENDULA_PROGRAMS
