// The sizes that the suites measure.
#pragma once

#include <cstdint>
#include <vector>

#include "bench/network.h"
#include "bench/suites.h"

namespace pendula {

struct UpdateSize {
  std::vector<int64_t> hidden;  // of actor and critic
  int64_t batch;
};
std::vector<UpdateSize> update_sizes(Sizes sizes, bool cuda);

// Of the suites `population` and `small-batch`.
struct PopulationSize {
  std::vector<int64_t> hidden;
  int64_t batch;
  std::vector<int64_t> agents;
};
std::vector<PopulationSize> population_sizes(Sizes sizes, bool cuda);
std::vector<UpdateSize> small_batch_sizes(Sizes sizes, bool cuda);

struct StepSize {
  int64_t num_envs, length;  // rollout.length
};
std::vector<StepSize> env_sizes(Sizes sizes);

struct RolloutSize {
  std::vector<int64_t> hidden;
  int64_t num_envs, length;
};
std::vector<RolloutSize> rollout_sizes(Sizes sizes, bool cuda);

struct TrainSize {
  int64_t num_envs, rollout_length;
  int64_t updates;  // in an iteration
  int64_t batch;
  int64_t policy_lag = 0;
};
std::vector<TrainSize> train_sizes(Sizes sizes, bool cuda);
// Of most sizes of the suite `train`.
UpdateSize train_update(Sizes sizes);

// The products that OpenBLAS is asked for: the largest of each network at its batch, and of a
// rollout's tile of 64 environments.
std::vector<ProductShape> yardstick_shapes(Sizes sizes);
// Of them, the one that limits updates of that size, and rollouts of that network.
ProductShape update_yardstick(const UpdateSize& size);
ProductShape rollout_yardstick(const std::vector<int64_t>& hidden);

}  // namespace pendula
