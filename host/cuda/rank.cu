#include "host/cuda/rank.h"

#include <thrust/device_vector.h>
#include <thrust/execution_policy.h>
#include <thrust/functional.h>
#include <thrust/sequence.h>
#include <thrust/sort.h>
#include <thrust/system_error.h>

#include <new>
#include <string>

#include "host/cuda/check.h"
#include "host/error.h"

namespace pendula {

std::vector<int64_t> rank_by_score(const std::vector<double>& scores, cudaStream_t stream) {
  try {
    thrust::device_vector<double> keys(scores.begin(), scores.end());
    thrust::device_vector<int64_t> order(scores.size());
    const auto where = thrust::cuda::par.on(stream);
    thrust::sequence(where, order.begin(), order.end());
    thrust::stable_sort_by_key(where, keys.begin(), keys.end(), order.begin(),
                               thrust::greater<double>());
    std::vector<int64_t> ranked(scores.size());
    // Not thrust::copy: with a policy of the device it takes the host's memory for the device's.
    PENDULA_CUDA_CHECK(cudaMemcpyAsync(ranked.data(), thrust::raw_pointer_cast(order.data()),
                                       ranked.size() * sizeof(int64_t), cudaMemcpyDeviceToHost,
                                       stream));
    PENDULA_CUDA_CHECK(cudaStreamSynchronize(stream));
    return ranked;
  } catch (const thrust::system_error& error) {
    throw Error(ExitCode::kDevice, std::string("the GPU cannot rank the agents: ") + error.what() +
                                       "; look at it with nvidia-smi, or train with device=cpu");
  } catch (const std::bad_alloc&) {
    throw Error(ExitCode::kMemory,
                "the GPU has no memory left to rank the agents; lower agents or replay.capacity");
  }
}

}  // namespace pendula
