// kernels/mlp.h against the reference: outputs, gradients and the input's gradient of whole
// networks.
#pragma once

#include "kernels/mlp.h"
#include "tests/kernels/arena.h"

namespace pendula {

// Two tiles one after the other: the first overwrites the gradient, the second adds to it.
template <class T>
struct MlpProgram {
  static constexpr int kTiles = 2;
  NetworkLayout net;
  const T* params;
  const T* x;        // (tiles, in, kRows)
  const T* delta;    // (tiles, out, kRows)
  T *output, *lean;  // (tiles, out, kRows); lean: of the pass that keeps nothing
  T* grad;           // (count)
  T* dx;             // (tiles, in, kRows)

  PENDULA_FN int grid() const { return 1; }
  template <class B>
  PENDULA_FN void operator()(B& b) const {
    const int in = net.size[0], out = net.size[net.layers];
    T* bx = b.template shared<T>(in * B::kLd);
    T* bd = b.template shared<T>(out * B::kLd);
    T* ones = b.template shared<T>(B::kLd);
    const Hidden<T> kept = allocate_hidden<T>(b, net, true);
    const Hidden<T> turns = allocate_hidden<T>(b, net, false);
    b.for_each(kRows, [=](int n) { ones[n] = T(1); });
    for (int tile = 0; tile < kTiles; ++tile) {
      const T* tx = x + tile * in * kRows;
      const T* td = delta + tile * out * kRows;
      T* to = output + tile * out * kRows;
      T* tl = lean + tile * out * kRows;
      T* tdx = dx + tile * in * kRows;
      b.for_each(in * kRows, [=](int i) { bx[i / kRows * B::kLd + i % kRows] = tx[i]; });
      b.for_each(out * kRows, [=](int i) { bd[i / kRows * B::kLd + i % kRows] = td[i]; });
      b.sync();
      forward_hidden(b, net, kRows, params, bx, turns);
      forward_head(b, net, kRows, params, bx, turns,
                   [=](int m, int n, auto v) { store(tl + m * kRows + n, v); });
      forward_hidden(b, net, kRows, params, bx, kept);
      forward_head(b, net, kRows, params, bx, kept,
                   [=](int m, int n, auto v) { store(to + m * kRows + n, v); });
      b.sync();
      backward(b, net, kRows, params, bx, kept, bd, ones, grad, tile == 0);
      b.sync();
      input_delta(b, net, kRows, params, kept, bd, 0, in,
                  [=](int m, int n, auto v) { store(tdx + m * kRows + n, v); });
      b.sync();
    }
  }
};

inline NetworkLayout make_layout(const std::vector<int>& sizes, Activation activation) {
  NetworkLayout net{};
  net.activation = activation;
  net.layers = static_cast<int32_t>(sizes.size()) - 1;
  for (size_t i = 0; i < sizes.size(); ++i) {
    net.size[i] = sizes[i];
    if (i > 0 && i + 1 < sizes.size()) net.widest = std::max(net.widest, sizes[i]);
  }
  const auto take = [&](int n) {
    const uint32_t at = net.count;
    net.count += (static_cast<uint32_t>(n) + 63) / 64 * 64;
    return at;
  };
  for (int l = 0; l < net.layers; ++l) {
    net.weight[l] = take(net.size[l] * net.size[l + 1]);
    net.bias[l] = take(net.size[l + 1]);
  }
  return net;
}

template <class T>
std::vector<T> random_values(size_t n, double bound, std::mt19937& random) {
  std::uniform_real_distribution<double> u(-bound, bound);
  std::vector<T> x(n);
  for (T& v : x) v = static_cast<T>(u(random));
  return x;
}

template <class Runner, class T>
void check_mlp(const std::vector<int>& sizes, Activation activation) {
  const NetworkLayout net = make_layout(sizes, activation);
  std::mt19937 random(static_cast<uint32_t>(net.count));
  std::vector<T> params(net.count, T(0));
  fill_network(net, random, params.data());
  const size_t in = static_cast<size_t>(sizes.front()), out = static_cast<size_t>(sizes.back());
  constexpr size_t kTiles = MlpProgram<T>::kTiles;
  const std::vector<T> x = random_values<T>(kTiles * in * kRows, 2.0, random);
  const std::vector<T> delta = random_values<T>(kTiles * out * kRows, 1.0, random);
  using Buffer = typename Runner::template Buffer<T>;
  const Buffer bp(params), bx(x), bd(delta), bo(delta.size()), bl(delta.size()), bdx(x.size());
  Buffer bg(std::vector<T>(net.count, T(0)));
  Runner::run(MlpProgram<T>{net, bp.data(), bx.data(), bd.data(), bo.data(), bl.data(), bg.data(),
                            bdx.data()});

  const reference::Network mlp = reference::unpack(net, params.data());
  reference::Network grad = reference::zeros_like(mlp);
  std::vector<double> want(delta.size()), want_dx(x.size());
  for (size_t row = 0; row < kTiles * kRows; ++row) {
    const size_t tile = row / kRows, n = row % kRows;
    reference::Vector input(in), d(out);
    for (size_t i = 0; i < in; ++i) input[i] = x[(tile * in + i) * kRows + n];
    for (size_t i = 0; i < out; ++i) d[i] = delta[(tile * out + i) * kRows + n];
    const reference::Pass pass = reference::forward(mlp, input);
    const reference::Vector dx = reference::backward(mlp, pass, d, grad);
    for (size_t i = 0; i < out; ++i) want[(tile * out + i) * kRows + n] = pass.output()[i];
    for (size_t i = 0; i < in; ++i) want_dx[(tile * in + i) * kRows + n] = dx[i];
  }
  // One product's error per layer, of sums that cancel in part, and one for each rounding of
  // slopes.
  const double tolerance = 10.0 * gemm_tolerance<Runner, T>();
  const double backward = gradient_tolerance<Runner, T>(activation);
  const std::vector<T> got = bo.download();
  expect_near_norm(got.data(), want.data(), want.size(), tolerance, 0.0, "output");
  EXPECT_EQ(bl.download(), got) << "the pass that keeps nothing";
  expect_near_norm(bdx.download().data(), want_dx.data(), want_dx.size(), backward, 0.0, "dx");
  expect_near_network(net, bg.download().data(), reference::pack(net, grad).data(), backward,
                      "grad");
}

template <class Runner, class T>
void check_all_mlps() {
  const std::vector<std::vector<int>> hidden = {{},       {1},    {31},      {33, 17},
                                                {64, 64}, {1000}, {400, 300}};
  for (Activation a : {Activation::kRelu, Activation::kTanh, Activation::kSilu}) {
    for (const auto& h : hidden) {
      if (h.size() == 2 && h[0] == 400 && std::string(Runner::kName) == "shuffle") continue;
      for (auto [in, out] : {std::pair{4, 1}, std::pair{3, 5}}) {
        std::vector<int> sizes = {in};
        sizes.insert(sizes.end(), h.begin(), h.end());
        sizes.push_back(out);
        SCOPED_TRACE(testing::Message() << "activation " << static_cast<int>(a) << ", sizes "
                                        << testing::PrintToString(sizes));
        check_mlp<Runner, T>(sizes, a);
      }
    }
  }
}

template <class Runner>
class MlpTest : public testing::Test {};
TYPED_TEST_SUITE(MlpTest, Runners, RunnerNames);

TYPED_TEST(MlpTest, OutputsAndGradients) { check_all_mlps<TypeParam, float>(); }
TYPED_TEST(MlpTest, OutputsAndGradientsInDouble) {
  if constexpr (!TypeParam::kIsCuda) check_all_mlps<TypeParam, double>();
}

// A NaN goes on to the loss, where it is looked for: no activation turns it into a number.
TYPED_TEST(MlpTest, ANaNReachesItsRowsOutputAndNoOther) {
  constexpr size_t kIn = 3, kOut = 2, kBad = 13;
  for (Activation activation : {Activation::kRelu, Activation::kTanh, Activation::kSilu}) {
    const NetworkLayout net = make_layout({kIn, 9, 5, kOut}, activation);
    std::mt19937 random(4);
    std::vector<float> params(net.count, 0.0f);
    fill_network(net, random, params.data());
    std::vector<float> x = random_values<float>(2 * kIn * kRows, 2.0, random);
    x[kRows + kBad] = std::nanf("");
    using Buffer = typename TypeParam::template Buffer<float>;
    const Buffer bp(params), bx(x), bd(std::vector<float>(2 * kOut * kRows, 0.0f));
    const Buffer bo(2 * kOut * kRows), bl(2 * kOut * kRows), bg(net.count), bdx(x.size());
    TypeParam::run(MlpProgram<float>{net, bp.data(), bx.data(), bd.data(), bo.data(), bl.data(),
                                     bg.data(), bdx.data()});
    const std::vector<float> got = bo.download();
    for (size_t i = 0; i < kOut; ++i) {
      for (size_t n = 0; n < kRows; ++n) {
        EXPECT_EQ(std::isnan(got[i * kRows + n]), n == kBad) << static_cast<int>(activation);
      }
    }
  }
}

}  // namespace pendula
