// The typed tests of tests/kernels/ on the CUDA backend's blocks, for both kinds of products.
#include "tests/runner_cuda.h"

namespace pendula {
using Runners = testing::Types<CudaRunner<false>, CudaRunner<true>>;
}  // namespace pendula

#include "tests/kernels/gemm_tests.h"
#include "tests/kernels/math_tests.h"
#include "tests/kernels/mlp_tests.h"
#include "tests/kernels/philox_tests.h"
