#include "bench/cpu_peaks.h"

#include "kernels/lanes.h"
#include "kernels/philox.h"

namespace pendula {
namespace {

// A multiply-add takes about four cycles and two begin in each: eight sums suffice. Twelve and the
// two operands fit into sixteen registers.
constexpr int kSums = 12;

}  // namespace

double peak_fma_flop() { return 2.0 * kSums * kLanes<float>; }

float peak_fma(int64_t steps, float x0, float a, float b) {
  using V = Lanes<float>;
  const V va(a), vb(b);
  V x[kSums];
  PENDULA_UNROLL
  for (int i = 0; i < kSums; ++i) x[i] = V(x0);
  for (int64_t s = 0; s < steps; ++s) {
    PENDULA_UNROLL
    for (int i = 0; i < kSums; ++i) {
      x[i] = fma(x[i], va, vb);
      asm volatile("" : "+x"(x[i].v));  // equal sums are to stay twelve
    }
  }
  float lanes[kSums * kLanes<float>];
  PENDULA_UNROLL
  for (int i = 0; i < kSums; ++i) store(lanes + i * kLanes<float>, x[i]);
  float sum = 0.0f;
  for (float lane : lanes) sum += lane;
  return sum / static_cast<float>(kSums * kLanes<float>);
}

void triad(size_t n, float* __restrict a, const float* __restrict b, const float* __restrict c,
           float s) {
  constexpr int W = kLanes<float>;
  const Lanes<float> vs(s);
  for (size_t i = 0; i < n; i += 4 * W) {
    PENDULA_UNROLL
    for (size_t j = 0; j < 4 * W; j += W) {
      store(a + i + j, fma(vs, load_lanes(c + i + j), load_lanes(b + i + j)));
    }
  }
}

uint32_t philox_words(uint32_t calls, uint64_t key) {
  constexpr uint32_t kTile = 64;
  uint32_t sums[kTile] = {};
  for (uint32_t i = 0; i < calls; i += kTile) {
    for (uint32_t j = 0; j < kTile; ++j) {
      const Uint4 r = philox({i + j, 1, 2, 3}, key);
      sums[j] ^= r.x ^ r.y ^ r.z ^ r.w;
    }
  }
  uint32_t sum = 0;
  for (uint32_t s : sums) sum ^= s;
  return sum;
}

}  // namespace pendula
