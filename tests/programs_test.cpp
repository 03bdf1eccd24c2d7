// The proofs of the programs of an iteration, on the CPU's blocks and on blocks of shuffled
// threads.
#include "tests/runner.h"

namespace pendula {
using Runners = testing::Types<CpuRunner, ShuffleRunner>;
using ReferenceRunner = CpuRunner;  // what whole runs are compared with
}  // namespace pendula

#include "tests/kernels/adam_tests.h"
#include "tests/kernels/evaluate_tests.h"
#include "tests/kernels/replay_tests.h"
#include "tests/kernels/rollout_tests.h"
#include "tests/kernels/schedule_tests.h"
#include "tests/kernels/torch_tests.h"
#include "tests/kernels/update_tests.h"
