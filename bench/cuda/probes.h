// The suite `machine` on a GPU: what the device can do at best, measured with CUDA events. Every
// result is checked on every call, but for those that compute nothing (launch, graph_node).
//
//   name                   metric              what
//   memory_copy            bytes_per_second    read + written, buffers far larger than L2
//   l2_read                bytes_per_second    read again and again, half as much as L2 holds
//   fma                    flop_per_second     fused multiply-adds of fp32 in registers
//   tensor_tf32, _bf16,    flop_per_second     mma.sync with fp32 sums, operands in registers
//     _fp16
//   gather_16, _32, _64    gathers_per_second  random aligned records of so many bytes from a
//   buffer
//                                              far larger than L2; with _l2: of half as much as L2
//   barrier_block          seconds             of one __syncthreads
//   barrier_cluster        seconds             of one cluster barrier; capability 9.0 and newer
//   barrier_grid           seconds             of one barrier of a cooperative grid
//   launch                 seconds             of one launch by the host of an empty kernel
//   graph_node             seconds             of one empty kernel of a graph, each after the last
//   while_turn             seconds             of one turn of a WHILE node with one small kernel
//   cublas_forward,        flop_per_second     cuBLAS's products of a hidden layer, one at a time;
//     _backward, _gradient                     a graph of them
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "bench/probe.h"

namespace pendula {

// The probes of one GPU; they take device memory when they are first called and give it back when
// the list goes. small: sizes for tests, which say nothing of speed. Throws Error.
std::vector<Probe> cuda_probes(int device, bool small);

// The GPU for the head of a report, in order: name, compute_capability, multiprocessors,
// memory_mib, l2_mib, driver, driver_cuda, runtime_cuda, sm_clock_mhz, sm_clock_max_mhz,
// memory_clock_mhz. The clocks are those of now; what cannot be had reads "not measured". Throws
// Error.
std::vector<std::pair<std::string, std::string>> cuda_machine(int device);

}  // namespace pendula
