#include "bench/cuda/gpu_probe.h"

#include "bench/cuda/probes.h"
#include "host/error.h"

namespace pendula {
namespace {

constexpr std::chrono::milliseconds kWarmUp{300};  // clocks rise under load

}  // namespace

ProbedGpu::ProbedGpu(int index, bool small_sizes) : device(index), small(small_sizes) {
  use();
  multiprocessors = attribute(cudaDevAttrMultiProcessorCount);
  l2_bytes = static_cast<uint64_t>(attribute(cudaDevAttrL2CacheSize));
  stream = make_stream();
  begin = make_event(cudaEventDefault);
  end = make_event(cudaEventDefault);
}

int ProbedGpu::attribute(cudaDeviceAttr name) const {
  int value = 0;
  PENDULA_CUDA_CHECK(cudaDeviceGetAttribute(&value, name, device));
  return value;
}

double GpuProbe::timed() {
  PENDULA_CUDA_CHECK(cudaEventRecord(gpu_->begin.get(), stream()));
  work();
  PENDULA_CUDA_CHECK(cudaEventRecord(gpu_->end.get(), stream()));
  PENDULA_CUDA_CHECK(cudaEventSynchronize(gpu_->end.get()));
  return seconds_between(gpu_->begin, gpu_->end);
}

double GpuProbe::call() {
  gpu_->use();
  if (!warm_) {
    allocate();
    const auto begin = std::chrono::steady_clock::now();
    do {
      prepare();
      timed();
    } while (!gpu_->small && std::chrono::steady_clock::now() - begin < kWarmUp);
    warm_ = true;
  }
  prepare();
  const double seconds = timed();
  check();
  return seconds;
}

void GpuProbe::wrong(const std::string& name, const std::string& how) {
  throw Error(
      ExitCode::kDevice,
      "the GPU's result is wrong in the probe " + name + ": " + how +
          "; do not trust this GPU, its driver or this build (scripts/gpu-check tests them)");
}

Probe make_probe(std::string name, std::string metric, double work,
                 std::vector<std::pair<std::string, double>> sizes, std::string precision,
                 std::shared_ptr<GpuProbe> probe) {
  Probe p;
  p.name = std::move(name);
  p.metric = std::move(metric);
  p.work = work;
  p.sizes = std::move(sizes);
  p.precision = std::move(precision);
  p.call = [probe] { return probe->call(); };
  return p;
}

std::vector<Probe> cuda_probes(int device, bool small) {
  const SharedGpu gpu = std::make_shared<ProbedGpu>(device, small);
  std::vector<Probe> probes;
  add_memory_probes(gpu, probes);
  add_arithmetic_probes(gpu, probes);
  add_barrier_probes(gpu, probes);
  add_graph_probes(gpu, probes);
  add_product_probes(gpu, probes);
  return probes;
}

}  // namespace pendula
