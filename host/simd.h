// The levels of the processor's instructions that the CPU's programs are compiled for, each into
// this binary: "sse2" (what every x86-64 has), "avx2" (with FMA), "avx512" (F, VL, DQ, BW). A run's
// bits depend on its level, because the sums of a register's lanes do, and fused multiply-adds.
#pragma once

#include <string>
#include <vector>

// F(level, argument) for each level, lowest first. cmake/levels.cmake has the same list.
#if defined(__x86_64__)
#define PENDULA_LEVELS(F, argument) F(sse2, argument) F(avx2, argument) F(avx512, argument)
#else
#define PENDULA_LEVELS(F, argument) F(portable, argument)
#endif

namespace pendula {

// The levels in this binary, lowest first.
const std::vector<std::string>& simd_levels();

// Whether this binary has the level, and this processor and its system all of its instructions.
bool has_simd_level(const std::string& level);

// The level that `simd` of a config means here: "auto" is the highest of has_simd_level(). Throws
// Error(kDevice) for one that is not to be had.
std::string choose_simd_level(const std::string& simd);

}  // namespace pendula
