// Lanes<T>: one vector register of T, with the operators of a scalar, so that a program written for
// a scalar type runs on kLanes<T> environments or batch rows at once. CPU only (GCC's vectors).
// Comparisons give a mask; select(mask, a, b) is the branch that programs take on data, and
// `if (any(mask))` keeps what is rarely needed out of the way.
#pragma once

#include <cmath>
#include <cstring>
#include <type_traits>
#include <utility>

#include "kernels/platform.h"

#if !PENDULA_CUDA && defined(__SSE2__)
#include <immintrin.h>
#endif

namespace PENDULA_PROGRAMS {

template <class T>
struct ScalarOf {
  using type = T;
};
template <class T>
using Scalar = typename ScalarOf<T>::type;  // float for float and for Lanes<float>

PENDULA_FN float select(bool m, float a, float b) { return m ? a : b; }
PENDULA_FN double select(bool m, double a, double b) { return m ? a : b; }
PENDULA_FN uint32_t select(bool m, uint32_t a, uint32_t b) { return m ? a : b; }
PENDULA_FN float as_real(bool m, float) { return m ? 1.0f : 0.0f; }
PENDULA_FN double as_real(bool m, double) { return m ? 1.0 : 0.0; }
PENDULA_FN bool any(bool m) { return m; }
PENDULA_FN bool all(bool m) { return m; }
PENDULA_FN uint32_t mask_bits(bool m) { return m ? 1u : 0u; }

// a * b + c, rounded once where the machine can (the compiler is told not to fuse by itself, so
// that one program gives the same bits in a vector loop and in its tail).
PENDULA_FN float fma(float a, float b, float c) {
#if PENDULA_FUSED
  return __builtin_fmaf(a, b, c);
#else
  return a * b + c;
#endif
}
PENDULA_FN double fma(double a, double b, double c) {
#if PENDULA_FUSED
  return __builtin_fma(a, b, c);
#else
  return a * b + c;
#endif
}

template <class T>
PENDULA_FN void store(T* p, T x) {
  *p = x;
}

#if !PENDULA_CUDA

template <class T>
inline constexpr int kLanes = kVectorBytes / static_cast<int>(sizeof(T));

template <class T>
struct VectorOf;
template <>
struct VectorOf<float> {
  typedef float Vec __attribute__((vector_size(kVectorBytes)));
  typedef int32_t IntVec __attribute__((vector_size(kVectorBytes)));
};
template <>
struct VectorOf<double> {
  typedef double Vec __attribute__((vector_size(kVectorBytes)));
  typedef int64_t IntVec __attribute__((vector_size(kVectorBytes)));
};

template <>
struct VectorOf<uint32_t> : VectorOf<float> {
  typedef uint32_t Vec __attribute__((vector_size(kVectorBytes)));
};
template <>
struct VectorOf<uint64_t> : VectorOf<double> {
  typedef uint64_t Vec __attribute__((vector_size(kVectorBytes)));
};

// What a comparison gives: all bits of a lane, or none.
template <class IntVec>
struct LaneMask {
  static constexpr int kCount = sizeof(IntVec) / sizeof(IntVec{}[0]);
  IntVec m;
  friend PENDULA_FN LaneMask operator&(LaneMask a, LaneMask b) { return {a.m & b.m}; }
  friend PENDULA_FN LaneMask operator|(LaneMask a, LaneMask b) { return {a.m | b.m}; }
  friend PENDULA_FN LaneMask operator!(LaneMask a) { return {~a.m}; }
  PENDULA_FN bool operator[](int i) const { return m[i] != 0; }
  friend PENDULA_FN bool any(LaneMask a) { return mask_bytes(a) != 0; }
  friend PENDULA_FN bool all(LaneMask a) {
    return mask_bytes(a) == mask_bytes(LaneMask{~IntVec{}});
  }

  // Some bits for each lane, all of them alike.
  friend PENDULA_FN uint32_t mask_bytes(LaneMask a) {
#if defined(__AVX512F__)
    if constexpr (sizeof(IntVec) == 64) return _mm512_test_epi32_mask(__m512i(a.m), __m512i(a.m));
#elif defined(__AVX2__)
    if constexpr (sizeof(IntVec) == 32) {
      return static_cast<uint32_t>(_mm256_movemask_epi8(__m256i(a.m)));
    }
#elif defined(__SSE2__)
    if constexpr (sizeof(IntVec) == 16) {
      return static_cast<uint32_t>(_mm_movemask_epi8(__m128i(a.m)));
    }
#endif
    return mask_bits(a);
  }
  // Bit i: lane i.
  friend PENDULA_FN uint32_t mask_bits(LaneMask a) {
    uint32_t bits = 0;
    for (int i = 0; i < kCount; ++i) bits |= (a[i] ? 1u : 0u) << i;
    return bits;
  }
};

// a * b + c on registers.
template <class V>
PENDULA_FN V vector_fma(V a, V b, V c) {
#if defined(__AVX512F__)
  if constexpr (sizeof(a[0]) == 4) {
    return V(_mm512_fmadd_ps(__m512(a), __m512(b), __m512(c)));
  } else {
    return V(_mm512_fmadd_pd(__m512d(a), __m512d(b), __m512d(c)));
  }
#elif defined(PENDULA_EMULATE_AVX512)
  struct Floats {
    __m256 half[2];
  };
  struct Doubles {
    __m256d half[2];
  };
  using Halves = std::conditional_t<sizeof(a[0]) == 4, Floats, Doubles>;
  Halves x, y, z;
  std::memcpy(&x, &a, sizeof a);
  std::memcpy(&y, &b, sizeof b);
  std::memcpy(&z, &c, sizeof c);
  for (int i = 0; i < 2; ++i) {
    if constexpr (sizeof(a[0]) == 4) {
      z.half[i] = _mm256_fmadd_ps(x.half[i], y.half[i], z.half[i]);
    } else {
      z.half[i] = _mm256_fmadd_pd(x.half[i], y.half[i], z.half[i]);
    }
  }
  std::memcpy(&c, &z, sizeof c);
  return c;
#elif PENDULA_FUSED
  if constexpr (sizeof(a[0]) == 4) {
    return V(_mm256_fmadd_ps(__m256(a), __m256(b), __m256(c)));
  } else {
    return V(_mm256_fmadd_pd(__m256d(a), __m256d(b), __m256d(c)));
  }
#else
  return a * b + c;
#endif
}

template <class T>
struct Lanes {
  static constexpr int kCount = kLanes<T>;
  using Vec = typename VectorOf<T>::Vec;
  using IntVec = typename VectorOf<T>::IntVec;

  Vec v;

  Lanes() = default;
  PENDULA_FN Lanes(Vec x) : v(x) {}
  PENDULA_FN Lanes(T x) : v(x - Vec{}) {}

  PENDULA_FN T operator[](int i) const { return v[i]; }
  PENDULA_FN void set(int i, T x) { v[i] = x; }

  friend PENDULA_FN Lanes operator+(Lanes a, Lanes b) { return a.v + b.v; }
  friend PENDULA_FN Lanes operator-(Lanes a, Lanes b) { return a.v - b.v; }
  friend PENDULA_FN Lanes operator*(Lanes a, Lanes b) { return a.v * b.v; }
  friend PENDULA_FN Lanes operator/(Lanes a, Lanes b) { return a.v / b.v; }
  friend PENDULA_FN Lanes operator-(Lanes a) { return -a.v; }
  friend PENDULA_FN Lanes fma(Lanes a, Lanes b, Lanes c) { return vector_fma(a.v, b.v, c.v); }
  PENDULA_FN Lanes& operator+=(Lanes b) {
    v += b.v;
    return *this;
  }

  // Of integers.
  friend PENDULA_FN Lanes operator&(Lanes a, Lanes b) { return a.v & b.v; }
  friend PENDULA_FN Lanes operator|(Lanes a, Lanes b) { return a.v | b.v; }
  friend PENDULA_FN Lanes operator^(Lanes a, Lanes b) { return a.v ^ b.v; }
  friend PENDULA_FN Lanes operator<<(Lanes a, int n) { return a.v << n; }
  friend PENDULA_FN Lanes operator>>(Lanes a, int n) { return a.v >> n; }

  using Mask = LaneMask<IntVec>;
  friend PENDULA_FN Mask operator<(Lanes a, Lanes b) { return {IntVec(a.v < b.v)}; }
  friend PENDULA_FN Mask operator>(Lanes a, Lanes b) { return {IntVec(a.v > b.v)}; }
  friend PENDULA_FN Mask operator<=(Lanes a, Lanes b) { return {IntVec(a.v <= b.v)}; }
  friend PENDULA_FN Mask operator>=(Lanes a, Lanes b) { return {IntVec(a.v >= b.v)}; }
  friend PENDULA_FN Mask operator==(Lanes a, Lanes b) { return {IntVec(a.v == b.v)}; }
  friend PENDULA_FN Lanes select(Mask m, Lanes a, Lanes b) { return m.m ? a.v : b.v; }
  friend PENDULA_FN Lanes as_real(Mask m, Lanes) { return m.m ? Lanes(T(1)).v : Vec{}; }
};

template <class T>
struct ScalarOf<Lanes<T>> {
  using type = T;
};

// Unaligned loads and stores of one register.
template <class T>
PENDULA_FN Lanes<T> load_lanes(const T* p) {
  typename Lanes<T>::Vec v;
  std::memcpy(&v, p, sizeof v);
  return v;
}
template <class T>
PENDULA_FN void store(T* p, Lanes<T> x) {
  std::memcpy(p, &x.v, sizeof x.v);
}

// One element in every lane. By its own instruction: where several such elements lie side by side
// the compiler makes a vector load and shuffles of them, which is slower.
template <class T>
PENDULA_FN Lanes<T> broadcast(const T* p) {
#if defined(__AVX512F__)
  if constexpr (sizeof(T) == 4) return typename Lanes<T>::Vec(_mm512_set1_ps(*p));
#elif defined(__AVX2__)
  if constexpr (sizeof(T) == 4 && kVectorBytes == 32)
    return typename Lanes<T>::Vec(_mm256_broadcast_ss(p));
#endif
  return Lanes<T>(*p);
}

// f(0), ..., f(N - 1) with constants: for loops whose counter numbers registers. (A loop that the
// compiler unrolls late leaves an array of registers in memory.)
template <int N, class F>
PENDULA_FN void for_constants(F f) {
  [&]<int... I>(std::integer_sequence<int, I...>) PENDULA_INLINE {
    (f(std::integral_constant<int, I>()), ...);
  }
  (std::make_integer_sequence<int, N>());
}

// Of two registers taken as groups of G lanes: the lower (kHigh: upper) halves of each group of `a`
// and of `b`, side by side. Stages of it transpose, and sum over lanes.
template <int G, bool kHigh, class T>
PENDULA_FN Lanes<T> group_halves(Lanes<T> a, Lanes<T> b) {
  constexpr int W = kLanes<T>, kHalf = G / 2, kFirst = kHigh ? kHalf : 0;
  return [&]<int... I>(std::integer_sequence<int, I...>) PENDULA_INLINE {
    return Lanes<T>(__builtin_shufflevector(
        a.v, b.v, (kFirst + I / G * G + (I % G < kHalf ? I % G : W + I % G - kHalf))...));
  }
  (std::make_integer_sequence<int, W>());
}

// One stage for registers that are 2^s apart.
template <int H, class T>
PENDULA_FN void transpose_stages(Lanes<T>* a) {
  if constexpr (H > 0) {
    for_constants<kLanes<T>>([&](auto i) PENDULA_INLINE {
      if constexpr ((i & H) == 0) {
        const Lanes<T> low = group_halves<2 * H, false>(a[i], a[i + H]);
        a[i + H] = group_halves<2 * H, true>(a[i], a[i + H]);
        a[i] = low;
      }
    });
    transpose_stages<H / 2>(a);
  }
}

// a: as many registers as a register has lanes, a square whose rows become its columns.
template <class T>
PENDULA_FN void transpose_lanes(Lanes<T>* a) {
  transpose_stages<kLanes<T> / 2>(a);
}

template <int H, class T>
PENDULA_FN Lanes<T> sum_stages(Lanes<T>* a) {
  if constexpr (H == 0) {
    return a[0];
  } else {
    for_constants<H>([&](auto i) PENDULA_INLINE {
      a[i] = group_halves<2 * H, false>(a[i], a[i + H]) + group_halves<2 * H, true>(a[i], a[i + H]);
    });
    return sum_stages<H / 2>(a);
  }
}

// Lane i of the result: the sum of a[i]'s lanes, by halves. `a` (kLanes registers) is overwritten.
template <class T>
PENDULA_FN Lanes<T> sum_lanes(Lanes<T>* a) {
  return sum_stages<kLanes<T> / 2>(a);
}

// The same past the caches, to an aligned address: for what is not read again soon. Before another
// thread reads it, the one that wrote it calls stream_fence().
template <class V>
PENDULA_FN void stream_store(float* p, V x) {
#if defined(__AVX512F__)
  if constexpr (sizeof x == 64) return _mm512_stream_ps(p, __m512(x.v));
#elif defined(__AVX2__)
  if constexpr (sizeof x == 32) return _mm256_stream_ps(p, __m256(x.v));
#elif defined(__SSE2__)
  if constexpr (sizeof x == 16) return _mm_stream_ps(p, __m128(x.v));
#endif
  store(p, x);
}

#endif  // !PENDULA_CUDA

// Makes what stream_store wrote visible before anything that is written later.
PENDULA_FN void stream_fence() {
#if !PENDULA_CUDA && defined(__SSE2__)
  _mm_sfence();
#endif
}

// How many numbers a V holds, and number i of them.
template <class V>
inline constexpr int kCountOf = 1;
PENDULA_FN float lane(float x, int) { return x; }
PENDULA_FN double lane(double x, int) { return x; }
PENDULA_FN bool lane(bool m, int) { return m; }
#if !PENDULA_CUDA
template <class T>
inline constexpr int kCountOf<Lanes<T>> = Lanes<T>::kCount;
template <class T>
PENDULA_FN T lane(Lanes<T> x, int i) {
  return x.v[i];
}
template <class IntVec>
PENDULA_FN bool lane(LaneMask<IntVec> m, int i) {
  return m[i];
}
#endif

// load_as<V>(p): one T for a scalar V, a register for Lanes<T>.
template <class V>
PENDULA_FN V load_as(const Scalar<V>* p) {
#if !PENDULA_CUDA
  if constexpr (!std::is_same_v<V, Scalar<V>>) {
    return load_lanes(p);
  } else
#endif
    return *p;
}

}  // namespace PENDULA_PROGRAMS
