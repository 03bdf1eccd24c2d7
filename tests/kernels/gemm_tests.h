// The block's primitives: gemm and gemm_fp32 over all layouts that programs use, for_each,
// for_lanes and reduce.
#pragma once

#include <array>

#include "kernels/matrix.h"
#include "tests/kernels/arena.h"

namespace pendula {

template <class T>
struct GemmProgram {
  int M, N, K;
  Matrix<T> A, B;
  T* C;
  int ldc;
  bool fp32;

  PENDULA_FN int grid() const { return 1; }
  template <class Block>
  PENDULA_FN void operator()(Block& b) const {
    T* c = C;
    const int ld = ldc;
    const auto epilogue = [=](int m, int n, auto v) { store(c + m * ld + n, v); };
    if (fp32) {
      b.template gemm_fp32<T>(M, N, K, A, B, epilogue);
    } else {
      b.template gemm<T>(M, N, K, A, B, epilogue);
    }
  }
};

enum class Layout { kRowMajor, kTransposed, kStrided };

// A rows x columns operand in a buffer of its own; NaN wherever nothing belongs to it.
template <class Runner, class T>
struct Operand {
  typename Runner::template Buffer<T> buffer;
  Matrix<T> matrix;
  std::vector<double> values;  // row-major

  Operand(int rows, int columns, Layout layout, std::mt19937& random)
      : buffer(elements(rows, columns)) {
    int row = 1, col = 1;
    if (layout == Layout::kRowMajor) row = padded(columns);
    if (layout == Layout::kTransposed) col = rows + 3;
    if (layout == Layout::kStrided) row = 2 * columns + 1, col = 2;
    matrix = {buffer.data(), row, col};
    std::vector<T> all = buffer.download();
    std::uniform_real_distribution<double> u(-1.0, 1.0);
    for (int r = 0; r < rows; ++r) {
      for (int c = 0; c < columns; ++c) {
        const T x = static_cast<T>(u(random));
        all[static_cast<size_t>(r * row + c * col)] = x;
        values.push_back(x);
      }
    }
    buffer.upload(all);
  }
  // Whole registers are read from a row: its length must allow that, as kLd does.
  static int padded(int n) { return (n + 63) / 64 * 64 + 16; }
  static size_t elements(int rows, int columns) {
    return static_cast<size_t>((rows + 3) * (padded(columns) + columns + 3));
  }
};

template <class Runner, class T>
void check_gemm(int M, int N, int K, Layout a, Layout b, bool fp32) {
  std::mt19937 random(static_cast<uint32_t>(M * 31 + N * 7 + K));
  const Operand<Runner, T> A(M, K, a, random), B(K, N, b, random);
  const int ldc = N + 5;
  typename Runner::template Buffer<T> C(static_cast<size_t>(M * ldc));
  Runner::run(GemmProgram<T>{M, N, K, A.matrix, B.matrix, C.data(), ldc, fp32});
  const std::vector<T> c = C.download();
  // Sums of K terms of random sign: rounding errors grow as their partial sums, far below K.
  const double relative = fp32 && sizeof(T) == 4 ? 1e-6 : gemm_tolerance<Runner, T>();
  double worst = 0.0;
  size_t outside = 0;
  for (int m = 0; m < M; ++m) {
    for (int n = 0; n < ldc; ++n) {
      const double got = c[static_cast<size_t>(m * ldc + n)];
      if (n >= N) {
        outside += std::isnan(got) ? 0 : 1;
        continue;
      }
      double want = 0.0, size = 0.0;
      for (int k = 0; k < K; ++k) {
        const double p =
            A.values[static_cast<size_t>(m * K + k)] * B.values[static_cast<size_t>(k * N + n)];
        want += p;
        size += std::fabs(p);
      }
      const double error = std::fabs(got - want) / size;
      if (!(error <= worst)) worst = error;
    }
  }
  EXPECT_TRUE(worst <= relative) << "off by " << worst;
  EXPECT_EQ(outside, 0u) << "elements written beyond a row of C";
}

template <class Runner, class T>
void check_all_gemms() {
  std::vector<std::array<int, 3>> sizes = {
      {1000, 1, 33}, {33, 1000, 31}, {31, 33, 1000}, {64, 64, 64},  {6, 64, 1},  {400, 64, 30},
      {1, 64, 1000}, {4, 5, 64},     {5, 4, 64},     {40, 70, 200}, {33, 8, 129}};
  for (int m : {1, 5, 31, 33}) {
    for (int n : {1, 5, 31, 33}) {
      for (int k : {1, 5, 31, 33}) sizes.push_back({m, n, k});
    }
  }
  for (const auto& [m, n, k] : sizes) {
    for (Layout a : {Layout::kRowMajor, Layout::kTransposed, Layout::kStrided}) {
      for (Layout b : {Layout::kRowMajor, Layout::kTransposed}) {
        for (bool fp32 : {false, true}) {
          SCOPED_TRACE(testing::Message()
                       << m << " x " << n << " x " << k << " layouts " << static_cast<int>(a) << " "
                       << static_cast<int>(b) << (fp32 ? " fp32" : ""));
          check_gemm<Runner, T>(m, n, k, a, b, fp32);
        }
      }
    }
  }
}

template <class Runner>
class GemmTest : public testing::Test {};
TYPED_TEST_SUITE(GemmTest, Runners, RunnerNames);

TYPED_TEST(GemmTest, ProductsOfAllLayoutsAndSizes) { check_all_gemms<TypeParam, float>(); }
TYPED_TEST(GemmTest, ProductsInDouble) {
  if constexpr (!TypeParam::kIsCuda) check_all_gemms<TypeParam, double>();
}

template <class T>
struct LoopProgram {
  int n;
  const T* in;  // (n), padded to 16
  T* each;      // (n): how often for_each came by
  T* lanes;     // (n), padded to 16: 2 in + index
  T* sums;      // (grid * 64): the block's sum, as each thread of it sees it

  PENDULA_FN int grid() const { return 3; }
  template <class B>
  PENDULA_FN void operator()(B& b) const {
    const LoopProgram p = *this;
    if (b.index() == 0) {
      b.for_each(n, [=](int i) { p.each[i] += T(1); });
      b.template for_lanes<T>(n, [=](int i, auto tag) {
        using V = decltype(tag);
        const V x = load_as<V>(p.in + i);
        store(p.lanes + i, x + x);
      });
    }
    const T scale = static_cast<T>(b.index() + 1);
    const T sum = b.template reduce<T>(n, [=](int i) { return p.in[i] * scale; });
    T* out = sums + b.index() * 64;
    b.for_each(64, [=](int i) { out[i] = sum; });
  }
};

// The order that kernels/block_cpu.h promises: 32 strided sums, then a tree.
template <class T>
T tree_sum(const std::vector<T>& x, size_t n, T scale) {
  T s[32] = {};
  for (size_t i = 0; i < n; ++i) s[i % 32] += x[i] * scale;
  for (size_t d = 16; d > 0; d /= 2) {
    for (size_t j = 0; j < d; ++j) s[j] += s[j + d];
  }
  return s[0];
}

TYPED_TEST(GemmTest, LoopsVisitEveryElementOnceAndSumsHaveTheirOrder) {
  std::mt19937 random(9);
  std::uniform_real_distribution<float> u(-1.0f, 1.0f);
  for (int n : {1, 2, 31, 32, 33, 64, 100, 1000}) {
    SCOPED_TRACE(n);
    const size_t size = static_cast<size_t>(n), padded = (size + 15) / 16 * 16;
    std::vector<float> x(padded);
    for (float& v : x) v = u(random);
    typename TypeParam::template Buffer<float> in(x), each(std::vector<float>(size, 0.0f)),
        lanes(padded), sums(3 * 64);
    TypeParam::run(LoopProgram<float>{n, in.data(), each.data(), lanes.data(), sums.data()});
    EXPECT_EQ(each.download(), std::vector<float>(size, 1.0f));
    const std::vector<float> twice = lanes.download(), s = sums.download();
    for (size_t i = 0; i < size; ++i) EXPECT_EQ(twice[i], x[i] + x[i]);
    for (size_t i = 0; i < s.size(); ++i) {
      EXPECT_EQ(s[i], tree_sum(x, size, static_cast<float>(i / 64 + 1))) << i;
    }
  }
}

}  // namespace pendula
