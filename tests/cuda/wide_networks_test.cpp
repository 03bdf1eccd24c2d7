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
  const auto train = [](const std::vector<int64_t>& hidden, int64_t batch) {
    SCOPED_TRACE(hidden.front());
    Config c = tuned_config("grid", 1, batch);
    c.actor.hidden = c.critic.hidden = hidden;
    expect_cpus_training(c, 0, 17, kSwitches);
  };
  train({400, 300}, 70);
  train({1000, 500, 200}, 20);
}

}  // namespace
}  // namespace pendula
