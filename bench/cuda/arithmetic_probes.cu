// fma and tensor_*: floating-point operations per second with every operand in registers.
#include <cmath>

#include "bench/cuda/gpu_probe.h"
#include "kernels/launch.h"

namespace pendula {
namespace {

constexpr int kBlock = 256;  // threads

// ---- fma: x <- x^2 - 1.9, chaotic in [-1.9, 1.9], so that one wrong bit anywhere shows.

constexpr int kFmaBlocksPerSm = 4;
constexpr int kChains = 8;       // independent ones per thread
constexpr int kChainSteps = 32;  // of one turn of the loop
constexpr int kStarts = 4 * kChains;
constexpr float kMap = -1.9f;

PENDULA_FN float start_of(int chain) { return 0.03f * static_cast<float>(chain + 1); }

// out: (kChains, threads), where thread t's chain i began at start_of(t % 4 * kChains + i).
__global__ void __launch_bounds__(kBlock, kFmaBlocksPerSm)
    iterate_map(int turns, float map, float* out) {
  float x[kChains];
  PENDULA_UNROLL
  for (int i = 0; i < kChains; ++i) {
    x[i] = start_of(static_cast<int>(threadIdx.x % 4) * kChains + i);
  }
  PENDULA_UNROLL_BY(1)
  for (int turn = 0; turn < turns; ++turn) {
    PENDULA_UNROLL
    for (int step = 0; step < kChainSteps; ++step) {
      PENDULA_UNROLL
      for (int i = 0; i < kChains; ++i) x[i] = fmaf(x[i], x[i], map);
    }
  }
  const uint32_t threads = gridDim.x * kBlock;
  PENDULA_UNROLL
  for (int i = 0; i < kChains; ++i) {
    out[static_cast<uint32_t>(i) * threads + blockIdx.x * kBlock + threadIdx.x] = x[i];
  }
}

class FmaProbe final : public GpuProbe {
 public:
  FmaProbe(const SharedGpu& gpu, int turns, int blocks)
      : GpuProbe(gpu), turns_(turns), blocks_(blocks) {}

  double flop() const { return 2.0 * kChainSteps * turns_ * static_cast<double>(results()); }

 protected:
  void allocate() override {
    out_ = device_memory(results() * sizeof(float), "the probe fma");
    expected_.resize(kStarts);
    for (int s = 0; s < kStarts; ++s) expected_[s] = start_of(s);
    for (int step = 0; step < turns_ * kChainSteps; ++step) {
      for (float& x : expected_) x = std::fma(x, x, kMap);
    }
  }
  void prepare() override { poison(out_, results() * sizeof(float)); }
  void work() override {
    launch_kernel(stream(), iterate_map, blocks_, kBlock, 0, turns_, kMap,
                  static_cast<float*>(out_.get()));
  }
  void check() override {
    const std::vector<float> out = read<float>(out_, results());
    const size_t threads = results() / kChains;
    size_t right = 0;
    for (size_t chain = 0; chain < kChains; ++chain) {
      for (size_t t = 0; t < threads; ++t) {
        right += out[chain * threads + t] == expected_[t % 4 * kChains + chain];
      }
    }
    if (right != out.size()) {
      wrong("fma", std::to_string(right) + " of " + std::to_string(out.size()) + " sums are right");
    }
  }

 private:
  size_t results() const { return static_cast<size_t>(blocks_) * kBlock * kChains; }

  int turns_, blocks_;
  DeviceMemory out_;
  std::vector<float> expected_;
};

// ---- tensor_*: C += A B and C += (E - A) B by turns, so that C = start + pairs x E B: all
// integers that every precision holds, and sums that fp32 holds exactly (below 2^21).

constexpr int kTensorBlocksPerSm = 2;
constexpr int kTiles = 8;  // accumulators of a warp, 16 x 8 each

PENDULA_FN int pattern(int i, int j, int values) {
  return static_cast<int>((static_cast<uint32_t>(i * 16 + j + 1) * 0x9e3779b1u >> 16) %
                          static_cast<uint32_t>(values)) -
         values / 2;
}
PENDULA_FN int a_at(int m, int k) { return pattern(m, k, 255); }
PENDULA_FN int e_at(int m, int k) { return pattern(m + 16, k, 3); }
PENDULA_FN int b_at(int k, int n) { return pattern(n + 32, k, 7); }
PENDULA_FN float start_at(int tile) { return static_cast<float>(tile); }

// The fragments of PTX ISA, "Matrix fragments for mma.m16n8k8" and "... mma.m16n8k16". Element h of
// register r of A; register r of B has the terms of A's register 2 r, and the column lane / 4.
struct Element {
  int row, term;
};

struct Tf32 {
  static constexpr const char* kName = "tf32";
  static constexpr int kDepth = 8;
  static constexpr int kHalves = 1;  // elements of a register

  static PENDULA_FN Element element(int lane, int r, int) {
    return {lane / 4 + r % 2 * 8, lane % 4 + r / 2 * 4};
  }
  static __device__ __forceinline__ uint32_t bits(float x) { return to_tf32(x); }
  static __device__ __forceinline__ void mma(float (&c)[4], const uint32_t (&a)[4],
                                             const uint32_t (&b)[2]) {
    mma_tf32(c, a, b[0], b[1]);
  }
};

struct Halves {  // of m16n8k16
  static constexpr int kDepth = 16;
  static constexpr int kHalves = 2;

  static PENDULA_FN Element element(int lane, int r, int h) {
    return {lane / 4 + r % 2 * 8, lane % 4 * 2 + r / 2 * 8 + h};
  }
};

struct Bf16 : Halves {
  static constexpr const char* kName = "bf16";

  static __device__ __forceinline__ uint32_t bits(float x) { return __float_as_uint(x) >> 16; }
  static __device__ __forceinline__ void mma(float (&c)[4], const uint32_t (&a)[4],
                                             const uint32_t (&b)[2]) {
    asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, "
        "{%8,%9}, {%0,%1,%2,%3};"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
  }
};

struct Fp16 : Halves {
  static constexpr const char* kName = "fp16";

  static __device__ __forceinline__ uint32_t bits(float x) {
    uint16_t y;
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(y) : "f"(x));
    return y;
  }
  static __device__ __forceinline__ void mma(float (&c)[4], const uint32_t (&a)[4],
                                             const uint32_t (&b)[2]) {
    asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, "
        "{%8,%9}, {%0,%1,%2,%3};"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
  }
};

// out: (kTiles, 4, threads)
template <class Kind>
__global__ void __launch_bounds__(kBlock, kTensorBlocksPerSm) multiply(int pairs, float* out) {
  const int lane = static_cast<int>(threadIdx.x % 32);
  uint32_t a[4] = {}, rest[4] = {}, b[2] = {};
  PENDULA_UNROLL
  for (int r = 0; r < 4; ++r) {
    PENDULA_UNROLL
    for (int h = 0; h < Kind::kHalves; ++h) {
      const Element e = Kind::element(lane, r, h);
      const int x = a_at(e.row, e.term);
      a[r] |= Kind::bits(static_cast<float>(x)) << (16 * h);
      rest[r] |= Kind::bits(static_cast<float>(e_at(e.row, e.term) - x)) << (16 * h);
      if (r % 2 == 0)
        b[r / 2] |= Kind::bits(static_cast<float>(b_at(e.term, lane / 4))) << (16 * h);
    }
  }
  float c[kTiles][4];
  PENDULA_UNROLL
  for (int t = 0; t < kTiles; ++t) {
    PENDULA_UNROLL
    for (int i = 0; i < 4; ++i) c[t][i] = start_at(t);
  }
  PENDULA_UNROLL_BY(4)
  for (int pair = 0; pair < pairs; ++pair) {
    PENDULA_UNROLL
    for (int t = 0; t < kTiles; ++t) Kind::mma(c[t], a, b);
    PENDULA_UNROLL
    for (int t = 0; t < kTiles; ++t) Kind::mma(c[t], rest, b);
  }
  const uint32_t threads = gridDim.x * kBlock;
  PENDULA_UNROLL
  for (int t = 0; t < kTiles; ++t) {
    PENDULA_UNROLL
    for (int i = 0; i < 4; ++i) {
      out[static_cast<uint32_t>(4 * t + i) * threads + blockIdx.x * kBlock + threadIdx.x] = c[t][i];
    }
  }
}

template <class Kind>
class TensorProbe final : public GpuProbe {
 public:
  TensorProbe(const SharedGpu& gpu, int pairs, int blocks)
      : GpuProbe(gpu), pairs_(pairs), blocks_(blocks) {}

  static std::string name() { return std::string("tensor_") + Kind::kName; }
  double flop() const {
    const double warps = static_cast<double>(threads()) / 32.0;
    return warps * kTiles * 2.0 * pairs_ * (2.0 * 16.0 * 8.0 * Kind::kDepth);
  }

 protected:
  void allocate() override {
    out_ = device_memory(bytes(), ("the probe " + name()).c_str());
    expected_.resize(kTiles * 4 * 32);
    for (int f = 0; f < kTiles * 4; ++f) {
      for (int lane = 0; lane < 32; ++lane) {
        expected_[f * 32 + lane] = expected(f / 4, lane, f % 4);
      }
    }
  }
  void prepare() override { poison(out_, bytes()); }
  void work() override {
    launch_kernel(stream(), multiply<Kind>, blocks_, kBlock, 0, pairs_,
                  static_cast<float*>(out_.get()));
  }
  void check() override {
    const std::vector<float> out = read<float>(out_, bytes() / sizeof(float));
    size_t right = 0;
    for (size_t f = 0; f < kTiles * 4; ++f) {
      for (size_t t = 0; t < threads(); ++t) {
        right += out[f * threads() + t] == expected_[f * 32 + t % 32];
      }
    }
    if (right != out.size()) {
      wrong(name(),
            std::to_string(right) + " of " + std::to_string(out.size()) + " sums are right");
    }
  }

 private:
  size_t threads() const { return static_cast<size_t>(blocks_) * kBlock; }
  size_t bytes() const { return threads() * kTiles * 4 * sizeof(float); }

  // Register i of a lane's accumulator: row lane / 4 (+ 8 for 2, 3), column 2 (lane % 4) + i % 2.
  float expected(int tile, int lane, int i) const {
    int sum = 0;
    for (int k = 0; k < Kind::kDepth; ++k) {
      sum += e_at(lane / 4 + i / 2 * 8, k) * b_at(k, lane % 4 * 2 + i % 2);
    }
    return start_at(tile) + static_cast<float>(pairs_ * sum);
  }

  int pairs_, blocks_;
  DeviceMemory out_;
  std::vector<float> expected_;  // (kTiles, 4, lanes)
};

template <class Kind>
void add_tensor(const SharedGpu& gpu, std::vector<Probe>& probes) {
  const int blocks = gpu->small ? 2 : kTensorBlocksPerSm * gpu->multiprocessors;
  const auto probe = std::make_shared<TensorProbe<Kind>>(gpu, gpu->small ? 3 : 1 << 15, blocks);
  probes.push_back(
      make_probe(probe->name(), "flop_per_second", probe->flop(), {}, Kind::kName, probe));
}

}  // namespace

void add_arithmetic_probes(const SharedGpu& gpu, std::vector<Probe>& probes) {
  const int blocks = gpu->small ? 2 : kFmaBlocksPerSm * gpu->multiprocessors;
  const auto fma_probe = std::make_shared<FmaProbe>(gpu, gpu->small ? 2 : 1 << 13, blocks);
  probes.push_back(make_probe("fma", "flop_per_second", fma_probe->flop(), {}, "fp32", fma_probe));
  add_tensor<Tf32>(gpu, probes);
  add_tensor<Bf16>(gpu, probes);
  add_tensor<Fp16>(gpu, probes);
}

}  // namespace pendula
