// The launch of a program or of a plain kernel on a stream: the only file that starts kernels.
// Every launch is checked, in Release builds too; a failure is an Error.
#pragma once

#include <cuda_runtime.h>

#include <string>
#include <utility>

#include "host/cuda/check.h"
#include "kernels/block_cuda.h"

namespace PENDULA_PROGRAMS {

// control: where set, a program of a launch that has halted does nothing (the rest of an unrolled
// turn). Fewer blocks than the program's grid may be resident: each then takes several in turn.
// One block per multiprocessor is enough (scratch fills it), so that registers need not spill.
template <class Block, class Program>
__global__ void __launch_bounds__(kThreads, 1)
    run_program(const __grid_constant__ Program program, const __grid_constant__ BlockMemory memory,
                const Control* control) {
  if (control != nullptr && control->halted != 0) return;
  const int blocks = program.grid();
  for (int i = static_cast<int>(blockIdx.x); i < blocks; i += static_cast<int>(gridDim.x)) {
    if (i != static_cast<int>(blockIdx.x)) __syncthreads();  // scratch is used again
    Block block(i, static_cast<int>(blockIdx.x), memory);
    program(block);
  }
}

// where: what was launched, for the Error.
inline void check_launch(cudaError_t error, const char* where, int blocks, int threads,
                         uint64_t shared_bytes) {
  if (error == cudaSuccess) return;
  throw_cuda_error(error, where, __FILE__, __LINE__,
                   "blocks " + std::to_string(blocks) + ", threads " + std::to_string(threads) +
                       ", shared memory " + std::to_string(shared_bytes) + " bytes");
}

// Launches (or captures) `program` on `stream`. resident_blocks bounds the blocks where the program
// spills. Throws Error.
template <class Block, class Program>
void launch(cudaStream_t stream, const Program& program, const BlockMemory& memory,
            int resident_blocks, const Control* control) {
  const auto kernel = run_program<Block, Program>;
  const int shared = static_cast<int>(memory.shared_bytes);
  int blocks = program.grid();
  if (memory.spill_bytes != 0 && blocks > resident_blocks) blocks = resident_blocks;
  cudaError_t error =
      cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, shared);
  if (error == cudaSuccess) {
    kernel<<<static_cast<unsigned>(blocks), kThreads, memory.shared_bytes, stream>>>(
        program, memory, control);
    error = cudaGetLastError();
  }
  check_launch(error, __PRETTY_FUNCTION__, blocks, kThreads, memory.shared_bytes);
}

// Launches (or captures) a plain kernel. shared_bytes: of dynamic shared memory.
template <class... Params, class... Args>
void launch_kernel(cudaStream_t stream, void (*kernel)(Params...), int blocks, int threads,
                   uint64_t shared_bytes, Args&&... args) {
  kernel<<<static_cast<unsigned>(blocks), static_cast<unsigned>(threads), shared_bytes, stream>>>(
      std::forward<Args>(args)...);
  check_launch(cudaGetLastError(), __PRETTY_FUNCTION__, blocks, threads, shared_bytes);
}

// The same with one attribute: a cluster's size, or a cooperative launch.
template <class... Params, class... Args>
void launch_with(cudaStream_t stream, const cudaLaunchAttribute& attribute,
                 void (*kernel)(Params...), int blocks, int threads, uint64_t shared_bytes,
                 Args&&... args) {
  cudaLaunchAttribute attributes[1] = {attribute};
  cudaLaunchConfig_t config{};
  config.gridDim = dim3(static_cast<unsigned>(blocks));
  config.blockDim = dim3(static_cast<unsigned>(threads));
  config.dynamicSmemBytes = shared_bytes;
  config.stream = stream;
  config.attrs = attributes;
  config.numAttrs = 1;
  const cudaError_t error = cudaLaunchKernelEx(&config, kernel, std::forward<Args>(args)...);
  check_launch(error, __PRETTY_FUNCTION__, blocks, threads, shared_bytes);
}

// In clusters of `cluster` blocks: they run at the same time, on neighbouring multiprocessors.
// Needs compute capability 9.0; `cluster` divides `blocks`.
template <class... Params, class... Args>
void launch_clusters(cudaStream_t stream, int cluster, void (*kernel)(Params...), int blocks,
                     int threads, uint64_t shared_bytes, Args&&... args) {
  cudaLaunchAttribute attribute{};
  attribute.id = cudaLaunchAttributeClusterDimension;
  attribute.val.clusterDim.x = static_cast<unsigned>(cluster);
  attribute.val.clusterDim.y = 1;
  attribute.val.clusterDim.z = 1;
  launch_with(stream, attribute, kernel, blocks, threads, shared_bytes,
              std::forward<Args>(args)...);
}

// Clusters of that size of a kernel that can run at the same time; 0: none. Throws Error.
template <class... Params>
int count_active_clusters(void (*kernel)(Params...), int cluster, int threads,
                          uint64_t shared_bytes) {
  cudaLaunchAttribute attributes[1]{};
  attributes[0].id = cudaLaunchAttributeClusterDimension;
  attributes[0].val.clusterDim.x = static_cast<unsigned>(cluster);
  attributes[0].val.clusterDim.y = 1;
  attributes[0].val.clusterDim.z = 1;
  cudaLaunchConfig_t config{};
  config.gridDim = dim3(static_cast<unsigned>(cluster));
  config.blockDim = dim3(static_cast<unsigned>(threads));
  config.dynamicSmemBytes = shared_bytes;
  config.attrs = attributes;
  config.numAttrs = 1;
  int clusters = 0;
  const cudaError_t error = cudaOccupancyMaxActiveClusters(&clusters, kernel, &config);
  if (error == cudaErrorInvalidClusterSize) {  // larger than any that this GPU has
    const cudaError_t left = cudaGetLastError();
    if (left == cudaSuccess || left == error) return 0;
  }
  check_launch(error, __PRETTY_FUNCTION__, cluster, threads, shared_bytes);
  return clusters;
}

// All blocks run at the same time, so that they can wait for each other; too many are an Error.
template <class... Params, class... Args>
void launch_cooperative(cudaStream_t stream, void (*kernel)(Params...), int blocks, int threads,
                        uint64_t shared_bytes, Args&&... args) {
  cudaLaunchAttribute attribute{};
  attribute.id = cudaLaunchAttributeCooperative;
  attribute.val.cooperative = 1;
  launch_with(stream, attribute, kernel, blocks, threads, shared_bytes,
              std::forward<Args>(args)...);
}

}  // namespace PENDULA_PROGRAMS
