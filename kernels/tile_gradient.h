// The gradient of a network as a block sums it up over a batch: each warp keeps its tile of dW2 (32
// x 32 units, half of the rows) and of dW1 (16 units, half of the rows) in registers for the whole
// batch, and what belongs to the heads of its own rows.
#pragma once

#include "kernels/tile_network.h"

namespace PENDULA_PROGRAMS {

// Arrays of a block's shared memory that a pass over `rows` samples works in.
struct TileArrays {
  float* x;        // (8, rows): obs, action, zeros, and ones as the last input
  float* h;        // (64, rows): activations of layer 1; then the gradient
  float* d;        // (64, rows): deltas
  float* heads;    // (8 warps, A (64 + 1)): sums of each warp
  float* scalars;  // (kTileScalars)
};

template <int A>
struct TileGradient {
  float w2[2][4][4];  // units 32 (warp % 4 / 2) .., inputs 32 (warp % 2) ..; warps 4 to 7: the
                      // second half of the rows
  float b2[2][4];     // column 0; warps with warp % 2 == 0
  float w1[4];        // units 16 (warp % 4) ..; column 7 is the bias's

  PENDULA_FN void clear() { *this = {}; }

  // The head's share: d, dLoss/d(output) of rows g and g + 8. first: of the first pass, which
  // overwrites what the warp's part of `heads` holds: (A, 64) weights and (A) biases.
  PENDULA_FN void add_head(const Lane& l, const float (&d)[A][2], const Units& h2, bool first,
                           float* heads) const {
    float* to = heads + l.warp * A * (kTileWidth + 1);
    for (int a = 0; a < A; ++a) {
      PENDULA_UNROLL
      for (int t = 0; t < kUnitTiles; ++t) {
        PENDULA_UNROLL
        for (int i = 0; i < 2; ++i) {
          const float sum = sum_over_rows(fma(d[a][1], h2.c[t][i + 2], d[a][0] * h2.c[t][i]));
          float* at = to + a * kTileWidth + unit_of(l, t, i);
          if (l.g == 0) *at = first ? sum : *at + sum;
        }
      }
      const float sum = sum_over_rows(d[a][0] + d[a][1]);
      float* at = to + A * kTileWidth + a;
      if (l.g == 0 && l.q == 0) *at = first ? sum : *at + sum;
    }
  }

  // dW2 += d h^T over this warp's half of the rows, and db2, a column of ones in that product.
  template <int rows>
  PENDULA_FN void add_second(const Lane& l, const float* d, const float* h) {
    const int m0 = (l.warp & 2) * 16, n0 = (l.warp & 1) * 32;
    const Groups<const float> a_at(d + (m0 + l.g) * rows + 2 * l.q, exchanged_g(l));
    const Groups<const float> b_at(h + (n0 + l.g) * rows + 2 * l.q, exchanged_g(l));
    const uint32_t one = to_tf32(l.g == 0 ? 1.0f : 0.0f);
    for_half<rows>(l, [&](int group, int k) {
      uint32_t a[2][4];
      PENDULA_UNROLL
      for (int m = 0; m < 2; ++m) row_operand<rows>(a_at, group, 16 * m * rows + k, a[m]);
      PENDULA_UNROLL
      for (int n = 0; n < 4; ++n) {
        const Pair b = load_pair(b_at.p[group ^ 2 * (n & 1)] + 8 * n * rows + k);
        const uint32_t b0 = to_tf32(b.x), b1 = to_tf32(b.y);
        mma_tf32(w2[0][n], a[0], b0, b1);
        mma_tf32(w2[1][n], a[1], b0, b1);
      }
      if ((l.warp & 1) == 0) {
        mma_tf32(b2[0], a[0], one, one);
        mma_tf32(b2[1], a[1], one, one);
      }
    });
  }

  // dW1 += d x^T, the last input being 1.
  template <int rows>
  PENDULA_FN void add_first(const Lane& l, const float* d, const float* x) {
    const Groups<const float> a_at(d + (16 * (l.warp & 3) + l.g) * rows + 2 * l.q, exchanged_g(l));
    const Groups<const float> b_at(x + l.g * rows + 2 * l.q, exchanged_g(l));
    for_half<rows>(l, [&](int group, int k) {
      uint32_t a[4];
      row_operand<rows>(a_at, group, k, a);
      const Pair b = load_pair(b_at.p[group] + k);
      mma_tf32(w1, a, to_tf32(b.x), to_tf32(b.y));
    });
  }

  // The sums of all warps, in the layout of the network. Begins behind a barrier after which nobody
  // reads arrays.h; ends with one.
  template <int rows>
  PENDULA_FN void finish(const Lane& l, const TileArrays& arrays) const {
    using Layout = TileLayout<A>;
    float* grad = arrays.h;
    if (l.warp >= 4) put(l, grad, false);
    block_sync();
    if (l.warp < 4) put(l, grad, true);
    for (int i = thread_index(); i < Layout::kCount - Layout::kW3; i += kThreads) {
      float sum = 0.0f;
      if (i < A * (kTileWidth + 1)) {
        for (int w = 0; w < rows / kWarpRows; ++w)
          sum += arrays.heads[w * A * (kTileWidth + 1) + i];
      }
      grad[Layout::kW3 + i] = sum;
    }
    block_sync();
  }

 private:
  // f(group, k) for each 8 rows of this warp's half: rows 8 group .. of the 32 from k on.
  template <int rows, class F>
  static PENDULA_FN void for_half(const Lane& l, F f) {
    const int half = l.warp >> 2;
    if constexpr (rows >= 64) {
      PENDULA_UNROLL_BY(1)
      for (int k = half * (rows / 2); k < (half + 1) * (rows / 2); k += 32) {
        PENDULA_UNROLL
        for (int group = 0; group < 4; ++group) f(group, k);
      }
    } else if (half == 0) {
      f(0, 0);
      f(1, 0);
    } else {
      f(2, 0);
      f(3, 0);
    }
  }

  // Writes (or adds) this warp's tiles.
  PENDULA_FN void put(const Lane& l, float* grad, bool add) const {
    using Layout = TileLayout<A>;
    const auto give = [=](int at, float v) { grad[at] = add ? grad[at] + v : v; };
    PENDULA_UNROLL
    for (int m = 0; m < 2; ++m) {
      PENDULA_UNROLL
      for (int i = 0; i < 4; ++i) {
        const int unit = (l.warp & 2) * 16 + 16 * m + row_of(l, i);
        PENDULA_UNROLL
        for (int n = 0; n < 4; ++n) {
          const int in = (l.warp & 1) * 32 + unit_of(l, n, i);
          give(Layout::kW2 + unit * kTileWidth + (in ^ swizzle(unit)), w2[m][n][i]);
        }
        if ((l.warp & 1) == 0 && l.q == 0 && (i & 1) == 0) give(Layout::kB2 + unit, b2[m][i]);
      }
    }
    PENDULA_UNROLL
    for (int i = 0; i < 4; ++i) {
      const int unit = 16 * (l.warp & 3) + row_of(l, i);
      const int in = 2 * l.q + (i & 1);
      const bool bias = in == kTileInputs - 1;
      give(bias ? Layout::kB1 + unit : Layout::kW1 + unit * kTileInputs + in, w1[i]);
      if (bias && !add) grad[Layout::kW1 + unit * kTileInputs + in] = 0.0f;
    }
  }
};

}  // namespace PENDULA_PROGRAMS
