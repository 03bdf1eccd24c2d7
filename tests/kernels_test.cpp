// The proofs of the kernels on the CPU: its own blocks, and blocks of shuffled threads.
#include "tests/runner.h"

namespace pendula {
using Runners = testing::Types<CpuRunner, ShuffleRunner>;
using ReferenceRunner = CpuRunner;
}  // namespace pendula

#include "tests/kernels/adam_tests.h"
#include "tests/kernels/gemm_tests.h"
#include "tests/kernels/math_tests.h"
#include "tests/kernels/mlp_tests.h"
#include "tests/kernels/philox_tests.h"
#include "tests/kernels/rollout_tests.h"
#include "tests/kernels/schedule_tests.h"
#include "tests/kernels/torch_tests.h"
#include "tests/kernels/update_tests.h"
