// The launches of an update in the grid plan where it is tuned (kernels/grid_update.h). They know
// nothing of environments, and are compiled once.
#pragma once

#include <cuda_runtime_api.h>

#include <memory>

#include "host/grid_plan.h"
#include "kernels/plan.h"

namespace pendula {

class GridPrograms {
 public:
  virtual ~GridPrograms() = default;

  // The networks' weights as operands, from the parameters: once, before the updates of a launch.
  virtual void pack(cudaStream_t stream) const = 0;
  // policy_lag 1: the actor as it is now, for the next rollout.
  virtual void lag_actor(cudaStream_t stream) const = 0;
  // The critic's and the actor's part of update `slot` of a slice, whose batch has been drawn.
  virtual void critic(cudaStream_t stream, int slot) const = 0;
  virtual void actor(cudaStream_t stream, int slot) const = 0;
};

// arena, memory: device addresses; memory of agents x grid.layout.bytes, zeros.
std::unique_ptr<GridPrograms> make_grid_programs(const Plan& plan, const GridPlan& grid,
                                                 char* arena, char* memory);

}  // namespace pendula
