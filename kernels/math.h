// Elementary functions for block programs, over float, double and Lanes of them.
//
// In float they are our own, the same operations in the same order on every backend (libm, CUDA and
// vector libraries all differ), branch free so that they vectorise. Coefficients: Cephes (Moshier).
// Errors, checked by tests/kernels/math_tests.h: sin, cos 1e-7 absolute for |x| <= 8192 and 2 ulp
// for |x| <= pi/4, exp 2 ulp, log 2 ulp, tanh 3 ulp, sigmoid 3 ulp. In double they are the
// library's.
#pragma once

#include <cmath>

#include "kernels/lanes.h"

namespace pendula::inline PENDULA_LEVEL {

template <class R>
inline constexpr bool kIsFloat = std::is_same_v<Scalar<R>, float>;

// Applies a scalar function lane by lane.
template <class R, class F>
PENDULA_FN R per_lane(R x, F f) {
#if !PENDULA_CUDA
  if constexpr (!std::is_same_v<R, Scalar<R>>) {
    R y;
    for (int i = 0; i < R::kCount; ++i) y.v[i] = f(x.v[i]);
    return y;
  } else
#endif
    return f(x);
}

template <class R>
PENDULA_FN R min(R a, R b) {
  return select(b < a, b, a);
}
template <class R>
PENDULA_FN R max(R a, R b) {
  return select(a < b, b, a);  // NaN in `a` stays
}
template <class R>
PENDULA_FN R clamp(R x, R lo, R hi) {
  return min(max(x, lo), hi);
}
template <class R>
PENDULA_FN R abs(R x) {
  return select(x < R(Scalar<R>(0)), -x, x);
}

template <class R>
PENDULA_FN R sqrt(R x) {
  return per_lane(x, [](Scalar<R> y) { return std::sqrt(y); });
}

// Nearest integer, ties to even, by the addition that pushes the fraction out of the significand.
// For |x| < 2^22 (double: 2^51); larger numbers come back as they are, from floor too.
template <class R>
PENDULA_FN R round(R x) {
  using S = Scalar<R>;
  constexpr S kBig = kIsFloat<R> ? S(8388608.0) : S(4503599627370496.0);
  constexpr S kMagic = S(1.5) * kBig;
  const R r = (x + R(kMagic)) - R(kMagic);
  return select(abs(x) < R(kBig / S(2)), r, x);
}
template <class R>
PENDULA_FN R floor(R x) {
  const R r = round(x);
  return select(r > x, r - R(Scalar<R>(1)), r);
}

// 2^n for an integral n in [-126, 127].
template <class R>
PENDULA_FN R exp2_int(R n) {
#if !PENDULA_CUDA
  if constexpr (!std::is_same_v<R, Scalar<R>>) {
    typename R::IntVec i = __builtin_convertvector(n.v, typename R::IntVec);
    i = (i + 127) << 23;
    typename R::Vec v;
    std::memcpy(&v, &i, sizeof v);
    return v;
  } else
#endif
  {
    const uint32_t bits = static_cast<uint32_t>(static_cast<int32_t>(n) + 127) << 23;
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
  }
}

// sin(x) and cos(x). Cody-Waite reduction by pi/2 in three parts; the parts have few enough bits
// that n * part is exact for |n| < 2^13, with or without fused multiply-add.
template <class R>
PENDULA_FN void sincos(R x, R& s, R& c) {
  if constexpr (kIsFloat<R>) {
    const R n = round(x * R(0.636619772367581343f));
    R r = fma(n, R(-1.5703125f), x);
    r = fma(n, R(-4.837512969970703125e-4f), r);
    r = fma(n, R(-7.54978995489188216e-8f), r);
    r = clamp(r, R(-0.79f), R(0.79f));  // far out n is not the nearest integer any more
    const R z = r * r;
    R ps = fma(R(-1.9515295891e-4f), z, R(8.3321608736e-3f));
    ps = fma(ps, z, R(-1.6666654611e-1f));
    ps = fma(ps * z, r, r);
    R pc = fma(R(2.443315711809948e-5f), z, R(-1.388731625493765e-3f));
    pc = fma(pc, z, R(4.166664568298827e-2f));
    pc = fma(pc * z, z, fma(R(-0.5f), z, R(1.0f)));
    const R q = fma(R(-4.0f), floor(n * R(0.25f)), n);  // quadrant: 0, 1, 2 or 3
    const auto swap = (q == R(1.0f)) | (q == R(3.0f));
    const R us = select(swap, pc, ps);
    const R uc = select(swap, ps, pc);
    s = select(q >= R(2.0f), -us, us);
    c = select((q == R(1.0f)) | (q == R(2.0f)), -uc, uc);
  } else {
    s = per_lane(x, [](double y) { return std::sin(y); });
    c = per_lane(x, [](double y) { return std::cos(y); });
  }
}
template <class R>
PENDULA_FN R sin(R x) {
  R s, c;
  sincos(x, s, c);
  return s;
}
template <class R>
PENDULA_FN R cos(R x) {
  R s, c;
  sincos(x, s, c);
  return c;
}

// e^x; 0 below -87, infinity above 88.37 (2^127.5); NaN stays NaN.
template <class R>
PENDULA_FN R exp(R x) {
  if constexpr (kIsFloat<R>) {
    const R y = clamp(x, R(-87.0f), R(88.37f));
    const R n = round(y * R(1.44269504088896341f));
    R r = fma(n, R(-0.693359375f), y);
    r = fma(n, R(2.12194440e-4f), r);
    R p = fma(R(1.9875691500e-4f), r, R(1.3981999507e-3f));
    p = fma(p, r, R(8.3334519073e-3f));
    p = fma(p, r, R(4.1665795894e-2f));
    p = fma(p, r, R(1.6666665459e-1f));
    p = fma(p, r, R(5.0000001201e-1f));
    p = fma(p * r, r, r) + R(1.0f);
    R e = p * exp2_int(n);
    e = select(x < R(-87.0f), R(0.0f), e);
    e = select(x > R(88.37f), R(INFINITY), e);
    return select(x == x, e, x);
  } else {
    return per_lane(x, [](double y) { return std::exp(y); });
  }
}

template <class R>
PENDULA_FN R tanh(R x) {
  if constexpr (kIsFloat<R>) {
    const R a = abs(x);
    const R z = x * x;
    R p = fma(R(-5.70498872745e-3f), z, R(2.06390887954e-2f));
    p = fma(p, z, R(-5.37397155531e-2f));
    p = fma(p, z, R(1.33314422036e-1f));
    p = fma(p, z, R(-3.33332819422e-1f));
    p = fma(p * z, x, x);
    R q = R(1.0f) - R(2.0f) / (exp(a + a) + R(1.0f));
    q = select(x < R(0.0f), -q, q);
    q = select(a < R(0.625f), p, q);
    return select(x == x, q, x);
  } else {
    return per_lane(x, [](double y) { return std::tanh(y); });
  }
}

// 1 / (1 + e^-x)
template <class R>
PENDULA_FN R sigmoid(R x) {
  return R(Scalar<R>(1)) / (R(Scalar<R>(1)) + exp(-x));
}

// Natural logarithm of a normal, positive number. Scalar only: noise is drawn one number at a time.
PENDULA_FN double log(double x) { return std::log(x); }
PENDULA_FN float log(float x) {
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  int e = static_cast<int>(bits >> 23) - 126;
  bits = (bits & 0x007fffffu) | 0x3f000000u;  // m in [0.5, 1)
  float m;
  memcpy(&m, &bits, sizeof m);
  const bool low = m < 0.707106781186547524f;
  e = low ? e - 1 : e;
  m = low ? m + m - 1.0f : m - 1.0f;
  const float z = m * m;
  float y = fma(7.0376836292e-2f, m, -1.1514610310e-1f);
  y = fma(y, m, 1.1676998740e-1f);
  y = fma(y, m, -1.2420140846e-1f);
  y = fma(y, m, 1.4249322787e-1f);
  y = fma(y, m, -1.6668057665e-1f);
  y = fma(y, m, 2.0000714765e-1f);
  y = fma(y, m, -2.4999993993e-1f);
  y = fma(y, m, 3.3333331174e-1f);
  y = y * m * z;
  const float fe = static_cast<float>(e);
  y = fma(fe, -2.12194440e-4f, y);
  y = fma(-0.5f, z, y);
  return fma(fe, 0.693359375f, m + y);
}

// x^n by squaring: equal bits on every backend.
PENDULA_FN double power(double x, uint64_t n) {
  double y = 1.0;
  for (; n != 0; n >>= 1) {
    if (n & 1) y *= x;
    x *= x;
  }
  return y;
}

}  // namespace pendula::inline PENDULA_LEVEL
