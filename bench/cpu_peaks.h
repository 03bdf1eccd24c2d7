// The ceilings of one core that depend on its vector registers: multiply-adds, Philox, the triad of
// STREAM (McCalpin 1995). Over kernels/lanes.h and kernels/philox.h alone, with the same flags as
// the programs. Each gives what the caller checks the work by.
#pragma once

#include <cstddef>
#include <cstdint>

namespace pendula {

// FLOP of one step of peak_fma: every sum's multiply-add counts two.
double peak_fma_flop();

// `steps` times x = x * a + b for as many independent registers x as hide the latency, each
// beginning as x0. Returns the mean of all lanes: with a = 0.5, b = 1 it is 2 after 60 steps.
float peak_fma(int64_t steps, float x0, float a, float b);

// a[i] = b[i] + s * c[i] for 0 <= i < n, n a multiple of 64; the arrays do not overlap.
void triad(size_t n, float* a, const float* b, const float* c, float s);

// `calls` Philox calls of the key, counters {i, 1, 2, 3} for 0 <= i < calls, a multiple of 64.
// Returns the exclusive or of all words (32 bits, four per call).
uint32_t philox_words(uint32_t calls, uint64_t key);

}  // namespace pendula
