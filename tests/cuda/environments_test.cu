// The typed tests of the environments (tests/kernels/) on the CUDA backend's blocks.
#include "tests/kernels/cases.h"
#include "tests/runner_cuda.h"

namespace pendula {
using EnvironmentCases =
    testing::Types<PENDULA_CASES(CudaRunner<false>), PENDULA_CASES(CudaRunner<true>)>;
using ReferenceRunner = CudaRunner<false>;  // nvcc does not compile the CPU's blocks
}  // namespace pendula

#include "tests/kernels/environment_tests.h"
