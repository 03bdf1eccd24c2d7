// CUDA graphs from what is captured on a stream: a list of launches, or one that is repeated while
// a condition holds. Throws Error.
#pragma once

#include "host/cuda/resources.h"

namespace pendula {

// What capture() puts on the stream becomes nodes of `graph`, each after the one before.
template <class Capture>
void capture_nodes(cudaStream_t stream, cudaGraph_t graph, Capture capture) {
  PENDULA_CUDA_CHECK(cudaStreamBeginCaptureToGraph(stream, graph, nullptr, nullptr, 0,
                                                   cudaStreamCaptureModeThreadLocal));
  try {
    capture();
  } catch (...) {
    cudaGraph_t unused = nullptr;
    log_cuda_error(cudaStreamEndCapture(stream, &unused), "cudaStreamEndCapture");
    throw;
  }
  cudaGraph_t captured = nullptr;
  PENDULA_CUDA_CHECK(cudaStreamEndCapture(stream, &captured));
}

// While a graph is captured: a second branch of it, from where it stands to where it is joined.
class GraphBranch {
 public:
  GraphBranch() : stream_(make_stream()), begin_(make_event()), end_(make_event()) {}

  // capture(stream) puts nodes on the branch, beside those that follow on `main`.
  template <class Capture>
  void part(cudaStream_t main, Capture capture) const {
    PENDULA_CUDA_CHECK(cudaEventRecord(begin_.get(), main));
    PENDULA_CUDA_CHECK(cudaStreamWaitEvent(stream_.get(), begin_.get(), 0));
    capture(stream_.get());
    PENDULA_CUDA_CHECK(cudaEventRecord(end_.get(), stream_.get()));
  }
  // What follows on `main` waits for the branch.
  void join(cudaStream_t main) const {
    PENDULA_CUDA_CHECK(cudaStreamWaitEvent(main, end_.get(), 0));
  }

 private:
  CudaStream stream_;
  CudaEvent begin_, end_;
};

inline CudaGraph make_empty_graph() {
  cudaGraph_t created = nullptr;
  PENDULA_CUDA_CHECK(cudaGraphCreate(&created, 0));
  return CudaGraph(created);
}

// Ready to be launched. Its nodes keep the priority of the stream that they were captured on.
inline CudaGraphExec instantiate(cudaStream_t stream, const CudaGraph& graph) {
  cudaGraphExec_t created = nullptr;
  PENDULA_CUDA_CHECK(
      cudaGraphInstantiate(&created, graph.get(), cudaGraphInstantiateFlagUseNodePriority));
  CudaGraphExec exec(created);
  PENDULA_CUDA_CHECK(cudaGraphUpload(exec.get(), stream));
  return exec;
}

template <class Capture>
CudaGraphExec make_graph(cudaStream_t stream, Capture capture) {
  const CudaGraph graph = make_empty_graph();
  capture_nodes(stream, graph.get(), capture);
  return instantiate(stream, graph);
}

// A WHILE node around capture(handle): the body runs once, and again as long as its last
// cudaGraphSetConditional(handle, x) had an x that is not 0.
template <class Capture>
CudaGraphExec make_while_graph(cudaStream_t stream, Capture capture) {
  const CudaGraph graph = make_empty_graph();
  cudaGraphConditionalHandle handle;
  PENDULA_CUDA_CHECK(
      cudaGraphConditionalHandleCreate(&handle, graph.get(), 1, cudaGraphCondAssignDefault));
  cudaGraphNodeParams params{};
  params.type = cudaGraphNodeTypeConditional;
  params.conditional.handle = handle;
  params.conditional.type = cudaGraphCondTypeWhile;
  params.conditional.size = 1;
  cudaGraphNode_t node = nullptr;
  PENDULA_CUDA_CHECK(cudaGraphAddNode(&node, graph.get(), nullptr, nullptr, 0, &params));
  capture_nodes(stream, params.conditional.phGraph_out[0], [&] { capture(handle); });
  return instantiate(stream, graph);
}

}  // namespace pendula
