#include "bench/cpu_peaks.h"

#include "kernels/lanes.h"
#include "kernels/philox.h"

namespace PENDULA_PROGRAMS {
namespace {

// A multiply-add takes about four cycles and two begin in each: eight sums suffice. Twelve and the
// two operands fit into sixteen registers.
constexpr int kSums = 12;

float fma_peak(int64_t steps, float x0, float a, float b) {
  using V = Lanes<float>;
  const V va(a), vb(b);
  V x[kSums];
  for_constants<kSums>([&](auto i) PENDULA_INLINE { x[i] = V(x0); });
  for (int64_t s = 0; s < steps; ++s) {
    for_constants<kSums>([&](auto i) PENDULA_INLINE {
      x[i] = fma(x[i], va, vb);
      asm volatile("" : "+x"(x[i].v));  // equal sums are to stay twelve
    });
  }
  float lanes[kSums * kLanes<float>];
  for_constants<kSums>([&](auto i) PENDULA_INLINE { store(lanes + i * kLanes<float>, x[i]); });
  float sum = 0.0f;
  for (float lane : lanes) sum += lane;
  return sum / static_cast<float>(kSums * kLanes<float>);
}

void triad(size_t n, float* __restrict a, const float* __restrict b, const float* __restrict c,
           float s) {
  constexpr int W = kLanes<float>;
  const Lanes<float> vs(s);
  for (size_t i = 0; i < n; i += 4 * W) {
    for_constants<4>([&](auto k) PENDULA_INLINE {
      const size_t at = i + k * W;
      store(a + at, fma(vs, load_lanes(c + at), load_lanes(b + at)));
    });
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

}  // namespace
}  // namespace PENDULA_PROGRAMS

namespace pendula {

#define PENDULA_PEAKS_OF(level) cpu_peaks_##level
#define PENDULA_PEAKS(level) PENDULA_PEAKS_OF(level)
extern const CpuPeaks PENDULA_PEAKS(PENDULA_LEVEL);
const CpuPeaks PENDULA_PEAKS(PENDULA_LEVEL) = {2.0 * kSums * kLanes<float>, fma_peak, triad,
                                               philox_words};

}  // namespace pendula
