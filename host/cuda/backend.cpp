#include "host/cuda/backend.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <thread>

#include "host/cuda/graphs.h"
#include "host/cuda/rank.h"
#include "host/memory_plan.h"

namespace pendula {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kLaunchTime{1000};
constexpr std::chrono::microseconds kSpinTime{100};
constexpr std::chrono::microseconds kLongestSleep{1000};
constexpr uint64_t kStagingBytes = 4u << 20;
constexpr int kTurnUpdates = 16;  // at least, so that a turn's own cost (3 us) is small
constexpr int kTurnNodes = 512;   // about the most

int attribute(cudaDeviceAttr name, int device) {
  int value = 0;
  PENDULA_CUDA_CHECK(cudaDeviceGetAttribute(&value, name, device));
  return value;
}

const EnvironmentInfo& environment(const Config& config) {
  const EnvironmentInfo* env = find_environment(config.env.id);
  if (env == nullptr) {
    throw Error(ExitCode::kUsage, "unknown environment \"" + config.env.id + "\"");
  }
  return *env;
}

// programs: must outlive what is given.
GpuLimits gpu_limits(int device, const CudaPrograms& programs) {
  GpuLimits gpu;
  gpu.multiprocessors = attribute(cudaDevAttrMultiProcessorCount, device);
  gpu.shared_bytes =
      static_cast<uint64_t>(attribute(cudaDevAttrMaxSharedMemoryPerBlockOptin, device));
  gpu.compute_capability = 10 * attribute(cudaDevAttrComputeCapabilityMajor, device) +
                           attribute(cudaDevAttrComputeCapabilityMinor, device);
  gpu.max_clusters = [&programs](const DevicePlan& plan) { return programs.max_clusters(plan); };
  return gpu;
}

// Of a run on that GPU, without its arena and its page.
CudaSetup cuda_setup(const Config& config, const Plan& plan, int device) {
  CudaSetup setup{};
  setup.plan = plan;
  setup.env_params = env_param_values(config, environment(config));
  setup.memory = measure_programs(
      plan, static_cast<uint64_t>(attribute(cudaDevAttrMaxSharedMemoryPerBlockOptin, device)),
      attribute(cudaDevAttrMultiProcessorCount, device));
  return setup;
}

std::unique_ptr<CudaPrograms> programs_of(const Config& config, const CudaSetup& setup) {
  return make_cuda_programs(config.env.id, config.precision != Precision::kFp32, setup);
}

// Throws Error(kMemory) where the GPU has not the memory that the run takes.
void expect_room_on_gpu(const Config& config, int device) {
  size_t free = 0, total = 0;
  PENDULA_CUDA_CHECK(cudaMemGetInfo(&free, &total));
  const auto memory = [&](const Config& c) {
    const Plan plan = make_plan(c, environment(c), sizeof(float)).plan;
    const auto programs = programs_of(c, cuda_setup(c, plan, device));
    return gpu_memory_plan(c, plan, choose_device_plan(c, plan, gpu_limits(device, *programs)));
  };
  expect_room(config, memory(config), free, " on the GPU", memory);
}

}  // namespace

DevicePlan plan_on_gpu(const Config& config, int device) {
  PENDULA_CUDA_CHECK(cudaSetDevice(device));
  const Plan plan = make_plan(config, environment(config), sizeof(float)).plan;
  const auto programs = programs_of(config, cuda_setup(config, plan, device));
  return choose_device_plan(config, plan, gpu_limits(device, *programs));
}

CudaBackend::CudaBackend(const Config& config, int device, int capability)
    : config_(config),
      device_(device),
      planned_(make_plan(config, environment(config), sizeof(float))) {
  use();
  expect_room_on_gpu(config, device);
  stream_ = make_stream(true);
  done_ = make_event();
  graph_begin_ = make_event(cudaEventDefault);
  graph_end_ = make_event(cudaEventDefault);
  const Plan& p = planned_.plan;

  CudaSetup setup = cuda_setup(config, p, device);
  arena_ = make_device_memory(p.arena_bytes, "the run");
  PENDULA_CUDA_CHECK(cudaMemsetAsync(arena_.get(), 0, p.arena_bytes, stream_.get()));
  if (setup.memory.spill_bytes() != 0) {
    spill_ = make_device_memory(setup.memory.spill_bytes(), "the scratch of the networks");
    setup.memory.set_spill(static_cast<char*>(spill_.get()));
  }
  const uint64_t page_bytes =
      sizeof(HostPage) + sizeof(ReportRow) * p.report_slots * static_cast<uint64_t>(p.agents);
  page_ = make_pinned_memory(page_bytes, cudaHostAllocMapped);
  std::memset(page_.get(), 0, page_bytes);
  staging_ = make_pinned_memory(kStagingBytes, cudaHostAllocDefault);
  void* device_page = nullptr;
  PENDULA_CUDA_CHECK(cudaHostGetDevicePointer(&device_page, page_.get(), 0));

  setup.arena = arena();
  setup.page = static_cast<HostPage*>(device_page);
  programs_ = programs_of(config, setup);
  choose_plan(capability);
  build_graphs();
  PENDULA_CUDA_CHECK(cudaStreamSynchronize(stream_.get()));
}

CudaBackend::~CudaBackend() {
  // Nothing may run on memory that is about to be freed.
  if (stream_.get() != nullptr) {
    log_cuda_error(cudaSetDevice(device_), "cudaSetDevice");
    log_cuda_error(cudaStreamSynchronize(stream_.get()), "cudaStreamSynchronize");
  }
}

// The current device is a property of the calling thread.
void CudaBackend::use() const { PENDULA_CUDA_CHECK(cudaSetDevice(device_)); }

void CudaBackend::choose_plan(int capability) {
  GpuLimits gpu = gpu_limits(device_, *programs_);
  if (capability != 0) gpu.compute_capability = capability;
  plan_ = choose_device_plan(config_, planned_.plan, gpu);
  if (plan_.grid) {
    const uint64_t bytes = plan_.grid->layout.bytes * static_cast<uint64_t>(planned_.plan.agents);
    grid_memory_ = make_device_memory(bytes, "the batches and operands of the grid plan");
    PENDULA_CUDA_CHECK(cudaMemsetAsync(grid_memory_.get(), 0, bytes, stream_.get()));
    programs_->use_grid(*plan_.grid, static_cast<char*>(grid_memory_.get()));
  }
  if (plan_.kind == PlanKind::kGrid) return;
  const uint64_t blocks = static_cast<uint64_t>(plan_.setup.cluster * plan_.setup.clusters);
  const uint64_t bytes = plan_.spill_bytes() * blocks;
  if (bytes == 0) return;
  turn_spill_ = make_device_memory(bytes, "the scratch of the networks");
  plan_.set_spill(static_cast<char*>(turn_spill_.get()));
}

// Grid plan: while (not halted) { slice; slice; ...; next_turn }. Else one kernel and its end.
void CudaBackend::build_graphs() {
  if (plan_.kind != PlanKind::kGrid) {
    graph_ = make_graph(stream_.get(), [&] { programs_->turns(stream_.get(), plan_); });
    return;
  }
  const Plan& p = planned_.plan;
  const int nodes = 3 + p.update_slots * (p.max_grad_norm > 0.0 ? 8 : 6);
  const int repeat = std::clamp((kTurnUpdates + p.update_slots - 1) / p.update_slots, 1,
                                std::max(1, kTurnNodes / nodes));
  const GraphBranch branch;
  graph_ = make_while_graph(stream_.get(), [&](cudaGraphConditionalHandle handle) {
    for (int i = 0; i < repeat; ++i) programs_->slice(stream_.get(), branch);
    programs_->next_turn(stream_.get(), handle);
  });
  warmup_iterations_ = plan_.grid ? p.warmup_steps / steps_per_iteration(p) : 0;
  if (warmup_iterations_ == 0) return;
  warmup_graph_ = make_while_graph(stream_.get(), [&](cudaGraphConditionalHandle handle) {
    for (int i = 0; i < kTurnUpdates; ++i) programs_->warmup_slice(stream_.get());
    programs_->next_turn(stream_.get(), handle);
  });
}

// Until the stream has done what was put on it; tick(time since the start) now and then.
template <class Tick>
void CudaBackend::wait(Tick tick) const {
  PENDULA_CUDA_CHECK(cudaEventRecord(done_.get(), stream_.get()));
  const Clock::time_point begin = Clock::now();
  std::chrono::microseconds sleep{0};
  while (true) {
    const cudaError_t state = cudaEventQuery(done_.get());
    if (state == cudaSuccess) return;
    if (state != cudaErrorNotReady) PENDULA_CUDA_CHECK(state);
    const auto elapsed = Clock::now() - begin;
    tick(elapsed);
    if (elapsed < kSpinTime) continue;
    sleep = std::clamp(2 * sleep, kSpinTime / 4, kLongestSleep);
    std::this_thread::sleep_for(sleep);
  }
}

void CudaBackend::initialise() {
  for (int k = 0; k < planned_.plan.agents; ++k) {
    const AgentHyper hyper = agent_hyper(config_, k);
    write(static_cast<uint64_t>(k) * planned_.plan.agent_bytes + planned_.plan.hyper, sizeof hyper,
          &hyper);
  }
  programs_->initialise(stream_.get());
  wait([](auto) {});
  iteration_ = 0;
}

RunResult CudaBackend::run(uint64_t until, const std::atomic<bool>& stop) {
  use();
  if (!iteration_) {
    AgentCounters counters;
    read(planned_.plan.counters, sizeof counters, &counters);
    iteration_ = counters.iteration;
  }
  double seconds = 0.0;
  if (*iteration_ < std::min(until, warmup_iterations_)) {
    const RunResult r = launch(std::min(until, warmup_iterations_), true, stop);
    if (r.reason != HaltReason::kReached || r.iteration >= until) return r;
    if (r.iteration >= launch_end(planned_.plan, until, page().rows_taken)) {
      return {HaltReason::kTime, r.iteration, r.updates, r.seconds};
    }
    seconds = r.seconds;
  }
  RunResult r = launch(until, false, stop);
  r.seconds += seconds;
  return r;
}

RunResult CudaBackend::launch(uint64_t until, bool warmup, const std::atomic<bool>& stop) {
  uint32_t* stop_word = &page().stop;
  const auto ask = [&](HaltReason reason) {
    __atomic_store_n(stop_word, 1 + static_cast<uint32_t>(reason), __ATOMIC_RELEASE);
  };
  __atomic_store_n(stop_word, 0u, __ATOMIC_RELEASE);
  const bool slices = plan_.kind == PlanKind::kGrid && !warmup;
  programs_->begin(stream_.get(), until, slices && planned_.plan.policy_lag != 0);
  PENDULA_CUDA_CHECK(cudaEventRecord(graph_begin_.get(), stream_.get()));
  if (slices) programs_->prepare(stream_.get());
  PENDULA_CUDA_CHECK(cudaGraphLaunch((warmup ? warmup_graph_ : graph_).get(), stream_.get()));
  PENDULA_CUDA_CHECK(cudaEventRecord(graph_end_.get(), stream_.get()));
  const Control& control = *static_cast<const Control*>(staging_.get());
  PENDULA_CUDA_CHECK(cudaMemcpyAsync(staging_.get(), arena() + planned_.plan.control,
                                     sizeof(Control), cudaMemcpyDeviceToHost, stream_.get()));
  wait([&](Clock::duration elapsed) {
    if (stop.load(std::memory_order_relaxed)) {
      ask(HaltReason::kStopFlag);
    } else if (elapsed > kLaunchTime) {
      ask(HaltReason::kTime);
    }
  });
  iteration_ = control.iteration;
  return {static_cast<HaltReason>(control.halted - 1), control.iteration, control.updates,
          seconds_between(graph_begin_, graph_end_)};
}

std::vector<ReportRow> CudaBackend::take_reports() {
  const Plan& p = planned_.plan;
  const ReportRow* ring = reinterpret_cast<const ReportRow*>(&page() + 1);
  std::vector<ReportRow> rows;
  for (; page().rows_taken < page().rows_written; ++page().rows_taken) {
    const ReportRow* r =
        ring + page().rows_taken % p.report_slots * static_cast<uint64_t>(p.agents);
    rows.insert(rows.end(), r, r + p.agents);
  }
  return rows;
}

std::vector<FaultReport> CudaBackend::faults() {
  const Plan& p = planned_.plan;
  std::vector<FaultReport> all;
  for (int k = 0; k < p.agents; ++k) {
    AgentCounters c;
    read(static_cast<uint64_t>(k) * p.agent_bytes + p.counters, sizeof c, &c);
    if (c.fault != 0) {
      all.push_back({static_cast<Fault>(c.fault), static_cast<uint64_t>(k), c.fault_iteration,
                     c.fault_update});
    }
  }
  return all;
}

Evaluation CudaBackend::evaluate(int64_t episodes, const std::atomic<bool>& stop) {
  use();
  const size_t n = static_cast<size_t>(episodes * planned_.plan.agents);
  const uint64_t bytes = n * (sizeof(float) + sizeof(uint32_t));
  const DeviceMemory device = make_device_memory(bytes, "the evaluation");
  const PinnedMemory host = make_pinned_memory(bytes, cudaHostAllocDefault);
  float* returns = static_cast<float*>(device.get());
  programs_->evaluate(stream_.get(), static_cast<int>(episodes), returns,
                      reinterpret_cast<uint32_t*>(returns + n));
  PENDULA_CUDA_CHECK(
      cudaMemcpyAsync(host.get(), device.get(), bytes, cudaMemcpyDeviceToHost, stream_.get()));
  wait([](auto) {});
  if (stop.load(std::memory_order_relaxed)) return {};
  const float* r = static_cast<const float*>(host.get());
  const uint32_t* l = reinterpret_cast<const uint32_t*>(r + n);
  Evaluation e;
  e.returns.assign(r, r + n);
  e.lengths.assign(l, l + n);
  return e;
}

void CudaBackend::copy_agents(const std::vector<AgentCopy>& copies) {
  use();
  const Plan& p = planned_.plan;
  for (const AgentCopy& c : copies) {
    const auto part = [&](int64_t agent) {
      return arena() + static_cast<uint64_t>(agent) * p.agent_bytes + p.actor_params;
    };
    PENDULA_CUDA_CHECK(cudaMemcpyAsync(part(c.to), part(c.from),
                                       (c.environments ? p.ring : p.env_state) - p.actor_params,
                                       cudaMemcpyDeviceToDevice, stream_.get()));
  }
  PENDULA_CUDA_CHECK(cudaStreamSynchronize(stream_.get()));
}

std::vector<int64_t> CudaBackend::rank(const std::vector<double>& scores) const {
  use();
  return rank_by_score(scores, stream_.get());
}

DeviceInfo CudaBackend::device() const {
  cudaDeviceProp properties;
  int driver = 0, runtime = 0;
  PENDULA_CUDA_CHECK(cudaGetDeviceProperties(&properties, device_));
  PENDULA_CUDA_CHECK(cudaDriverGetVersion(&driver));
  PENDULA_CUDA_CHECK(cudaRuntimeGetVersion(&runtime));
  const auto version = [](int v) {  // 13020 is 13.2
    return std::to_string(v / 1000) + "." + std::to_string(v % 1000 / 10);
  };
  const std::string capability =
      std::to_string(properties.major) + "." + std::to_string(properties.minor);
  const char* const precision = config_.precision == Precision::kFp32   ? "fp32"
                                : config_.precision == Precision::kBf16 ? "bf16"
                                                                        : "tf32";
  const uint64_t mebibytes = properties.totalGlobalMem >> 20;
  DeviceInfo d;
  d.name = properties.name;
  d.detail = "compute capability " + capability + ", " +
             std::to_string(properties.multiProcessorCount) + " SMs, " + std::to_string(mebibytes) +
             " MiB, driver for CUDA " + version(driver) + ", runtime " + version(runtime) + ", " +
             precision + ", " + plan_word(plan_.kind) + " plan";
  d.meta = {{"device", "cuda"},
            {"index", device_},
            {"name", properties.name},
            {"compute_capability", capability},
            {"multiprocessors", properties.multiProcessorCount},
            {"memory_mib", mebibytes},
            {"driver_cuda", version(driver)},
            {"runtime_cuda", version(runtime)},
            {"products", precision},
            {"plan", plan_word(plan_.kind)}};
  return d;
}

void CudaBackend::read(uint64_t offset, uint64_t bytes, void* to) const {
  use();
  for (uint64_t at = 0; at < bytes; at += kStagingBytes) {
    const uint64_t n = std::min(kStagingBytes, bytes - at);
    PENDULA_CUDA_CHECK(cudaMemcpyAsync(staging_.get(), arena() + offset + at, n,
                                       cudaMemcpyDeviceToHost, stream_.get()));
    PENDULA_CUDA_CHECK(cudaStreamSynchronize(stream_.get()));
    std::memcpy(static_cast<char*>(to) + at, staging_.get(), n);
  }
}

void CudaBackend::write(uint64_t offset, uint64_t bytes, const void* from) {
  use();
  iteration_.reset();
  for (uint64_t at = 0; at < bytes; at += kStagingBytes) {
    const uint64_t n = std::min(kStagingBytes, bytes - at);
    std::memcpy(staging_.get(), static_cast<const char*>(from) + at, n);
    PENDULA_CUDA_CHECK(cudaMemcpyAsync(arena() + offset + at, staging_.get(), n,
                                       cudaMemcpyHostToDevice, stream_.get()));
    PENDULA_CUDA_CHECK(cudaStreamSynchronize(stream_.get()));
  }
}

}  // namespace pendula
