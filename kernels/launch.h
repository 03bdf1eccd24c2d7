// The launch of a program on a stream: the only file that starts kernels. Every launch is checked.
#pragma once

#include <cuda_runtime.h>

#include <string>

#include "host/cuda/check.h"
#include "kernels/block_cuda.h"

namespace pendula::inline PENDULA_LEVEL {

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
  if (error != cudaSuccess) {
    throw_cuda_error(error, __PRETTY_FUNCTION__, __FILE__, __LINE__,
                     "blocks " + std::to_string(blocks) + ", threads " + std::to_string(kThreads) +
                         ", shared memory " + std::to_string(shared) + " bytes");
  }
}

}  // namespace pendula::inline PENDULA_LEVEL
