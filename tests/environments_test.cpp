// The proofs of what depends on the environment, for each of them, on the CPU's blocks at the level
// of instructions that the file is compiled for, and on blocks of shuffled threads (they find what
// no level changes: once).
#include "tests/kernels/cases.h"
#include "tests/runner.h"

namespace pendula {
#if PENDULA_FUSED
using EnvironmentCases = testing::Types<PENDULA_CASES(CpuRunner)>;
#else
using EnvironmentCases = testing::Types<PENDULA_CASES(CpuRunner), PENDULA_CASES(ShuffleRunner)>;
#endif
using ReferenceRunner = CpuRunner;  // what whole runs are compared with
}  // namespace pendula

#include "tests/kernels/environment_tests.h"
