// Philox4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"). A random
// number is a function of (key, counter): the key is the agent's 64-bit seed, the counter says what
// the number is for. Nothing is stored, and every backend draws the same numbers.
//
//   counter = { purpose | dim << 8, index low, step low, (step high << 8) ^ index high }
//
// purpose and index: see Purpose. `dim` numbers further draws for the same (index, step).
#pragma once

#include "kernels/math.h"

namespace pendula::inline PENDULA_LEVEL {

enum class Purpose : uint32_t {
  kInit = 1,          // index: element of the tensor, dim: tensor, step 0
  kReset = 2,         // index: environment, step: the time step at which the episode starts
  kNoise = 3,         // index: environment, step: time step / 4 (the word is time step % 4)
  kRandomAction = 4,  // the same
  kEpsilon = 5,       // the same
  kSample = 6,        // index: sample / 2 in the batch, step: number of the update
  kEvalReset = 7,     // index: episode, step 0
  kPlayAction = 9,    // index: episode, step: time step / 4
};

struct Uint4 {
  uint32_t x, y, z, w;
};

PENDULA_FN uint32_t word(const Uint4& u, uint32_t i) {
  return i == 0 ? u.x : i == 1 ? u.y : i == 2 ? u.z : u.w;
}

PENDULA_FN Uint4 philox(Uint4 c, uint64_t key) {
  uint32_t k0 = static_cast<uint32_t>(key);
  uint32_t k1 = static_cast<uint32_t>(key >> 32);
  PENDULA_UNROLL
  for (int r = 0; r < 10; ++r) {
    const uint64_t p0 = static_cast<uint64_t>(0xD2511F53u) * c.x;
    const uint64_t p1 = static_cast<uint64_t>(0xCD9E8D57u) * c.z;
    c = {static_cast<uint32_t>(p1 >> 32) ^ c.y ^ k0, static_cast<uint32_t>(p1),
         static_cast<uint32_t>(p0 >> 32) ^ c.w ^ k1, static_cast<uint32_t>(p0)};
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  return c;
}

PENDULA_FN Uint4 random(uint64_t seed, Purpose purpose, uint32_t dim, uint64_t index,
                        uint64_t step) {
  return philox({static_cast<uint32_t>(purpose) | dim << 8, static_cast<uint32_t>(index),
                 static_cast<uint32_t>(step),
                 static_cast<uint32_t>(step >> 32) << 8 ^ static_cast<uint32_t>(index >> 32)},
                seed);
}

// 24 bits to [0, 1), exact in float.
template <class T>
PENDULA_FN T uniform01(uint32_t x) {
  return static_cast<T>(x >> 8) * static_cast<T>(1.0 / 16777216.0);
}
template <class T>
PENDULA_FN T uniform(uint32_t x, T lo, T hi) {
  return lo + (hi - lo) * uniform01<T>(x);
}

// Standard normal number `i` (0..3) of one Philox call, by Box and Muller: words (0, 1) give
// numbers 0 and 1, words (2, 3) numbers 2 and 3. |z| < 5.8.
template <class T>
PENDULA_FN T gaussian(const Uint4& u, uint32_t i) {
  const uint32_t a = (i & 2) ? u.z : u.x;
  const uint32_t b = (i & 2) ? u.w : u.y;
  const T u1 = (static_cast<T>(a >> 9) + T(0.5)) * static_cast<T>(1.0 / 8388608.0);  // (0, 1)
  const T radius = sqrt(T(-2) * log(u1));
  T s, c;
  sincos(T(6.283185307179586) * uniform01<T>(b), s, c);
  return radius * ((i & 1) ? s : c);
}

// Uniform integer below n, n <= 2^32 - 1; bias below n / 2^32.
PENDULA_FN uint32_t below(uint32_t x, uint32_t n) {
  return static_cast<uint32_t>((static_cast<uint64_t>(x) * n) >> 32);
}

}  // namespace pendula::inline PENDULA_LEVEL
