// The proofs of what programs are made of, on the CPU's blocks and on blocks of shuffled threads.
#include "tests/runner.h"

namespace pendula {
using Runners = testing::Types<CpuRunner, ShuffleRunner>;
}  // namespace pendula

#include "tests/kernels/gemm_tests.h"
#include "tests/kernels/math_tests.h"
#include "tests/kernels/mlp_tests.h"
#include "tests/kernels/philox_tests.h"
