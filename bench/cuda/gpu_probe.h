// One probe of a GPU: device memory that the first call takes, work that CUDA events time, and a
// check of its result. The probes themselves: memory_probes.cu, arithmetic_probes.cu,
// barrier_probes.cu, graph_probes.cu, product_probes.cpp.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "bench/probe.h"
#include "host/cuda/resources.h"

namespace pendula {

// What the probes of one GPU share. small: sizes for tests, which say nothing of speed.
struct ProbedGpu {
  ProbedGpu(int index, bool small_sizes);

  int attribute(cudaDeviceAttr name) const;
  void use() const { PENDULA_CUDA_CHECK(cudaSetDevice(device)); }

  int device;
  bool small;
  int multiprocessors;
  uint64_t l2_bytes;  // the level 2 cache
  CudaStream stream;
  CudaEvent begin, end;  // around what is timed
};

class GpuProbe {
 public:
  explicit GpuProbe(std::shared_ptr<const ProbedGpu> gpu) : gpu_(std::move(gpu)) {}
  virtual ~GpuProbe() = default;
  GpuProbe(const GpuProbe&) = delete;
  GpuProbe& operator=(const GpuProbe&) = delete;

  // Seconds of work(), by events. The first call warms up before. Throws Error.
  double call();

 protected:
  virtual void allocate() {}  // before the first work()
  virtual void prepare() {}   // before each work(), not timed: results of old are overwritten
  virtual void work() = 0;    // puts what is timed on the stream
  virtual void check() {}     // after each call's work(); throws Error where its result is wrong

  const ProbedGpu& gpu() const { return *gpu_; }
  cudaStream_t stream() const { return gpu_->stream.get(); }
  // One of the two sizes of everything: the second is of tests.
  template <class T>
  T size(T full, T small) const {
    return gpu_->small ? small : full;
  }
  void synchronise() const { PENDULA_CUDA_CHECK(cudaStreamSynchronize(stream())); }
  DeviceMemory device_memory(uint64_t bytes, const char* what) const {
    return make_device_memory(bytes, what, "end what else uses this GPU");
  }
  // n elements of device memory.
  template <class T>
  std::vector<T> read(const DeviceMemory& from, uint64_t n) const {
    std::vector<T> to(n);
    PENDULA_CUDA_CHECK(
        cudaMemcpyAsync(to.data(), from.get(), n * sizeof(T), cudaMemcpyDeviceToHost, stream()));
    synchronise();
    return to;
  }
  // Every byte of `memory` is 0xff.
  void poison(const DeviceMemory& memory, uint64_t bytes) const {
    PENDULA_CUDA_CHECK(cudaMemsetAsync(memory.get(), 0xff, bytes, stream()));
  }
  // Throws the Error of a probe whose result is wrong; `how` completes its sentence.
  [[noreturn]] static void wrong(const std::string& name, const std::string& how);

 private:
  double timed();

  std::shared_ptr<const ProbedGpu> gpu_;
  bool warm_ = false;
};

// A row of the suite; sizes and precision as in Probe.
Probe make_probe(std::string name, std::string metric, double work,
                 std::vector<std::pair<std::string, double>> sizes, std::string precision,
                 std::shared_ptr<GpuProbe> probe);

using SharedGpu = std::shared_ptr<const ProbedGpu>;
void add_memory_probes(const SharedGpu& gpu, std::vector<Probe>& probes);
void add_arithmetic_probes(const SharedGpu& gpu, std::vector<Probe>& probes);
void add_barrier_probes(const SharedGpu& gpu, std::vector<Probe>& probes);
void add_graph_probes(const SharedGpu& gpu, std::vector<Probe>& probes);
void add_product_probes(const SharedGpu& gpu, std::vector<Probe>& probes);

}  // namespace pendula
