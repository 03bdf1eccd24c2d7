// Words<V>: the 32-bit unsigned integers that go with a V, as many as V has lanes: random words,
// and the bits of floats. Beside lanes of doubles they lie in lanes of 64 bits, the upper half 0.
#pragma once

#include <utility>

#include "kernels/lanes.h"

namespace PENDULA_PROGRAMS {

template <class V>
struct WordsOf {
  using type = uint32_t;
};
#if !PENDULA_CUDA
template <>
struct WordsOf<Lanes<float>> {
  using type = Lanes<uint32_t>;
};
template <>
struct WordsOf<Lanes<double>> {
  using type = Lanes<uint64_t>;
};
#endif
template <class V>
using Words = typename WordsOf<V>::type;

// first, first + 1, ... in the lanes of w.
PENDULA_FN void count_from(uint32_t first, uint32_t& w) { w = first; }
#if !PENDULA_CUDA
template <class T>
PENDULA_FN void count_from(uint32_t first, Lanes<T>& w) {
  for (int i = 0; i < Lanes<T>::kCount; ++i) w.set(i, static_cast<T>(i));
  w = w + Lanes<T>(first);
}
#endif

// Word i of w.
PENDULA_FN uint32_t lane_word(uint32_t w, int) { return w; }
#if !PENDULA_CUDA
template <class T>
PENDULA_FN uint32_t lane_word(Lanes<T> w, int i) {
  return static_cast<uint32_t>(w[i]);
}
#endif

// Whether a word is odd.
PENDULA_FN bool odd(uint32_t w) { return (w & 1) != 0; }
#if !PENDULA_CUDA
PENDULA_FN Lanes<float>::Mask odd(Lanes<uint32_t> w) {
  return {Lanes<float>::IntVec(w.v << 31) < 0};
}
#endif

// Words below 2^31 as numbers.
template <class R>
PENDULA_FN R to_real(Words<R> w) {
#if !PENDULA_CUDA
  if constexpr (!std::is_same_v<R, Scalar<R>>) {
    return __builtin_convertvector(typename R::IntVec(w.v), typename R::Vec);
  } else
#endif
    return static_cast<R>(static_cast<int32_t>(w));
}

// The bits of floats, and floats of such bits. R: float or Lanes<float>.
template <class R>
PENDULA_FN Words<R> bits_of(R x) {
  Words<R> w;
  static_assert(sizeof w == sizeof x);
  memcpy(&w, &x, sizeof w);
  return w;
}
template <class R>
PENDULA_FN R from_bits(Words<R> w) {
  R x;
  static_assert(sizeof w == sizeof x);
  memcpy(&x, &w, sizeof x);
  return x;
}

// x * m: the upper and the lower 32 bits. In lanes of 64 bits the upper half of each counts for
// nothing, before and after.
PENDULA_FN void multiply_words(uint32_t x, uint32_t m, uint32_t& high, uint32_t& low) {
  const uint64_t product = static_cast<uint64_t>(x) * m;
  high = static_cast<uint32_t>(product >> 32);
  low = static_cast<uint32_t>(product);
}
#if !PENDULA_CUDA
template <class V>
PENDULA_FN V multiply_low_halves(V a, V b) {
#if defined(__AVX512F__)
  // With a mask of all lanes: g++ 12 warns of an uninitialised value in the one without.
  if constexpr (sizeof(V) == 64) return V(_mm512_maskz_mul_epu32(0xff, __m512i(a), __m512i(b)));
#elif defined(__AVX2__)
  if constexpr (sizeof(V) == 32) return V(_mm256_mul_epu32(__m256i(a), __m256i(b)));
#elif defined(__SSE2__)
  if constexpr (sizeof(V) == 16) return V(_mm_mul_epu32(__m128i(a), __m128i(b)));
#endif
  return (a & 0xffffffffu) * (b & 0xffffffffu);
}
PENDULA_FN void multiply_words(Lanes<uint64_t> x, uint32_t m, Lanes<uint64_t>& high,
                               Lanes<uint64_t>& low) {
  low = multiply_low_halves(x.v, Lanes<uint64_t>(m).v);
  high = low >> 32;
}

// The lower halves of a's and b's lanes in turn.
template <int... i>
PENDULA_FN Lanes<uint32_t> even_words(Lanes<uint32_t> a, Lanes<uint32_t> b,
                                      std::integer_sequence<int, i...>) {
  constexpr int n = sizeof...(i);
  return __builtin_shufflevector(a.v, b.v, (i / 2 * 2 + i % 2 * n)...);
}
PENDULA_FN Lanes<uint32_t> even_words(Lanes<uint64_t> a, Lanes<uint64_t> b) {
  using Words = Lanes<uint32_t>;
  return even_words(Words(Words::Vec(a.v)), Words(Words::Vec(b.v)),
                    std::make_integer_sequence<int, Words::kCount>());
}
#endif

}  // namespace PENDULA_PROGRAMS
