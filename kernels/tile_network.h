// Networks of two hidden layers of at most 64 units, in the form in which a block trains them out
// of its shared memory, and products in which a warp takes 16 rows of the batch through a whole
// chain of layers: the accumulators of one tensor-core product are the operand of the next, so that
// activations stay in registers and no barrier is needed between layers.
//
// mma.m16n8k8 (PTX ISA, "Matrix fragments for mma.m16n8k8"): with lane = 4 g + q a thread holds
// rows g and g + 8, columns 2 q and 2 q + 1 of each 8 columns of a product. As the next product's A
// it should hold columns q and q + 4; since a sum may be taken in any order, that operand's column
// 2 q is called q, and 2 q + 1 is called q + 4, in A and B alike.
//
// What is 64 (or rows) wide is stored with its columns exchanged in groups of 8: element (m, k)
// lies at column k ^ swizzle(m). Then reading a pair (2 q, 2 q + 1) of rows g, reading column g of
// rows 2 q, and writing an accumulator hit all 32 banks once.
//
// Units and inputs that a network does not have are zeros, which training leaves zeros.
#pragma once

#include "kernels/activation.h"
#include "kernels/gemm_cuda.h"
#include "kernels/tile_layout.h"

namespace PENDULA_PROGRAMS {

// Where a thread stands in its warp.
struct Lane {
  int warp, g, q;
};
PENDULA_FN Lane lane_place(int thread) { return {thread / 32, (thread % 32) >> 2, thread & 3}; }

PENDULA_FN void sync_warp() {
#if PENDULA_DEVICE
  __syncwarp();
#endif
}
PENDULA_FN float add_over(float x, [[maybe_unused]] int lanes) {
#if PENDULA_DEVICE
  x += __shfl_xor_sync(0xffffffffu, x, lanes);
#endif
  return x;
}
// The sum over the four lanes that share rows g and g + 8, and over those that share columns.
PENDULA_FN float sum_over_columns(float x) { return add_over(add_over(x, 1), 2); }
PENDULA_FN float sum_over_rows(float x) { return add_over(add_over(add_over(x, 4), 8), 16); }

// Two neighbours, at an even place: one load of 64 bits, for which the exchanged groups are made.
struct alignas(8) Pair {
  float x, y;
};
PENDULA_FN Pair load_pair(const float* p) { return *reinterpret_cast<const Pair*>(p); }

// A warp's 16 rows x 8 `tiles` units: c[t] are the accumulators of units 8 t .. 8 t + 7.
template <int tiles>
struct UnitTiles {
  float c[tiles][4];
};
using Units = UnitTiles<kUnitTiles>;

// Unit and row (of the 16) of element i of c[t].
PENDULA_FN int unit_of(const Lane& l, int t, int i) { return 8 * t + 2 * l.q + (i & 1); }
PENDULA_FN int row_of(const Lane& l, int i) { return l.g + (i & 2) * 4; }

// Element (unit or input m, row) of a (64, rows) array.
template <int rows>
PENDULA_FN int tile_at(int m, int row) {
  return m * rows + (row ^ swizzle(m));
}

template <int tiles>
PENDULA_FN void start_from(const Lane& l, const float* bias, UnitTiles<tiles>& out) {
  PENDULA_UNROLL
  for (int t = 0; t < tiles; ++t) {
    const float b0 = bias[8 * t + 2 * l.q], b1 = bias[8 * t + 2 * l.q + 1];
    out.c[t][0] = out.c[t][2] = b0;
    out.c[t][1] = out.c[t][3] = b1;
  }
}

// The inputs of a warp's rows as the operand of a product, from an (8 inputs, rows) array. first:
// the warp's first row of it.
struct Inputs {
  uint32_t a[4];
};
template <int rows>
PENDULA_FN Inputs load_inputs(const Lane& l, const float* x, int first) {
  const int j = 2 * l.q, r = first + l.g;
  return {{to_tf32(x[tile_at<rows>(j, r)]), to_tf32(x[tile_at<rows>(j, r + 8)]),
           to_tf32(x[tile_at<rows>(j + 1, r)]), to_tf32(x[tile_at<rows>(j + 1, r + 8)])}};
}

// out += x W1^T.
PENDULA_FN void add_inputs(const Lane& l, const Inputs& x, const float* w1, Units& out) {
  PENDULA_UNROLL
  for (int t = 0; t < kUnitTiles; ++t) {
    const Pair w = load_pair(w1 + (8 * t + l.g) * kTileInputs + 2 * l.q);
    mma_tf32(out.c[t], x.a, to_tf32(w.x), to_tf32(w.y));
  }
}

// The four places that a thread reads or writes in a swizzled array: group j of 8 columns, of each
// 32, is number j ^ `exchanged`. Everything else about an address is then known to the compiler.
template <class F>
struct Groups {
  F* p[4];
  PENDULA_FN Groups(F* base, int exchanged) {
    PENDULA_UNROLL
    for (int j = 0; j < 4; ++j) p[j] = base + 8 * (j ^ exchanged);
  }
};
// swizzle(m) / 8 of m = g (and of 8 t + g, but for the 2 of an odd t), and of m = 2 q.
PENDULA_FN int exchanged_g(const Lane& l) { return (l.g & 3) ^ (l.g >> 2); }
PENDULA_FN int exchanged_q(const Lane& l) { return 2 * (l.q & 1) ^ (l.q >> 1); }

// The operand (16 units, 8 rows) of a product over rows. at: of unit g, in an array whose groups
// are exchanged.
template <int rows>
PENDULA_FN void row_operand(const Groups<const float>& at, int group, int offset,
                            uint32_t (&a)[4]) {
  const Pair p0 = load_pair(at.p[group] + offset);
  const Pair p1 = load_pair(at.p[group ^ 2] + offset + 8 * rows);
  a[0] = to_tf32(p0.x);
  a[1] = to_tf32(p1.x);
  a[2] = to_tf32(p0.y);
  a[3] = to_tf32(p1.y);
}

// out += in W^T (forward) or in W (backward). W: (64, 64), swizzled.
template <bool kBackward>
PENDULA_FN void add_product(const Lane& l, const Units& in, const float* w, Units& out) {
  constexpr int kRow = kTileWidth, kTile = 8 * kRow;
  const Groups<const float> at(kBackward ? w + 2 * l.q * kRow + l.g : w + l.g * kRow + 2 * l.q,
                               kBackward ? exchanged_q(l) : exchanged_g(l));
  PENDULA_UNROLL
  for (int s = 0; s < kUnitTiles; ++s) {
    const uint32_t a[4] = {to_tf32(in.c[s][0]), to_tf32(in.c[s][2]), to_tf32(in.c[s][1]),
                           to_tf32(in.c[s][3])};
    PENDULA_UNROLL
    for (int t = 0; t < kUnitTiles; ++t) {
      float b0, b1;
      if (kBackward) {  // rows 8 s + 2 q and the next, column 8 t + g
        const int group = (t & 3) ^ 2 * (s & 1), rest = s * kTile + (t & 4) * 8;
        b0 = at.p[group][rest];
        b1 = at.p[group ^ 1][rest + kRow];
      } else {  // row 8 t + g, columns 8 s + 2 q and the next
        const Pair pair = load_pair(at.p[(s & 3) ^ 2 * (t & 1)] + t * kTile + (s & 4) * 8);
        b0 = pair.x;
        b1 = pair.y;
      }
      mma_tf32(out.c[t], a, to_tf32(b0), to_tf32(b1));
    }
  }
}

// z -> relu(z) or tanh(z). NaN stays NaN.
template <int tiles>
PENDULA_FN void activate(Activation act, UnitTiles<tiles>& u) {
  PENDULA_UNROLL
  for (int t = 0; t < tiles; ++t) {
    PENDULA_UNROLL
    for (int i = 0; i < 4; ++i) {
      const float z = u.c[t][i];
      u.c[t][i] = act == Activation::kRelu ? select(0.0f > z, 0.0f, z) : tanh(z);
    }
  }
}

// h w3 for rows g and g + 8, in fp32; the same in the four lanes of a row.
template <int tiles>
PENDULA_FN void head(const Lane& l, const UnitTiles<tiles>& h, const float* w3, float (&v)[2]) {
  v[0] = v[1] = 0.0f;
  PENDULA_UNROLL
  for (int t = 0; t < tiles; ++t) {
    PENDULA_UNROLL
    for (int i = 0; i < 4; ++i) v[i >> 1] = fma(h.c[t][i], w3[unit_of(l, t, i)], v[i >> 1]);
  }
  v[0] = sum_over_columns(v[0]);
  v[1] = sum_over_columns(v[1]);
}

// dLoss/d(hidden layer before its activation) of rows g and g + 8, from dLoss/d(output a), in place
// of the layer's values h. w3: (A, 8 tiles).
template <int A, int tiles>
PENDULA_FN void head_delta(const Lane& l, Activation act, const float* w3, const float (&d)[A][2],
                           UnitTiles<tiles>& h) {
  PENDULA_UNROLL
  for (int t = 0; t < tiles; ++t) {
    PENDULA_UNROLL
    for (int i = 0; i < 4; ++i) {
      float v = 0.0f;
      for (int a = 0; a < A; ++a) {
        v = fma(d[a][i >> 1], w3[a * 8 * tiles + unit_of(l, t, i)], v);
      }
      h.c[t][i] = v * slope_from_value(act, h.c[t][i]);
    }
  }
}

// A network in shared memory.
template <int A>
struct TileNetwork {
  using Layout = TileLayout<A>;
  const float* p;
  Activation act;

  // Layer 1 and layer 2 of the warp's rows.
  template <int rows>
  PENDULA_FN void first_layer(const Lane& l, const float* x, int first, Units& h) const {
    first_layer(l, load_inputs<rows>(l, x, first), h);
  }
  PENDULA_FN void first_layer(const Lane& l, const Inputs& x, Units& h) const {
    start_from(l, p + Layout::kB1, h);
    add_inputs(l, x, p + Layout::kW1, h);
    activate(act, h);
  }
  PENDULA_FN void second_layer(const Lane& l, const Units& h1, Units& h2) const {
    start_from(l, p + Layout::kB2, h2);
    add_product<false>(l, h1, p + Layout::kW2, h2);
    activate(act, h2);
  }
  PENDULA_FN void output(const Lane& l, const Units& h2, int a, float (&v)[2]) const {
    head(l, h2, p + Layout::kW3 + a * kTileWidth, v);
    v[0] += p[Layout::kB3 + a];
    v[1] += p[Layout::kB3 + a];
  }
  // dLoss/d(layer 2 before its activation), in place of h2.
  PENDULA_FN void last_delta(const Lane& l, const float (&d)[A][2], Units& h2) const {
    head_delta<A>(l, act, p + Layout::kW3, d, h2);
  }
  // The same of layer 1, without its slope.
  PENDULA_FN void first_delta(const Lane& l, const Units& d2, Units& d1) const {
    d1 = {};
    add_product<true>(l, d2, p + Layout::kW2, d1);
  }
};

// A warp's rows in a (units, rows) array: at(t, i) is the place of element i of c[t].
template <int rows, class F>
struct WarpColumns {
  Groups<F> at;
  PENDULA_FN WarpColumns(const Lane& l, F* array)
      : at(array + 2 * l.q * rows + (l.warp >> 1) * 32 + l.g, exchanged_q(l) ^ 2 * (l.warp & 1)) {}
  PENDULA_FN F& operator()(int t, int i) const {
    return at.p[(i >> 1) ^ 2 * (t & 1) ^ (i & 1)][(8 * t + (i & 1)) * rows];
  }
};
template <int rows, int tiles>
PENDULA_FN void put_units(const Lane& l, const UnitTiles<tiles>& u, float* to) {
  const WarpColumns<rows, float> place(l, to);
  PENDULA_UNROLL
  for (int t = 0; t < tiles; ++t) {
    PENDULA_UNROLL
    for (int i = 0; i < 4; ++i) place(t, i) = u.c[t][i];
  }
}
template <int rows>
PENDULA_FN void get_units(const Lane& l, const float* from, Units& u) {
  const WarpColumns<rows, const float> place(l, from);
  PENDULA_UNROLL
  for (int t = 0; t < kUnitTiles; ++t) {
    PENDULA_UNROLL
    for (int i = 0; i < 4; ++i) u.c[t][i] = place(t, i);
  }
}
// d *= slope of the activation whose values are h.
PENDULA_FN void times_slope(Activation act, const Units& h, Units& d) {
  PENDULA_UNROLL
  for (int t = 0; t < kUnitTiles; ++t) {
    PENDULA_UNROLL
    for (int i = 0; i < 4; ++i) d.c[t][i] = d.c[t][i] * slope_from_value(act, h.c[t][i]);
  }
}
// The same, h being a (64, rows) array.
template <int rows>
PENDULA_FN void times_slope(const Lane& l, Activation act, const float* h, Units& d) {
  const WarpColumns<rows, const float> place(l, h);
  PENDULA_UNROLL
  for (int t = 0; t < kUnitTiles; ++t) {
    PENDULA_UNROLL
    for (int i = 0; i < 4; ++i) d.c[t][i] = d.c[t][i] * slope_from_value(act, place(t, i));
  }
}

}  // namespace PENDULA_PROGRAMS
