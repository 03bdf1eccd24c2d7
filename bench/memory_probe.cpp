#include "bench/memory_probe.h"

namespace pendula {
namespace {

template <int N>
bool gather_records(int log2_words, const uint32_t* ring, int64_t count, uint64_t& seed) {
  // The high bits of a linear congruential generator (Knuth's MMIX constants): the next place does
  // not wait for what was read at the last one.
  const int shift = 64 - log2_words;
  uint64_t x = seed;
  uint32_t sums[N] = {};
  uint32_t expected = 0;
  for (int64_t i = 0; i < count; ++i) {
    x = x * 6364136223846793005u + 1442695040888963407u;
    const uint64_t place = x >> shift & ~static_cast<uint64_t>(N - 1);
    expected += static_cast<uint32_t>(place) & ~15u;
    for (int j = 0; j < N; ++j) sums[j] += ring[place + static_cast<uint64_t>(j)];
  }
  seed = x;
  for (uint32_t sum : sums) {
    if (sum != expected) return false;
  }
  return true;
}

}  // namespace

void fill_gather_ring(size_t words, uint32_t* ring) {
  for (size_t i = 0; i < words; ++i) ring[i] = static_cast<uint32_t>(i) & ~15u;
}

bool gather(int record_words, int log2_words, const uint32_t* ring, int64_t count, uint64_t& seed) {
  switch (record_words) {
    case 4:
      return gather_records<4>(log2_words, ring, count, seed);
    case 8:
      return gather_records<8>(log2_words, ring, count, seed);
    case 16:
      return gather_records<16>(log2_words, ring, count, seed);
    default:
      return false;
  }
}

}  // namespace pendula
