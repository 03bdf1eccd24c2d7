// Philox4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"). A random
// number is a function of (key, counter): the key is the agent's 64-bit seed, the counter says what
// the number is for. Nothing is stored, and every backend draws the same numbers.
//
//   counter = { purpose | dim << 8, index low, step low, (step high << 8) ^ index high }
//
// purpose and index: see Purpose. `dim` numbers further draws for the same (index, step).
#pragma once

#include "kernels/math.h"

namespace PENDULA_PROGRAMS {

enum class Purpose : uint32_t {
  kInit = 1,          // index: element of the tensor, dim: tensor, step 0
  kReset = 2,         // index: environment, step: the time step at which the episode starts
  kNoise = 3,         // index: environment, step: time step / 4 (the word is time step % 4)
  kRandomAction = 4,  // the same
  kEpsilon = 5,       // the same
  kSample = 6,        // index: sample / 2 in the batch, step: number of the update
  kEvalReset = 7,     // index: episode, step 0
  kPlayAction = 9,    // index: episode, step: time step / 4
  kAgentValue = 10,   // index: hash of the key, step: agent (host/distribution.cpp)
  kPbt = 11,          // index: agent, step: number of the exploit (host/pbt.cpp)
};

// What one call takes and gives. W: uint32_t, or words in the lower halves of 64-bit lanes.
template <class W>
struct FourWords {
  W x, y, z, w;
};
using Uint4 = FourWords<uint32_t>;

template <class W>
PENDULA_FN W word(const FourWords<W>& u, uint32_t i) {
  return i == 0 ? u.x : i == 1 ? u.y : i == 2 ? u.z : u.w;
}

template <class W = uint32_t>
PENDULA_FN FourWords<W> philox(FourWords<W> c, uint64_t key) {
  uint32_t k0 = static_cast<uint32_t>(key);
  uint32_t k1 = static_cast<uint32_t>(key >> 32);
  PENDULA_UNROLL
  for (int r = 0; r < 10; ++r) {
    W high0, low0, high1, low1;
    multiply_words(c.x, 0xD2511F53u, high0, low0);
    multiply_words(c.z, 0xCD9E8D57u, high1, low1);
    c = {high1 ^ (c.y ^ W(k0)), low1, high0 ^ (c.w ^ W(k1)), low0};
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  return c;
}

template <class W>
PENDULA_FN FourWords<W> counter(Purpose purpose, uint32_t dim, W index, uint32_t index_high,
                                uint64_t step) {
  return {W(static_cast<uint32_t>(purpose) | dim << 8), index, W(static_cast<uint32_t>(step)),
          W(static_cast<uint32_t>(step >> 32) << 8 ^ index_high)};
}

PENDULA_FN Uint4 random(uint64_t seed, Purpose purpose, uint32_t dim, uint64_t index,
                        uint64_t step) {
  return philox(
      counter(purpose, dim, static_cast<uint32_t>(index), static_cast<uint32_t>(index >> 32), step),
      seed);
}

#if !PENDULA_CUDA
// The same for as many indices below 2^32 as there are lanes. Even and odd lanes take turns: a
// product of two words needs 64 bits.
template <class T>
PENDULA_FN FourWords<Lanes<T>> random(uint64_t seed, Purpose purpose, uint32_t dim, Lanes<T> index,
                                      uint64_t step) {
  using Wide = Lanes<uint64_t>;
  const Wide i = typename Wide::Vec(index.v);
  const FourWords<Wide> r = philox(counter(purpose, dim, i, 0, step), seed);
  if constexpr (sizeof(T) == 8) {
    const Wide low(0xffffffffu);
    return {r.x & low, r.y & low, r.z & low, r.w & low};
  } else {
    const FourWords<Wide> s = philox(counter(purpose, dim, i >> 32, 0, step), seed);
    return {even_words(r.x, s.x), even_words(r.y, s.y), even_words(r.z, s.z), even_words(r.w, s.w)};
  }
}
#endif

// 24 bits to [0, 1), exact in float.
template <class R>
PENDULA_FN R uniform01(Words<R> x) {
  return to_real<R>(x >> 8) * R(Scalar<R>(1.0 / 16777216.0));
}
template <class R>
PENDULA_FN R uniform(Words<R> x, Scalar<R> lo, Scalar<R> hi) {
  return fma(R((hi - lo) * Scalar<R>(1.0 / 16777216.0)), to_real<R>(x >> 8), R(lo));
}

// Two standard normal numbers from two words, by Box and Muller (1958). |z| < 5.8.
template <class R>
PENDULA_FN void gaussian_pair(Words<R> a, Words<R> b, R& z0, R& z1) {
  using T = Scalar<R>;
  const R u = (to_real<R>(a >> 9) + R(T(0.5))) * R(T(1.0 / 8388608.0));  // (0, 1)
  const R radius = sqrt(R(T(-2)) * log(u));
  R s, c;
  sincos(R(T(6.283185307179586)) * uniform01<R>(b), s, c);
  z0 = radius * c;
  z1 = radius * s;
}

// Uniform integer below n, n <= 2^32 - 1; bias below n / 2^32.
PENDULA_FN uint32_t below(uint32_t x, uint32_t n) {
  return static_cast<uint32_t>((static_cast<uint64_t>(x) * n) >> 32);
}

}  // namespace PENDULA_PROGRAMS
