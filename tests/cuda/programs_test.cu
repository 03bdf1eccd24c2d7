// The typed tests of whole programs (tests/kernels/) on the CUDA backend's blocks.
#include "tests/runner_cuda.h"

namespace pendula {
using Runners = testing::Types<CudaRunner<false>, CudaRunner<true>>;
using ReferenceRunner = CudaRunner<false>;  // nvcc does not compile the CPU's blocks
}  // namespace pendula

#include "tests/kernels/adam_tests.h"
#include "tests/kernels/evaluate_tests.h"
#include "tests/kernels/lag_tests.h"
#include "tests/kernels/noise_tests.h"
#include "tests/kernels/replay_tests.h"
#include "tests/kernels/rollout_tests.h"
#include "tests/kernels/schedule_tests.h"
#include "tests/kernels/torch_tests.h"
#include "tests/kernels/update_tests.h"
