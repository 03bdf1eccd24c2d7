// Elementary functions for block programs, over float, double and Lanes of them.
//
// In float they are our own, the same operations in the same order on every backend (libm, CUDA and
// vector libraries all differ), so that they vectorise. Coefficients: Cephes (Moshier). Errors,
// checked by tests/kernels/math_tests.h: sin, cos 2 ulp for every finite x, exp 2 ulp, log 2 ulp,
// tanh 3 ulp, sigmoid 3 ulp. In double they are the library's.
#pragma once

#include <cmath>

#include "kernels/words.h"

namespace PENDULA_PROGRAMS {

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
  if constexpr (kIsFloat<R>) {
    return from_bits<R>(bits_of(x) & Words<R>(0x7fffffffu));
  } else {
    return select(x < R(Scalar<R>(0)), -x, x);
  }
}

template <class R>
PENDULA_FN R sqrt(R x) {
  return per_lane(x, [](Scalar<R> y) { return std::sqrt(y); });
}

// Nearest integer, ties to even.
template <class R>
PENDULA_FN R round(R x) {
  using S = Scalar<R>;
#if PENDULA_DEVICE || defined(__SSE4_1__)
  return per_lane(x, [](S y) { return std::rint(y); });  // one instruction
#else
  // The addition pushes the fraction out of the significand; larger numbers have none.
  constexpr S kBig = kIsFloat<R> ? S(8388608.0) : S(4503599627370496.0);
  constexpr S kMagic = S(1.5) * kBig;
  const R r = (x + R(kMagic)) - R(kMagic);
  return select(abs(x) < R(kBig / S(2)), r, x);
#endif
}
template <class R>
PENDULA_FN R floor(R x) {
  const R r = round(x);
  return select(r > x, r - R(Scalar<R>(1)), r);
}

// 2^n for an integral n in [-126, 127].
template <class R>
PENDULA_FN R exp2_int(R n) {
  // Whole numbers lie in the low bits of 1.5 * 2^23 + n.
  return from_bits<R>((bits_of(n + R(12582912.0f)) + Words<R>(127)) << 23);
}

// An angle as whole quarter turns, of which the two lowest bits count, and a rest of at most an
// eighth of a turn, in rad.
template <class R>
struct QuarterTurns {
  Words<R> quarters;
  R rest;
};

// For |x| >= 8192, by Payne and Hanek (1983): of the digits of 1 / (2 pi) those that give whole
// turns are left out, so that 96 of them are enough. Rare, and so one number at a time.
PENDULA_SHARED_FN QuarterTurns<float> far_quarter_turns(float x) {
  // 32 zeros, then 1 / (2 pi) in binary.
  static constexpr uint32_t kDigits[] = {0x00000000u, 0x28be60dbu, 0x9391054au, 0x7f09d5f4u,
                                         0x7d4d3770u, 0x36d8a566u, 0x4f10e410u, 0x7f9458eau};
  const uint32_t bits = bits_of(x);
  const uint32_t exponent = bits >> 23 & 0xff;
  if (exponent == 255) return {0, x - x};  // NaN
  if (exponent < 127 + 13) return {0, x};  // a lane beside one that is meant
  // x = mantissa * 2^(exponent - 150). Digit i (1, 2, ...) stands for 2^-i.
  const uint32_t mantissa = (bits & 0x007fffffu) | 0x00800000u;
  const uint32_t skip = exponent - 150 + 32, at = skip / 32, by = skip % 32;
  const auto digits = [&](uint32_t i) {
    const uint64_t two = static_cast<uint64_t>(kDigits[at + i]) << 32 | kDigits[at + i + 1];
    return static_cast<uint32_t>(two << by >> 32);
  };
  // The fraction of a turn: 2^64 is a whole one.
  uint64_t turns = (static_cast<uint64_t>(mantissa * digits(0)) << 32) +
                   static_cast<uint64_t>(mantissa) * digits(1) +
                   (static_cast<uint64_t>(mantissa) * digits(2) >> 32);
  if (bits >> 31 != 0) turns = 0 - turns;
  const uint64_t quarters = (turns + (uint64_t{1} << 61)) >> 62;
  const double rest = static_cast<double>(static_cast<int64_t>(turns - (quarters << 62)));
  return {static_cast<uint32_t>(quarters),
          static_cast<float>(rest * 3.40612158008655459e-19)};  // 2 pi / 2^64
}

#if !PENDULA_CUDA  // lane by lane; apart, so that both stay in registers
PENDULA_SHARED_FN Lanes<float> far_rest(Lanes<float> x) {
  return per_lane(x, [](float y) { return far_quarter_turns(y).rest; });
}
PENDULA_SHARED_FN Lanes<uint32_t> far_quarters(Lanes<float> x) {
  Lanes<uint32_t> q;
  for (int i = 0; i < Lanes<float>::kCount; ++i) q.set(i, far_quarter_turns(x[i]).quarters);
  return q;
}
#endif

// By Cody and Waite: pi / 2 in parts, the first of which have so few bits that a whole number
// below 2^13 times a part, and what is left of x then, are exact.
template <class R>
PENDULA_FN QuarterTurns<R> quarter_turns(R x) {
  constexpr float kMagic = 12582912.0f;  // 1.5 * 2^23: whole numbers lie in its low bits
  const R shifted = fma(x, R(0.636619772367581343f), R(kMagic));
  const R n = shifted - R(kMagic);
  QuarterTurns<R> q;
  q.quarters = bits_of(shifted);
#if PENDULA_FUSED
  R r = fma(n, R(-1.5707963705062866f), x);
  r = fma(n, R(4.371138828673793e-8f), r);
  q.rest = fma(n, R(1.7151245100058819e-15f), r);
#else
  // Each product is exact, and so are two differences. The third is where digits get lost, unless
  // its error is kept.
  const R r = (x - n * R(1.5703125f)) - n * R(4.837512969970703125e-4f);
  const R third = n * R(7.549533620476723e-8f);
  const R s = r - third;
  const R error = (r - s) - third;
  q.rest = (s - (n * R(2.5632829192545614e-12f) - error)) - n * R(6.123234262925839e-17f);
#endif
  const auto near = abs(x) <= R(8192.0f);
  if (!all(near)) {
    if constexpr (std::is_same_v<R, Scalar<R>>) {
      q = far_quarter_turns(x);
    } else {
      q.rest = select(near, q.rest, far_rest(x));
      q.quarters = select(near, q.quarters, far_quarters(x));
    }
  }
  return q;
}

// -x where bit 1 of `quarters` is set, else x.
template <class R>
PENDULA_FN R flip(R x, Words<R> quarters) {
  return from_bits<R>(bits_of(x) ^ (quarters & Words<R>(2)) << 30);
}

template <class R>
PENDULA_FN void sincos(R x, R& s, R& c) {
  if constexpr (kIsFloat<R>) {
    const QuarterTurns<R> q = quarter_turns(x);
    const R r = q.rest;
    const R z = r * r;
    R ps = fma(R(-1.9515295891e-4f), z, R(8.3321608736e-3f));
    ps = fma(ps, z, R(-1.6666654611e-1f));
    ps = fma(ps * z, r, r);
    R pc = fma(R(2.443315711809948e-5f), z, R(-1.388731625493765e-3f));
    pc = fma(pc, z, R(4.166664568298827e-2f));
    pc = fma(pc * z, z, fma(R(-0.5f), z, R(1.0f)));
    const auto swap = odd(q.quarters);
    s = flip(select(swap, pc, ps), q.quarters);
    c = flip(select(swap, ps, pc), q.quarters + Words<R>(1));
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

// Natural logarithm of a normal, positive number.
template <class R>
PENDULA_FN R log(R x) {
  if constexpr (kIsFloat<R>) {
    const Words<R> bits = bits_of(x);
    R e = to_real<R>(bits >> 23) - R(126.0f);
    R m = from_bits<R>((bits & Words<R>(0x007fffffu)) | Words<R>(0x3f000000u));  // in [0.5, 1)
    const auto low = m < R(0.707106781186547524f);
    e = select(low, e - R(1.0f), e);
    m = select(low, m + m, m) - R(1.0f);
    const R z = m * m;
    R y = fma(R(7.0376836292e-2f), m, R(-1.1514610310e-1f));
    y = fma(y, m, R(1.1676998740e-1f));
    y = fma(y, m, R(-1.2420140846e-1f));
    y = fma(y, m, R(1.4249322787e-1f));
    y = fma(y, m, R(-1.6668057665e-1f));
    y = fma(y, m, R(2.0000714765e-1f));
    y = fma(y, m, R(-2.4999993993e-1f));
    y = fma(y, m, R(3.3333331174e-1f));
    y = y * m * z;
    y = fma(e, R(-2.12194440e-4f), y);
    y = fma(R(-0.5f), z, y);
    return fma(e, R(0.693359375f), m + y);
  } else {
    return per_lane(x, [](double y) { return std::log(y); });
  }
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

}  // namespace PENDULA_PROGRAMS
