#include "bench/memory_probe.h"

#include <cstring>

namespace pendula {
namespace {

// Four elements: one register of every processor that we compile for.
typedef uint32_t Four __attribute__((vector_size(16)));

template <int N>
bool gather_records(int log2_words, const uint32_t* ring, int64_t count, uint64_t& seed) {
  // The high bits of a linear congruential generator (Knuth's MMIX constants): the next place does
  // not wait for what was read at the last one.
  const int shift = 64 - log2_words;
  uint64_t x = seed;
  Four sums[N / 4] = {};
  uint32_t expected = 0;
  for (int64_t i = 0; i < count; ++i) {
    x = x * 6364136223846793005u + 1442695040888963407u;
    const uint64_t place = x >> shift & ~static_cast<uint64_t>(N - 1);
    expected += static_cast<uint32_t>(place) & ~15u;
#pragma GCC unroll 4
    for (int j = 0; j < N / 4; ++j) {
      Four record;
      std::memcpy(&record, ring + place + 4 * j, sizeof record);
      sums[j] += record;
    }
  }
  seed = x;
  for (const Four& sum : sums) {
    for (int j = 0; j < 4; ++j) {
      if (sum[j] != expected) return false;
    }
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
