// Sorting on the device.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>
#include <vector>

namespace pendula {

// Backend::rank(). Throws Error(kDevice), or Error(kMemory) where the device has no room.
std::vector<int64_t> rank_by_score(const std::vector<double>& scores, cudaStream_t stream);

}  // namespace pendula
