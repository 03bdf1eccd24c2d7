// The proofs of what programs are made of, on the CPU's blocks at the level of instructions that
// the file is compiled for, and on blocks of shuffled threads (they find what no level changes:
// once).
#include "tests/runner.h"

namespace pendula {
#if PENDULA_FUSED
using Runners = testing::Types<CpuRunner>;
#else
using Runners = testing::Types<CpuRunner, ShuffleRunner>;
#endif
}  // namespace pendula

#include "tests/kernels/gemm_tests.h"
#include "tests/kernels/math_tests.h"
#include "tests/kernels/mlp_tests.h"
#include "tests/kernels/philox_tests.h"
