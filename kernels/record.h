// Writing the records of the replay ring: one per environment, state, action, reward, then zeros up
// to record_size() elements. On the CPU a register holds one field of several records, so they are
// transposed on the way, by 16 bytes of a record at a time.
#pragma once

#include <utility>

#include "kernels/lanes.h"

namespace PENDULA_PROGRAMS {

#if !PENDULA_CUDA

// Units of kUnit elements, taken from a and b in turn, kRun (1 or 2) at a time: of each four units
// the lower two or the upper two; where there are only two, the lower or the upper one.
template <int kUnit, int kRun, bool kUpper, class V, int... i>
PENDULA_FN V zip(V a, V b, std::integer_sequence<int, i...>) {
  constexpr int n = sizeof...(i), kHalf = n / kUnit == 2 ? 1 : 2, kFirst = kUpper ? kHalf : 0;
  return __builtin_shufflevector(
      a, b,
      ((i / kUnit / 4 * 4 + kFirst + (i / kUnit) / (3 - kRun) % kHalf) * kUnit + i % kUnit +
       (i / kUnit) / kRun % 2 * n)...);
}

// Of each four units in a row of each register: out[j] gets unit j of all four registers.
template <int kUnit>
PENDULA_FN void transpose_units(const Lanes<float>* in, Lanes<float>* out) {
  constexpr std::make_integer_sequence<int, Lanes<float>::kCount> all;
  const auto ab = zip<kUnit, 1, false>(in[0].v, in[1].v, all);
  const auto ab_upper = zip<kUnit, 1, true>(in[0].v, in[1].v, all);
  const auto cd = zip<kUnit, 1, false>(in[2].v, in[3].v, all);
  const auto cd_upper = zip<kUnit, 1, true>(in[2].v, in[3].v, all);
  out[0] = zip<kUnit, 2, false>(ab, cd, all);
  out[1] = zip<kUnit, 2, true>(ab, cd, all);
  out[2] = zip<kUnit, 2, false>(ab_upper, cd_upper, all);
  out[3] = zip<kUnit, 2, true>(ab_upper, cd_upper, all);
}

PENDULA_FN void store_register(float* p, const Lanes<float>& x, bool stream) {
  if (stream) {
    stream_store(p, x);
  } else {
    store(p, x);
  }
}

// fields[0..3] of as many records as there are lanes, one record behind the other.
PENDULA_FN void store_records_of_four(float* p, const Lanes<float>* fields, bool stream) {
  constexpr int n = Lanes<float>::kCount;
  constexpr std::make_integer_sequence<int, n> all;
  Lanes<float> r[4], out[4];
  transpose_units<1>(fields, r);  // 16 bytes i of r[j]: record 4 i + j
  if constexpr (n == 4) {
    for (int j = 0; j < 4; ++j) out[j] = r[j];
  } else if constexpr (n == 8) {
    for (int j = 0; j < 4; j += 2) {
      out[j / 2] = zip<4, 1, false>(r[j].v, r[j + 1].v, all);
      out[2 + j / 2] = zip<4, 1, true>(r[j].v, r[j + 1].v, all);
    }
  } else {
    transpose_units<4>(r, out);
  }
  for (int j = 0; j < 4; ++j) store_register(p + j * n, out[j], stream);
}

// The same of records of eight fields.
PENDULA_FN void store_records_of_eight(float* p, const Lanes<float>* fields, bool stream) {
  constexpr int n = Lanes<float>::kCount;
  constexpr std::make_integer_sequence<int, n> all;
  Lanes<float> first[4], second[4];
  transpose_units<1>(fields, first);  // 16 bytes i of first[j]: the first half of record 4 i + j
  transpose_units<1>(fields + 4, second);
  for (int j = 0; j < 4; ++j) {
    if constexpr (n == 4) {
      store_register(p + 8 * j, first[j], stream);
      store_register(p + 8 * j + 4, second[j], stream);
    } else if constexpr (n == 8) {
      const Lanes<float> low = zip<4, 1, false>(first[j].v, second[j].v, all);
      const Lanes<float> high = zip<4, 1, true>(first[j].v, second[j].v, all);
      store_register(p + 8 * j, low, stream);
      store_register(p + 8 * (4 + j), high, stream);
    } else if (j % 2 == 0) {
      const Lanes<float> halves[4] = {first[j], second[j], first[j + 1], second[j + 1]};
      Lanes<float> out[4];
      transpose_units<4>(halves, out);
      for (int i = 0; i < 4; ++i) store_register(p + 8 * (4 * i + j), out[i], stream);
    }
  }
}

#endif

// Writes `live` records, at most as many as V has lanes, to p: field d of record i is number i of
// fields[d]. stream: past the caches; p is then aligned to a register.
template <int kSize, class V>
PENDULA_FN void store_records(Scalar<V>* p, const V* fields, int live, bool stream) {
#if !PENDULA_CUDA
  if constexpr (std::is_same_v<V, Lanes<float>> && (kSize == 4 || kSize == 8)) {
    if (live >= V::kCount) {
      if constexpr (kSize == 4) return store_records_of_four(p, fields, stream);
      if constexpr (kSize == 8) return store_records_of_eight(p, fields, stream);
    }
  }
#endif
  const int n = live < kCountOf<V> ? live : kCountOf<V>;
  for (int i = 0; i < n; ++i) {
    for (int d = 0; d < kSize; ++d) p[i * kSize + d] = lane(fields[d], i);
  }
}

}  // namespace PENDULA_PROGRAMS
