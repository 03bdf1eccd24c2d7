// kernels/math.h on a runner: errors in units in the last place (ulp) of the exact value rounded to
// float, over the ranges that its header names. The bounds are the ones that the header states.
#pragma once

#include <cfloat>
#include <limits>

#include "kernels/activation.h"
#include "tests/kernels/arena.h"

namespace pendula {

enum class Function { kSin, kCos, kExp, kTanh, kSigmoid, kSqrt, kFloor, kRound, kLog };

template <class V>
PENDULA_FN V apply_function(Function f, V x) {
  switch (f) {
    case Function::kSin:
      return sin(x);
    case Function::kCos:
      return cos(x);
    case Function::kExp:
      return exp(x);
    case Function::kTanh:
      return tanh(x);
    case Function::kSigmoid:
      return sigmoid(x);
    case Function::kSqrt:
      return sqrt(x);
    case Function::kFloor:
      return floor(x);
    case Function::kRound:
      return round(x);
    default:
      return log(x);
  }
}

// out = f(in), by lanes, or one by one. n: a multiple of 16.
template <class T>
struct MathProgram {
  Function function;
  bool by_lanes;
  const T* in;
  T* out;
  int n;

  PENDULA_FN int grid() const { return 1; }
  template <class B>
  PENDULA_FN void operator()(B& b) const {
    const Function f = function;
    const T* x = in;
    T* y = out;
    if (by_lanes) {
      b.template for_lanes<T>(n, [=](int i, auto tag) {
        store(y + i, apply_function(f, load_as<decltype(tag)>(x + i)));
      });
    } else {
      b.for_each(n, [=](int i) { y[i] = apply_function(f, x[i]); });
    }
  }
};

template <class Runner, class T>
std::vector<T> apply_on(Function f, const std::vector<T>& x, bool by_lanes = true) {
  typename Runner::template Buffer<T> in(x), out(x.size());
  Runner::run(MathProgram<T>{f, by_lanes, in.data(), out.data(), static_cast<int>(x.size())});
  return out.download();
}

inline double exact(Function f, double x) {
  switch (f) {
    case Function::kSin:
      return std::sin(x);
    case Function::kCos:
      return std::cos(x);
    case Function::kExp:
      return std::exp(x);
    case Function::kTanh:
      return std::tanh(x);
    case Function::kSigmoid:
      return 1.0 / (1.0 + std::exp(-x));
    case Function::kSqrt:
      return std::sqrt(x);
    case Function::kFloor:
      return std::floor(x);
    case Function::kRound:
      return std::nearbyint(x);
    default:
      return std::log(x);
  }
}

// Distance between y and the exact value in ulps of the latter. NaN is infinitely far.
inline double ulps(float y, double want) {
  const double error = std::fabs(static_cast<double>(y) - want);
  if (std::isnan(error)) return std::numeric_limits<double>::infinity();
  const double ulp = std::ldexp(1.0, std::max(std::ilogb(want == 0.0 ? DBL_MIN : want), -126) - 23);
  return error / ulp;
}

struct WorstMath {
  double ulp = 0.0, absolute = 0.0;
  float at = 0.0f;
};
template <class Runner>
WorstMath worst_of(Function f, std::vector<float> x) {
  while (x.size() % 16 != 0) x.push_back(x.back());
  const std::vector<float> y = apply_on<Runner>(f, x);
  WorstMath worst;
  for (size_t i = 0; i < x.size(); ++i) {
    const double want = exact(f, x[i]);
    const double u = ulps(y[i], want);
    if (!(u <= worst.ulp)) {
      worst.ulp = u;
      worst.at = x[i];
    }
    worst.absolute = std::fmax(worst.absolute, std::fabs(static_cast<double>(y[i]) - want));
  }
  return worst;
}

// Numbers spread evenly over [lo, hi], and over their exponents down to 2^-30, of both signs.
inline std::vector<float> arguments(float lo, float hi, int n = 400000) {
  std::mt19937 random(3);
  std::vector<float> x = {lo, hi};
  std::uniform_real_distribution<float> even(lo, hi);
  std::uniform_real_distribution<float> exponent(-30.0f, std::log2(std::fmax(-lo, hi)));
  for (int i = 0; i < n; ++i) {
    x.push_back(even(random));
    const float small = std::exp2(exponent(random)) * (lo < 0.0f && i % 2 == 0 ? -1.0f : 1.0f);
    if (small >= lo && small <= hi) x.push_back(small);
  }
  return x;
}

// Angles over all of float: each exponent, those of usual size more densely, and the neighbours of
// multiples of pi / 2, where one of the results is tiny.
inline std::vector<float> angles() {
  std::vector<float> x = {0.0f, FLT_TRUE_MIN, FLT_MIN, FLT_MAX, 8192.0f};
  const auto add_bits = [&x](uint32_t first, uint32_t end, uint32_t step) {
    for (uint64_t bits = first; bits < end; bits += step)
      x.push_back(from_bits<float>(uint32_t(bits)));
  };
  add_bits(0, bits_of(INFINITY), 19997);
  add_bits(bits_of(0.01f), bits_of(8192.5f), 997);
  for (int n = 1; n <= 12000; ++n) {
    const uint32_t nearest = bits_of(static_cast<float>(n * M_PI_2));
    add_bits(nearest - 1, nearest + 2, 1);
  }
  // The float that comes closest of all to a multiple of pi / 2, to 1e-9 of it: 16367173 * 2^72.
  x.push_back(std::ldexp(16367173.0f, 72));
  for (size_t i = x.size(); i-- > 0;) x.push_back(-x[i]);
  return x;
}

template <class Runner>
class MathTest : public testing::Test {};
TYPED_TEST_SUITE(MathTest, Runners, RunnerNames);

TYPED_TEST(MathTest, ErrorsStayWithinTheBoundsOfTheHeader) {
  const auto expect_within = [](const char* name, WorstMath w, double ulp) {
    EXPECT_TRUE(w.ulp <= ulp) << name << " is off by " << w.ulp << " ulp at " << w.at;
    std::printf("  %-8s %5.2f ulp, %.2g\n", name, w.ulp, w.absolute);
  };
  expect_within("sin", worst_of<TypeParam>(Function::kSin, angles()), 2.0);
  expect_within("cos", worst_of<TypeParam>(Function::kCos, angles()), 2.0);
  expect_within("exp", worst_of<TypeParam>(Function::kExp, arguments(-87.0f, 88.37f)), 2.0);
  expect_within("tanh", worst_of<TypeParam>(Function::kTanh, arguments(-12.0f, 12.0f)), 3.0);
  expect_within("sigmoid", worst_of<TypeParam>(Function::kSigmoid, arguments(-80.0f, 80.0f)), 3.0);
  expect_within("log", worst_of<TypeParam>(Function::kLog, arguments(1e-9f, 4.0f)), 2.0);
  expect_within("log", worst_of<TypeParam>(Function::kLog, arguments(0.9f, 1.1f)), 2.0);
  expect_within("sqrt", worst_of<TypeParam>(Function::kSqrt, arguments(0.0f, 1e6f)), 0.5);
  expect_within("floor", worst_of<TypeParam>(Function::kFloor, arguments(-4e6f, 4e6f)), 0.0);
  expect_within("round", worst_of<TypeParam>(Function::kRound, arguments(-4e6f, 4e6f)), 0.0);
}

TYPED_TEST(MathTest, EdgesAreWhatTheirCommentsSay) {
  const float inf = std::numeric_limits<float>::infinity();
  const float nan = std::numeric_limits<float>::quiet_NaN();
  std::vector<float> x = {nan,  inf,  -inf,  0.0f,  -0.0f, 88.4f, -87.5f, 0.5f,
                          1.5f, 2.5f, -0.5f, -1.5f, 3.0f,  -3.0f, 1e30f,  -1e30f};
  const std::vector<float> e = apply_on<TypeParam>(Function::kExp, x);
  EXPECT_TRUE(std::isnan(e[0]));
  EXPECT_EQ(e[1], inf);
  EXPECT_EQ(e[2], 0.0f);
  EXPECT_EQ(e[3], 1.0f);
  EXPECT_EQ(e[5], inf);
  EXPECT_EQ(e[6], 0.0f);
  const std::vector<float> t = apply_on<TypeParam>(Function::kTanh, x);
  EXPECT_TRUE(std::isnan(t[0]));
  EXPECT_EQ(t[1], 1.0f);
  EXPECT_EQ(t[2], -1.0f);
  EXPECT_EQ(t[14], 1.0f);
  const std::vector<float> r = apply_on<TypeParam>(Function::kRound, x);
  const std::vector<float> f = apply_on<TypeParam>(Function::kFloor, x);
  for (size_t i = 3; i < x.size(); ++i) {
    EXPECT_EQ(r[i], std::nearbyint(x[i])) << x[i];
    EXPECT_EQ(f[i], std::floor(x[i])) << x[i];
  }
  EXPECT_TRUE(std::isnan(apply_on<TypeParam>(Function::kSigmoid, x)[0]));
  const std::vector<float> s = apply_on<TypeParam>(Function::kSin, x);
  const std::vector<float> c = apply_on<TypeParam>(Function::kCos, x);
  for (size_t i = 0; i < 3; ++i) EXPECT_TRUE(std::isnan(s[i]) && std::isnan(c[i])) << x[i];
  EXPECT_EQ(s[3], 0.0f);
  EXPECT_EQ(c[3], 1.0f);
}

TYPED_TEST(MathTest, SinAndCosStayWithinOne) {
  std::vector<float> x = angles();
  x.resize(x.size() / 16 * 16);
  for (Function f : {Function::kSin, Function::kCos}) {
    for (float y : apply_on<TypeParam>(f, x)) ASSERT_TRUE(std::fabs(y) <= 1.0f);
  }
}

TYPED_TEST(MathTest, LanesGiveTheBitsOfScalars) {
  for (int i = 0; i <= static_cast<int>(Function::kLog); ++i) {
    const Function f = static_cast<Function>(i);
    const bool positive = f == Function::kSqrt || f == Function::kLog;
    std::vector<float> x = arguments(positive ? 0.0f : -100.0f, 100.0f, 4000);
    if (f == Function::kSin || f == Function::kCos) {  // some lanes of a register far out
      const std::vector<float> far = arguments(-1e6f, 1e6f, 4000);
      x.insert(x.end(), far.begin(), far.end());
    }
    if (f == Function::kLog) x[0] = 1.0f;  // log takes normal, positive numbers
    x.resize(x.size() / 16 * 16);
    EXPECT_EQ(apply_on<TypeParam>(f, x, true), apply_on<TypeParam>(f, x, false)) << i;
    if constexpr (!TypeParam::kIsCuda) {
      const std::vector<double> y(x.begin(), x.end());
      EXPECT_EQ(apply_on<TypeParam>(f, y, true), apply_on<TypeParam>(f, y, false)) << i;
    }
  }
}

// value and slope of each activation at x; the slope of relu and tanh comes from the value.
template <class T>
struct ActivationProgram {
  Activation activation;
  const T* in;
  T *value, *slope;
  int n;

  PENDULA_FN int grid() const { return 1; }
  template <class B>
  PENDULA_FN void operator()(B& b) const {
    const Activation a = activation;
    const T* x = in;
    T *v = value, *s = slope;
    b.template for_lanes<T>(n, [=](int i, auto tag) {
      using V = decltype(tag);
      V d(T(0));
      const V z = load_as<V>(x + i);
      const V h = a == Activation::kRelu ? max(z, V(T(0))) : smooth_activation(a, z, d);
      store(v + i, h);
      store(s + i, a == Activation::kSilu ? d : slope_from_value(a, h));
    });
  }
};

TYPED_TEST(MathTest, ActivationsAndTheirSlopes) {
  std::vector<float> x = arguments(-9.0f, 9.0f, 8000);
  x.resize(x.size() / 16 * 16);
  for (Activation a : {Activation::kRelu, Activation::kTanh, Activation::kSilu}) {
    typename TypeParam::template Buffer<float> in(x), value(x.size()), slope(x.size());
    TypeParam::run(ActivationProgram<float>{a, in.data(), value.data(), slope.data(),
                                            static_cast<int>(x.size())});
    const std::vector<float> h = value.download(), d = slope.download();
    double worst = 0.0, worst_slope = 0.0;
    for (size_t i = 0; i < x.size(); ++i) {
      const double e = std::fabs(h[i] - reference::activate(a, x[i]));
      const double f = std::fabs(d[i] - reference::slope(a, x[i]));
      if (!(e <= worst)) worst = e;
      if (!(f <= worst_slope)) worst_slope = f;
    }
    // A few roundings of numbers up to 9 (values) and 1.1 (slopes; z s (1 - s) adds one of 9).
    EXPECT_TRUE(worst <= 2e-6) << static_cast<int>(a);
    EXPECT_TRUE(worst_slope <= 1e-6) << static_cast<int>(a);
  }
}

}  // namespace pendula
