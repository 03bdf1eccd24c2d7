// A cluster: blocks of a launch that run at the same time, with a barrier of their own, and that
// read and write each other's shared memory (compute capability 9.0).
#pragma once

#include "kernels/gemm_cuda.h"

namespace PENDULA_PROGRAMS {

// Where this block stands in its cluster, and its cluster in the launch.
struct ClusterPlace {
  int rank, index;
};
PENDULA_FN ClusterPlace cluster_place([[maybe_unused]] int cluster) {
#if PENDULA_DEVICE
  const int block = static_cast<int>(blockIdx.x);
  return {block % cluster, block / cluster};
#else
  return {0, 0};
#endif
}

// A barrier of all threads of the cluster's blocks; what was written before it is visible after it.
PENDULA_FN void cluster_sync([[maybe_unused]] int cluster) {
#if PENDULA_DEVICE
#if PENDULA_DEVICE_CLUSTERS
  if (cluster > 1) {
    asm volatile(
        "barrier.cluster.arrive.release.aligned;\n\tbarrier.cluster.wait.acquire.aligned;" ::
            : "memory");
    return;
  }
#endif
  __syncthreads();
#endif
}

// The place of p, which lies in shared memory, in that of the cluster's block `rank`.
template <class T>
PENDULA_FN T* in_rank(T* p, [[maybe_unused]] int rank) {
#if PENDULA_DEVICE_CLUSTERS
  uint64_t at;
  asm("mapa.u64 %0, %1, %2;" : "=l"(at) : "l"(p), "r"(rank));
  return reinterpret_cast<T*>(at);
#else
  return p;
#endif
}

}  // namespace PENDULA_PROGRAMS
