// Random reads of whole records from an array larger than the caches: what sampling a replay ring
// costs at least.
#pragma once

#include <cstddef>
#include <cstdint>

namespace pendula {

// Fills `words` elements so that record r of any size holds r's first element's index in each word:
// ring[i] = i with the low 4 bits cleared.
void fill_gather_ring(size_t words, uint32_t* ring);

// Reads `count` records of record_words (4, 8 or 16) elements each, at independent, uniformly
// random places of a ring filled by fill_gather_ring; 2^log2_words elements. Returns whether every
// word read was the expected one (compared as sums modulo 2^32). `seed` continues from call to
// call.
bool gather(int record_words, int log2_words, const uint32_t* ring, int64_t count, uint64_t& seed);

}  // namespace pendula
