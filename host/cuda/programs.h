// The launches of one environment's programs. Compiled by nvcc, one file per environment and kind
// of products (host/cuda/programs_impl.h), so that touching one environment rebuilds only its own;
// the rest of the CUDA backend is plain C++.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "host/cuda/graphs.h"
#include "host/device_plan.h"
#include "host/program_memory.h"
#include "kernels/plan.h"

namespace pendula {

struct CudaSetup {
  Plan plan;
  std::vector<double> env_params;  // in the order of the environment's kParams
  char* arena;                     // device addresses
  HostPage* page;
  ProgramMemory memory;
};

class CudaPrograms {
 public:
  virtual ~CudaPrograms() = default;

  virtual void initialise(cudaStream_t stream) const = 0;
  // acts_beside: the launch is of slices in which the next rollout may run beside the updates.
  virtual void begin(cudaStream_t stream, uint64_t until_iteration, bool acts_beside) const = 0;
  // One slice of an iteration; each program returns at once where the launch has halted. branch:
  // for the rollout, where policy_lag is 1.
  virtual void slice(cudaStream_t stream, const GraphBranch& branch) const = 0;
  // One slice of an iteration of random actions and no updates; tuned grid plan.
  virtual void warmup_slice(cudaStream_t stream) const = 0;
  // Where the grid plan is tuned, from now on: memory of agents x grid.layout.bytes, zeros.
  virtual void use_grid(const GridPlan& grid, char* memory) = 0;
  // Before the slices of a launch.
  virtual void prepare(cudaStream_t stream) const = 0;
  virtual void next_turn(cudaStream_t stream, cudaGraphConditionalHandle handle) const = 0;
  // All iterations of a launch (the block plan and the cluster plan), and whether it is at its end.
  virtual void turns(cudaStream_t stream, const DevicePlan& plan) const = 0;
  // Clusters of so many blocks that can run at the same time; 0: none.
  virtual int max_clusters(const DevicePlan& plan) const = 0;
  // returns, lengths: device memory, (agents, episodes)
  virtual void evaluate(cudaStream_t stream, int episodes, float* returns,
                        uint32_t* lengths) const = 0;
};

// tf32: products on tensor cores, else fused multiply-adds. Throws Error for an unknown id.
std::unique_ptr<CudaPrograms> make_cuda_programs(const std::string& env_id, bool tf32,
                                                 const CudaSetup& setup);

// One per environment and kind of products.
using MakeCudaPrograms = std::unique_ptr<CudaPrograms> (*)(const CudaSetup&);

}  // namespace pendula
