// What the suite `machine` measures on the CPU.
#pragma once

#include <string>
#include <vector>

#include "bench/network.h"
#include "bench/probe.h"

namespace pendula {

// level: one of simd_levels(). Keys of a row: "threads" of 1 and of each further count. `shapes`
// are the products that OpenBLAS is asked for, one by each thread. Nothing is allocated before a
// probe's first call; its memory goes with the probe. small: arrays of a few KiB, for tests.
//
// A probe that cannot be measured here (no OpenBLAS) throws Error(kUsage) when called; `problem` of
// OpenBlas::instance() says so before.
std::vector<Probe> cpu_probes(const std::string& level, const std::vector<int>& threads,
                              const std::vector<ProductShape>& shapes, bool small);

}  // namespace pendula
