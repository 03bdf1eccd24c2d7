// cublas_forward, cublas_backward, cublas_gradient: what cuBLAS makes of the products of one hidden
// layer, one product at a time, to be held against updates, which do all of a network's in a few
// kernels. X (batch, inputs), W (outputs, inputs), D (batch, outputs), row-major:
//
//   forward    X W^T    (batch, outputs), in the precision of the operands
//   backward   D W      (batch, inputs), likewise
//   gradient   D^T X    (outputs, inputs), in fp32
//
// cuBLAS is opened at run time: nothing else needs it.
#include <cublas_v2.h>
#include <dlfcn.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "bench/cuda/gpu_probe.h"
#include "host/cuda/graphs.h"
#include "host/error.h"

namespace pendula {
namespace {

constexpr const char* kLibrary = "libcublas.so.13";
constexpr int kPeriod = 64;  // rows of X and D, after which they repeat themselves
constexpr uint64_t kWorkspaceBytes = 32u
                                     << 20;  // as the manual wants it for compute capability 9.0
constexpr double kCallSeconds = 8e-3;
constexpr double kNodeSeconds = 1e-6;
constexpr int kNodes = 100;

// What is used of cuBLAS.
struct Cublas {
  decltype(&cublasCreate_v2) create = nullptr;
  decltype(&cublasDestroy_v2) destroy = nullptr;
  decltype(&cublasSetStream_v2) set_stream = nullptr;
  decltype(&cublasSetWorkspace_v2) set_workspace = nullptr;
  decltype(&cublasGetStatusString) status_string = nullptr;
  cublasStatus_t (*gemm)(cublasHandle_t, cublasOperation_t, cublasOperation_t, int, int, int,
                         const void*, const void*, cudaDataType, int, const void*, cudaDataType,
                         int, const void*, void*, cudaDataType, int, cublasComputeType_t,
                         cublasGemmAlgo_t) = nullptr;
  std::string problem;

  Cublas() {
    void* library = dlopen(kLibrary, RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) {
      problem = std::string("there is no ") + kLibrary +
                "; install cuBLAS, of the CUDA 13 toolkit, to compare with it";
      return;
    }
    bool complete = true;
    const auto find = [&](const char* name, auto& function) {
      void* symbol = dlsym(library, name);
      std::memcpy(&function, &symbol, sizeof symbol);
      complete = complete && symbol != nullptr;
    };
    find("cublasCreate_v2", create);
    find("cublasDestroy_v2", destroy);
    find("cublasSetStream_v2", set_stream);
    find("cublasSetWorkspace_v2", set_workspace);
    find("cublasGetStatusString", status_string);
    find("cublasGemmEx", gemm);
    if (!complete) problem = std::string(kLibrary) + " is not whole; install it anew";
  }

  static const Cublas& instance() {
    static const Cublas one;
    return one;
  }
  void check(cublasStatus_t status, const char* call) const {
    if (status == CUBLAS_STATUS_SUCCESS) return;
    throw Error(status == CUBLAS_STATUS_ALLOC_FAILED ? ExitCode::kMemory : ExitCode::kDevice,
                std::string(call) + " failed: " + status_string(status));
  }
};

enum class Kind { kForward, kBackward, kGradient };

constexpr const char* name_of(Kind kind) {
  return kind == Kind::kForward    ? "cublas_forward"
         : kind == Kind::kBackward ? "cublas_backward"
                                   : "cublas_gradient";
}

struct Layer {
  int batch, inputs, outputs;
};

// -1, 0 or 1: every product and every sum is exact. tensor: one of X, W, D.
int element(int tensor, int row, int column) {
  const uint32_t hash =
      (static_cast<uint32_t>(row) * 1009u + static_cast<uint32_t>(column) * 7919u +
       static_cast<uint32_t>(tensor + 1)) *
      0x9e3779b1u;
  return static_cast<int>((hash >> 16) % 3u) - 1;
}
enum Tensor { kX, kW, kD };

class ProductProbe final : public GpuProbe {
 public:
  ProductProbe(const SharedGpu& gpu, Kind kind, const Layer& layer, bool bf16)
      : GpuProbe(gpu), kind_(kind), layer_(layer), bf16_(bf16) {
    const double seconds = std::max(flop() / (bf16 ? 500e12 : 250e12), kNodeSeconds);
    nodes_ = size(kNodes, 2);
    launches_ = std::max(1, size(static_cast<int>(std::ceil(kCallSeconds / seconds / kNodes)), 1));
  }
  ~ProductProbe() override {
    if (handle_ != nullptr) Cublas::instance().destroy(handle_);
  }

  double work_of_a_call() const { return flop() * nodes_ * launches_; }

 protected:
  void allocate() override {
    const Cublas& cublas = Cublas::instance();
    if (!cublas.problem.empty()) throw Error(ExitCode::kDevice, cublas.problem);
    const auto [batch, inputs, outputs] = layer_;
    const bool gradient = kind_ == Kind::kGradient;
    const bool backward = kind_ == Kind::kBackward;
    left_ = gradient   ? rows_of(kD, batch, outputs)
            : backward ? rows_of(kD, batch, outputs)
                       : rows_of(kX, batch, inputs);
    right_ = gradient ? rows_of(kX, batch, inputs) : whole(kW, outputs, inputs);
    out_ = device_memory(out_bytes(), "a probe of cuBLAS");
    expect();
    cublas.check(cublas.create(&handle_), "cublasCreate");
    workspace_ = device_memory(kWorkspaceBytes, "a probe of cuBLAS");
    cublas.check(cublas.set_stream(handle_, stream()), "cublasSetStream");
    cublas.check(cublas.set_workspace(handle_, workspace_.get(), kWorkspaceBytes),
                 "cublasSetWorkspace");
    multiply();  // loads its kernels, which no capture can
    graph_ = make_graph(stream(), [&] {
      for (int i = 0; i < nodes_; ++i) multiply();
    });
  }
  void prepare() override { poison(out_, out_bytes()); }
  void work() override {
    for (int i = 0; i < launches_; ++i) {
      PENDULA_CUDA_CHECK(cudaGraphLaunch(graph_.get(), stream()));
    }
  }
  // The first and the last rows; of a gradient, which is a sum over all rows, every element.
  void check() override {
    const size_t n = expected_.size();
    for (const uint64_t at : {uint64_t{0}, out_elements() - n}) {
      std::vector<char> bytes(n * out_element_bytes());
      PENDULA_CUDA_CHECK(cudaMemcpyAsync(
          bytes.data(), static_cast<const char*>(out_.get()) + at * out_element_bytes(),
          bytes.size(), cudaMemcpyDeviceToHost, stream()));
      synchronise();
      size_t right = 0;
      for (size_t i = 0; i < n; ++i) right += is_right(bytes.data(), i);
      if (right != n) {
        wrong(name_of(kind_),
              std::to_string(right) + " of " + std::to_string(n) + " sums are right");
      }
    }
  }

 private:
  double flop() const {
    return 2.0 * layer_.batch * static_cast<double>(layer_.inputs) * layer_.outputs;
  }
  size_t element_bytes() const { return bf16_ ? 2 : 4; }
  bool out_is_bf16() const { return bf16_ && kind_ != Kind::kGradient; }
  size_t out_element_bytes() const { return out_is_bf16() ? 2 : 4; }
  int out_columns() const { return kind_ == Kind::kForward ? layer_.outputs : layer_.inputs; }
  uint64_t out_elements() const {
    const int rows = kind_ == Kind::kGradient ? layer_.outputs : layer_.batch;
    return static_cast<uint64_t>(rows) * static_cast<uint64_t>(out_columns());
  }
  uint64_t out_bytes() const { return out_elements() * out_element_bytes(); }

  // Whole numbers up to 256 are exact in bf16, larger ones rounded.
  bool is_right(const char* bytes, size_t i) const {
    float got = 0.0f;
    if (out_is_bf16()) {
      uint16_t high = 0;
      std::memcpy(&high, bytes + 2 * i, 2);
      const uint32_t word = static_cast<uint32_t>(high) << 16;
      std::memcpy(&got, &word, 4);
    } else {
      std::memcpy(&got, bytes + 4 * i, 4);
    }
    const double error = std::fabs(static_cast<double>(got) - expected_[i]);
    return error <= (out_is_bf16() ? std::fabs(expected_[i]) / 256.0 : 0.0);
  }

  std::vector<char> encoded(int tensor, int rows, int columns) const {
    std::vector<char> bytes;
    for (int r = 0; r < rows; ++r) {
      for (int c = 0; c < columns; ++c) {
        const float x = static_cast<float>(element(tensor, r, c));
        const char* from = reinterpret_cast<const char*>(&x);
        bytes.insert(bytes.end(), from + (bf16_ ? 2 : 0), from + 4);  // its upper half is bf16
      }
    }
    return bytes;
  }
  DeviceMemory whole(int tensor, int rows, int columns) const {
    const std::vector<char> bytes = encoded(tensor, rows, columns);
    DeviceMemory memory = device_memory(bytes.size(), "a probe of cuBLAS");
    PENDULA_CUDA_CHECK(cudaMemcpyAsync(memory.get(), bytes.data(), bytes.size(),
                                       cudaMemcpyHostToDevice, stream()));
    synchronise();
    return memory;
  }
  // kPeriod rows, again and again.
  DeviceMemory rows_of(int tensor, int rows, int columns) const {
    const std::vector<char> bytes = encoded(tensor, kPeriod, columns);
    DeviceMemory memory =
        device_memory(bytes.size() * static_cast<uint64_t>(rows / kPeriod), "a probe of cuBLAS");
    char* to = static_cast<char*>(memory.get());
    for (int r = 0; r < rows; r += kPeriod, to += bytes.size()) {
      PENDULA_CUDA_CHECK(
          cudaMemcpyAsync(to, bytes.data(), bytes.size(), cudaMemcpyHostToDevice, stream()));
    }
    synchronise();
    return memory;
  }

  // The result's first kPeriod rows; of a gradient all.
  void expect() {
    const auto [batch, inputs, outputs] = layer_;
    const bool gradient = kind_ == Kind::kGradient;
    const int rows = gradient ? outputs : kPeriod;
    const int terms = gradient ? kPeriod : kind_ == Kind::kForward ? inputs : outputs;
    const auto left = [&](int r, int t) {
      return gradient ? element(kD, t, r) : element(kind_ == Kind::kForward ? kX : kD, r, t);
    };
    const auto right = [&](int t, int c) {
      return gradient                  ? element(kX, t, c)
             : kind_ == Kind::kForward ? element(kW, c, t)
                                       : element(kW, t, c);
    };
    for (int r = 0; r < rows; ++r) {
      for (int c = 0; c < out_columns(); ++c) {
        int sum = 0;
        for (int t = 0; t < terms; ++t) sum += left(r, t) * right(t, c);
        expected_.push_back(gradient ? sum * (batch / kPeriod) : sum);
      }
    }
  }

  // cuBLAS is column-major: what it sees are the transposes, and so right comes before left.
  void multiply() {
    const Cublas& cublas = Cublas::instance();
    const auto [batch, inputs, outputs] = layer_;
    const bool gradient = kind_ == Kind::kGradient, forward = kind_ == Kind::kForward;
    const float one = 1.0f, zero = 0.0f;
    const cudaDataType type = bf16_ ? CUDA_R_16BF : CUDA_R_32F;
    cublas.check(
        cublas.gemm(handle_, forward ? CUBLAS_OP_T : CUBLAS_OP_N,
                    gradient ? CUBLAS_OP_T : CUBLAS_OP_N, out_columns(), gradient ? outputs : batch,
                    gradient  ? batch
                    : forward ? inputs
                              : outputs,
                    &one, right_.get(), type, inputs, left_.get(), type, forward ? inputs : outputs,
                    &zero, out_.get(), out_is_bf16() ? CUDA_R_16BF : CUDA_R_32F, out_columns(),
                    bf16_ ? CUBLAS_COMPUTE_32F : CUBLAS_COMPUTE_32F_FAST_TF32, CUBLAS_GEMM_DEFAULT),
        "cublasGemmEx");
  }

  const Kind kind_;
  const Layer layer_;
  const bool bf16_;
  int nodes_, launches_;
  cublasHandle_t handle_ = nullptr;
  DeviceMemory left_, right_, out_, workspace_;
  CudaGraphExec graph_;
  std::vector<double> expected_;
};

// The hidden layers of the networks that `update` measures (bench/sizes.cpp), but the first.
std::vector<Layer> layers(bool small) {
  if (small) return {{128, 48, 64}};
  std::vector<Layer> all;
  for (const int batch : {8192, 131072}) {
    for (const auto& [inputs, outputs] : std::vector<std::pair<int, int>>{
             {64, 64}, {256, 256}, {400, 300}, {1000, 500}, {500, 200}}) {
      all.push_back({batch, inputs, outputs});
    }
  }
  return all;
}

}  // namespace

void add_product_probes(const SharedGpu& gpu, std::vector<Probe>& probes) {
  for (const Kind kind : {Kind::kForward, Kind::kBackward, Kind::kGradient}) {
    for (const bool bf16 : {false, true}) {
      for (const Layer& l : layers(gpu->small)) {
        const auto probe = std::make_shared<ProductProbe>(gpu, kind, l, bf16);
        probes.push_back(
            make_probe(name_of(kind), "flop_per_second", probe->work_of_a_call(),
                       {{"batch", l.batch}, {"inputs", l.inputs}, {"outputs", l.outputs}},
                       bf16 ? "bf16" : "tf32", probe));
        probes.back().not_measured = Cublas::instance().problem;
      }
    }
  }
}

}  // namespace pendula
