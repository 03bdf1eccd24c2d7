// The proofs of the programs of an iteration, on the CPU's blocks at the level of instructions that
// the file is compiled for, and on blocks of shuffled threads (they find what no level changes:
// once).
#include "tests/runner.h"

namespace pendula {
#if PENDULA_FUSED
using Runners = testing::Types<CpuRunner>;
#else
using Runners = testing::Types<CpuRunner, ShuffleRunner>;
#endif
using ReferenceRunner = CpuRunner;  // what whole runs are compared with
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
