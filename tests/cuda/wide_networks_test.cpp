// The tuned grid plan with the large networks of the literature, against the CPU (see
// grid_test.cpp).
#include <cstdlib>

#include "tests/cuda/training_parity.h"

namespace pendula {
namespace {

// The simulator's look at device memory takes minutes for so many parameters; grid_test.cpp has it.
[[maybe_unused]] const int kRaceCheck = setenv("CUDASIM_RACECHECK", "1", 1);

constexpr double kSwitches = 16.0;  // as in grid_test.cpp

TEST(GridLarge, TrainsAsTheCpuDoesWithWideNetworks) {
  const std::vector<std::vector<int64_t>> networks = {{400, 300}, {1000, 500, 200}};
  for (const auto& hidden : networks) {
    SCOPED_TRACE(hidden.front());
    Config c = tuned_config("grid", 1, 70);
    c.actor.hidden = c.critic.hidden = hidden;
    expect_cpus_training(c, 0, 17, kSwitches);
  }
}

}  // namespace
}  // namespace pendula
