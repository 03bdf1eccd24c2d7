// Whether a run's grid plan can be the tuned one (kernels/grid_update.h), and what it then keeps
// beside the arena. Plain C++.
#pragma once

#include <optional>
#include <string>

#include "host/config.h"
#include "kernels/grid_layout.h"

namespace pendula {

// How the warps of a block lie over a tile of the batch (kernels/grid_layers.h). kNarrow: each has
// 16 of its 64 rows and 32 columns; else all of its rows, as many as fit with their activations,
// and 32 columns of each 256.
enum class GridShape { kNarrow, kRows64, kRows32, kRows16 };

// What acts (kernels/grid_rollout.h): the program of every plan, a warp's chain of layers, or a
// block's layers over 64 or 128 environments.
enum class GridActor { kProgram, kChain, kLayers64, kLayers128 };

struct GridPlan {
  GridLayout layout;
  GridShape shape;
  GridActor actor;
  uint64_t pass_bytes;     // of a block's shared memory
  uint64_t rollout_bytes;  // the same, unless the program acts
  int32_t rollout_rows;    // environments of a block
};

// Nothing where the run has to have the programs of kernels/iteration.h; why: then says why not.
std::optional<GridPlan> choose_grid_plan(const Config& config, const Plan& plan,
                                         uint64_t shared_bytes, std::string& why);

}  // namespace pendula
