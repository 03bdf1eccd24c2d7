// memory_copy, l2_read and gather_*: bytes and records per second from device memory and from L2.
//
// All read in units of 16 bytes, a slot; slot s holds the words of slot_at(s), so that every thread
// knows what it must have read. Loads bypass L1 (ld.global.cg).
#include <algorithm>
#include <numeric>

#include "bench/cuda/gpu_probe.h"
#include "kernels/launch.h"

namespace pendula {
namespace {

constexpr uint64_t kSlotBytes = 16;
constexpr int kLoads = 4;        // in flight per thread
constexpr int kBlocksPerSm = 4;  // of kBlock threads

PENDULA_FN uint32_t slot_word(uint32_t slot, uint32_t i) {
  return slot * 0x9e3779b1u + i * 0x85ebca77u;
}

PENDULA_FN uint4 slot_at(uint32_t slot) {
  return make_uint4(slot_word(slot, 0), slot_word(slot, 1), slot_word(slot, 2), slot_word(slot, 3));
}

PENDULA_FN bool equal(const uint4& a, const uint4& b) {
  return a.x == b.x && a.y == b.y && a.z == b.z && a.w == b.w;
}

// A bijection of 32-bit integers whose output bits all depend on all input bits (the finaliser of
// MurmurHash3).
PENDULA_FN uint32_t hash(uint32_t x) {
  x = (x ^ (x >> 16)) * 0x85ebca6bu;
  x = (x ^ (x >> 13)) * 0xc2b2ae35u;
  return x ^ (x >> 16);
}

constexpr int kBlock = 256;  // threads

__device__ __forceinline__ uint64_t thread_index() {
  return static_cast<uint64_t>(blockIdx.x) * kBlock + threadIdx.x;
}

// n slots, n a multiple of kBlock.
__global__ void fill_slots(uint4* slots) {
  const uint64_t i = thread_index();
  slots[i] = slot_at(static_cast<uint32_t>(i));
}

// wrong += slots that do not hold what they should.
__global__ void count_wrong_slots(const uint4* slots, unsigned long long* wrong) {
  const uint64_t i = thread_index();
  if (!equal(slots[i], slot_at(static_cast<uint32_t>(i)))) atomicAdd(wrong, 1ull);
}

// Each block copies kLoads * kBlock neighbouring slots.
__global__ void copy_slots(const uint4* from, uint4* to) {
  const uint64_t first = static_cast<uint64_t>(blockIdx.x) * (kLoads * kBlock) + threadIdx.x;
  uint4 v[kLoads];
  PENDULA_UNROLL
  for (int i = 0; i < kLoads; ++i) v[i] = __ldcg(from + first + i * kBlock);
  PENDULA_UNROLL
  for (int i = 0; i < kLoads; ++i) to[first + i * kBlock] = v[i];
}

// All threads together read `slots` slots, `passes` times; `slots` is a multiple of kLoads x
// threads. sums: (threads), of all words that a thread has read, modulo 2^32.
__global__ void __launch_bounds__(kBlock, kBlocksPerSm)
    read_slots(const uint4* from, uint64_t slots, int passes, uint32_t* sums) {
  const uint64_t threads = static_cast<uint64_t>(gridDim.x) * kBlock;
  const uint64_t thread = thread_index();
  uint32_t sum = 0;
  for (int pass = 0; pass < passes; ++pass) {
    for (uint64_t i = thread; i < slots; i += kLoads * threads) {
      uint4 v[kLoads];
      PENDULA_UNROLL
      for (int j = 0; j < kLoads; ++j) v[j] = __ldcg(from + i + static_cast<uint64_t>(j) * threads);
      PENDULA_UNROLL
      for (int j = 0; j < kLoads; ++j) sum += v[j].x + v[j].y + v[j].z + v[j].w;
    }
  }
  sums[thread] = sum;
}

// Random records of kLanes slots, a power of two of them in the buffer: kLanes neighbouring threads
// read one record. right: (threads), slots that held what they should.
template <int kLanes>
__global__ void __launch_bounds__(kBlock, kBlocksPerSm)
    gather_slots(const uint4* from, uint32_t record_mask, int turns, uint32_t* right) {
  const uint32_t thread = static_cast<uint32_t>(thread_index());
  const uint32_t lane = thread % kLanes;
  const uint32_t readers = gridDim.x * (kBlock / kLanes);
  uint32_t counter = thread / kLanes;
  uint32_t count = 0;
  for (int turn = 0; turn < turns; ++turn) {
    uint32_t slot[kLoads];
    uint4 v[kLoads];
    PENDULA_UNROLL
    for (int j = 0; j < kLoads; ++j) {
      slot[j] = (hash(counter) & record_mask) * kLanes + lane;
      counter += readers;
      v[j] = __ldcg(from + slot[j]);
    }
    PENDULA_UNROLL
    for (int j = 0; j < kLoads; ++j) count += equal(v[j], slot_at(slot[j])) ? 1 : 0;
  }
  right[thread] = count;
}

// Slots in device memory, filled when they are first asked for. n is a multiple of kBlock.
class Slots {
 public:
  explicit Slots(uint64_t n) : n_(n) {}

  uint64_t size() const { return n_; }
  uint64_t bytes() const { return n_ * kSlotBytes; }
  bool filled() const { return memory_.get() != nullptr; }
  void fill(cudaStream_t stream, DeviceMemory memory) {
    launch_kernel(stream, fill_slots, static_cast<int>(n_ / kBlock), kBlock, 0,
                  static_cast<uint4*>(memory.get()));
    memory_ = std::move(memory);
  }
  uint4* get() const { return static_cast<uint4*>(memory_.get()); }

 private:
  uint64_t n_;
  DeviceMemory memory_;
};

class CopyProbe final : public GpuProbe {
 public:
  CopyProbe(const SharedGpu& gpu, uint64_t slots, int passes)
      : GpuProbe(gpu), from_(slots), passes_(passes) {}

 protected:
  void allocate() override {
    from_.fill(stream(), device_memory(from_.bytes(), "the probe memory_copy"));
    to_ = device_memory(from_.bytes(), "the probe memory_copy");
    wrong_ = device_memory(sizeof(unsigned long long), "the probe memory_copy");
  }
  void prepare() override { poison(to_, from_.bytes()); }
  void work() override {
    const int blocks = static_cast<int>(from_.size() / (kLoads * kBlock));
    for (int i = 0; i < passes_; ++i) {
      launch_kernel(stream(), copy_slots, blocks, kBlock, 0, from_.get(),
                    static_cast<uint4*>(to_.get()));
    }
  }
  void check() override {
    PENDULA_CUDA_CHECK(cudaMemsetAsync(wrong_.get(), 0, sizeof(unsigned long long), stream()));
    launch_kernel(stream(), count_wrong_slots, static_cast<int>(from_.size() / kBlock), kBlock, 0,
                  static_cast<const uint4*>(to_.get()),
                  static_cast<unsigned long long*>(wrong_.get()));
    const uint64_t count = read<unsigned long long>(wrong_, 1)[0];
    if (count != 0) wrong("memory_copy", std::to_string(count) + " slots are not what was copied");
  }

 private:
  Slots from_;
  int passes_;
  DeviceMemory to_, wrong_;
};

class ReadProbe final : public GpuProbe {
 public:
  ReadProbe(const SharedGpu& gpu, uint64_t slots, int passes, int blocks)
      : GpuProbe(gpu), from_(slots), passes_(passes), blocks_(blocks) {
    for (uint64_t s = 0; s < slots; ++s) {
      for (uint32_t i = 0; i < 4; ++i) expected_ += slot_word(static_cast<uint32_t>(s), i);
    }
    expected_ *= static_cast<uint32_t>(passes);
  }

 protected:
  void allocate() override {
    from_.fill(stream(), device_memory(from_.bytes(), "the probe l2_read"));
    sums_ = device_memory(threads() * sizeof(uint32_t), "the probe l2_read");
  }
  void prepare() override { poison(sums_, threads() * sizeof(uint32_t)); }
  void work() override {
    launch_kernel(stream(), read_slots, blocks_, kBlock, 0, from_.get(), from_.size(), passes_,
                  static_cast<uint32_t*>(sums_.get()));
  }
  void check() override {
    const std::vector<uint32_t> sums = read<uint32_t>(sums_, threads());
    if (std::accumulate(sums.begin(), sums.end(), 0u) != expected_) {
      wrong("l2_read", "the sum of what was read is not that of what is there");
    }
  }

 private:
  uint64_t threads() const { return static_cast<uint64_t>(blocks_) * kBlock; }

  Slots from_;
  int passes_, blocks_;
  DeviceMemory sums_;
  uint32_t expected_ = 0;
};

template <int kLanes>
class GatherProbe final : public GpuProbe {
 public:
  GatherProbe(const SharedGpu& gpu, std::shared_ptr<Slots> from, int turns, int blocks)
      : GpuProbe(gpu), from_(std::move(from)), turns_(turns), blocks_(blocks) {}

  double gathers() const { return static_cast<double>(slots_read()) / kLanes; }

 protected:
  void allocate() override {
    if (!from_->filled()) {
      from_->fill(stream(), device_memory(from_->bytes(), "the probes gather_*"));
    }
    right_ = device_memory(threads() * sizeof(uint32_t), "the probes gather_*");
  }
  void prepare() override { poison(right_, threads() * sizeof(uint32_t)); }
  void work() override {
    const uint32_t mask = static_cast<uint32_t>(from_->size() / kLanes - 1);
    launch_kernel(stream(), gather_slots<kLanes>, blocks_, kBlock, 0, from_->get(), mask, turns_,
                  static_cast<uint32_t*>(right_.get()));
  }
  void check() override {
    const std::vector<uint32_t> right = read<uint32_t>(right_, threads());
    const uint64_t sum = std::accumulate(right.begin(), right.end(), uint64_t{0});
    if (sum != slots_read()) {
      wrong("gather_" + std::to_string(kLanes * kSlotBytes),
            std::to_string(sum) + " of " + std::to_string(slots_read()) + " slots are right");
    }
  }

 private:
  uint64_t threads() const { return static_cast<uint64_t>(blocks_) * kBlock; }
  uint64_t slots_read() const { return threads() * static_cast<uint64_t>(turns_) * kLoads; }

  std::shared_ptr<Slots> from_;
  int turns_, blocks_;
  DeviceMemory right_;
};

template <int kLanes>
void add_gather(const SharedGpu& gpu, const std::shared_ptr<Slots>& from, const char* suffix,
                int turns, std::vector<Probe>& probes) {
  const int blocks = gpu->multiprocessors * (gpu->small ? 1 : kBlocksPerSm);
  const auto probe = std::make_shared<GatherProbe<kLanes>>(gpu, from, turns, blocks);
  const double bytes = kLanes * kSlotBytes;
  probes.push_back(make_probe(
      "gather_" + std::to_string(kLanes * kSlotBytes) + suffix, "gathers_per_second",
      probe->gathers(), {{"bytes", bytes}, {"buffer_bytes", static_cast<double>(from->bytes())}},
      "", probe));
}

// The largest power of two that is not above n.
uint64_t power_of_two(uint64_t n) {
  uint64_t p = 1;
  while (2 * p <= n) p *= 2;
  return p;
}

}  // namespace

void add_memory_probes(const SharedGpu& gpu, std::vector<Probe>& probes) {
  const bool small = gpu->small;
  // 1 GiB each way, L2 being 126 MiB at most: 2 GiB at 4.3 TB/s take 0.5 ms.
  const uint64_t copied = small ? 4 * kLoads * kBlock : (1ull << 30) / kSlotBytes;
  const int copies = small ? 2 : 20;
  const double copied_bytes = static_cast<double>(copied * kSlotBytes);
  probes.push_back(make_probe("memory_copy", "bytes_per_second", 2.0 * copied_bytes * copies,
                              {{"bytes", copied_bytes}}, "",
                              std::make_shared<CopyProbe>(gpu, copied, copies)));

  // 1,024 threads with 64 bytes in flight each keep 64 KiB under way per multiprocessor, more than
  // its share of L2's bandwidth times latency (5.5 TB/s x 0.3 us / 132 = 13 KiB).
  const int blocks = gpu->multiprocessors * (small ? 1 : kBlocksPerSm);
  const uint64_t unit = static_cast<uint64_t>(blocks) * kBlock * kLoads;
  const uint64_t half = std::max<uint64_t>(gpu->l2_bytes / 2 / kSlotBytes, 1 << 16);
  const uint64_t held = small ? unit : std::max(half / unit, uint64_t{1}) * unit;
  const double held_bytes = static_cast<double>(held * kSlotBytes);
  const int passes = small ? 2 : static_cast<int>(50e9 / held_bytes) + 1;  // 9 ms at 5.5 TB/s
  probes.push_back(make_probe("l2_read", "bytes_per_second", held_bytes * passes,
                              {{"bytes", held_bytes}}, "",
                              std::make_shared<ReadProbe>(gpu, held, passes, blocks)));

  const auto far = std::make_shared<Slots>(small ? 1 << 14 : (1ull << 30) / kSlotBytes);
  const auto near = std::make_shared<Slots>(small ? 1 << 12 : power_of_two(half));
  const int far_turns = small ? 1 : 512, near_turns = small ? 1 : 2048;
  add_gather<1>(gpu, far, "", far_turns, probes);
  add_gather<2>(gpu, far, "", far_turns, probes);
  add_gather<4>(gpu, far, "", far_turns, probes);
  add_gather<1>(gpu, near, "_l2", near_turns, probes);
  add_gather<2>(gpu, near, "_l2", near_turns, probes);
  add_gather<4>(gpu, near, "_l2", near_turns, probes);
}

}  // namespace pendula
