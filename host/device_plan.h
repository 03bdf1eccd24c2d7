// How a run is laid out on a GPU: the plan, what lies in a block's shared memory, how the agents
// are spread. Plain C++: `pendula doctor --plan` tells it on a machine without a GPU, too.
//
//   grid     each program of an iteration over the whole GPU, as the nodes of a graph
//   block    an agent in one block, its networks in shared memory (kernels/turns.h)
//   cluster  an agent in a cluster of 2 to 16 blocks (compute capability 9.0)
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "host/config.h"
#include "host/grid_plan.h"
#include "host/program_memory.h"
#include "kernels/column_layout.h"
#include "kernels/plan.h"

namespace pendula {

enum class PlanKind { kGrid, kBlock, kCluster };

struct DevicePlan {
  PlanKind kind = PlanKind::kGrid;
  TurnSetup setup{};              // of the block plan and the cluster plan
  std::optional<TileKind> tiles;  // of the block plan where it is tuned (kernels/tile_trainer.h)
  bool columns = false;           // of the cluster plan, the same (kernels/column_trainer.h)
  std::optional<GridPlan> grid;   // of the grid plan, the same (kernels/grid_update.h)
  uint64_t shared_bytes = 0;      // of a block in these
  uint64_t launch_scratch = 0;    // of the graph's programs and of evaluations, all blocks; bytes
  std::string residency;          // what lies in shared memory, in words
  std::string why;                // this plan was taken, or another one was not

  uint64_t spill_bytes() const;  // of a block, in device memory
  void set_spill(char* spill);
};

// What counts of a GPU.
struct GpuLimits {
  int multiprocessors;
  uint64_t shared_bytes;   // that a block may have
  int compute_capability;  // 90 is 9.0
  // Clusters with this plan's size and shared memory that can run at the same time.
  std::function<int(const DevicePlan&)> max_clusters;
};

// An H200, where there is no GPU to ask. Its clusters: as many as the multiprocessors hold.
GpuLimits assumed_gpu();

// The word of a config: "grid", "block", "cluster".
const char* plan_word(PlanKind kind);

// What config.plan asks for, or the best for "auto". Throws Error(kUsage) for a plan that the run
// or the GPU cannot have.
DevicePlan choose_device_plan(const Config& config, const Plan& plan, const GpuLimits& gpu);

}  // namespace pendula
