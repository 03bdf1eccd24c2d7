// Networks of two hidden layers of up to 256 units, in the form in which the blocks of a cluster
// train them: each block has 16 columns of the second hidden layer and computes the first one for
// itself, 64 units at a time, which a warp keeps in registers as the operand of the next product
// (kernels/tile_network.h). What a block cannot know are sums over all columns: those of a head,
// and of the gradient of the first layer.
#pragma once

#include "kernels/column_layout.h"
#include "kernels/tile_network.h"

namespace PENDULA_PROGRAMS {

using Columns = UnitTiles<kColumns / 8>;  // a warp's 16 rows x the block's columns

// This block's part of a network. A: outputs.
template <int A>
struct ColumnNetwork {
  const float* p;
  ColumnLayout at;
  Activation act;

  // Units 64 chunk .. of the first layer.
  PENDULA_FN void first_layer(const Lane& l, const Inputs& x, int chunk, Units& h) const {
    start_from(l, p + at.b1() + chunk * kTileWidth, h);
    add_inputs(l, x, p + chunk * kTileWidth * kTileInputs, h);
    activate(act, h);
  }
  PENDULA_FN void second_layer(const Lane& l, const Inputs& x, Columns& h2) const {
    start_from(l, p + at.b2(), h2);
    PENDULA_UNROLL_BY(1)
    for (int chunk = 0; chunk < chunks(); ++chunk) {
      Units h1;
      first_layer(l, x, chunk, h1);
      add_chunk(l, h1, chunk, h2);
    }
    activate(act, h2);
  }
  // The columns' share of output a, without its bias.
  PENDULA_FN void output(const Lane& l, const Columns& h2, int a, float (&v)[2]) const {
    head(l, h2, p + at.w3() + a * kColumns, v);
  }
  PENDULA_FN void last_delta(const Lane& l, const float (&d)[A][2], Columns& h2) const {
    head_delta<A>(l, act, p + at.w3(), d, h2);
  }
  // The columns' share of dLoss/d(units 64 chunk .. of layer 1), without its slope.
  PENDULA_FN void first_delta(const Lane& l, const Columns& d2, int chunk, Units& d1) const {
    const int row = at.width;
    const float* w = p + at.w2() + chunk * kTileWidth;
    const Groups<const float> from(w + 2 * l.q * row + l.g, exchanged_q(l));
    d1 = {};
    PENDULA_UNROLL
    for (int s = 0; s < kColumns / 8; ++s) {
      const uint32_t a[4] = {to_tf32(d2.c[s][0]), to_tf32(d2.c[s][2]), to_tf32(d2.c[s][1]),
                             to_tf32(d2.c[s][3])};
      PENDULA_UNROLL
      for (int t = 0; t < kUnitTiles; ++t) {  // rows 8 s + 2 q and the next, column 8 t + g
        const int group = (t & 3) ^ 2 * (s & 1), rest = s * 8 * row + (t & 4) * 8;
        mma_tf32(d1.c[t], a, to_tf32(from.p[group][rest]), to_tf32(from.p[group ^ 1][rest + row]));
      }
    }
  }
  PENDULA_FN int chunks() const { return at.width / kTileWidth; }

 private:
  // out += h1 W2^T for units 64 chunk .. of layer 1.
  PENDULA_FN void add_chunk(const Lane& l, const Units& h1, int chunk, Columns& out) const {
    const float* w = p + at.w2() + chunk * kTileWidth;
    const Groups<const float> from(w + l.g * at.width + 2 * l.q, exchanged_g(l));
    PENDULA_UNROLL
    for (int s = 0; s < kUnitTiles; ++s) {
      const uint32_t a[4] = {to_tf32(h1.c[s][0]), to_tf32(h1.c[s][2]), to_tf32(h1.c[s][1]),
                             to_tf32(h1.c[s][3])};
      PENDULA_UNROLL
      for (int t = 0; t < kColumns / 8; ++t) {  // row 8 t + g, columns 8 s + 2 q and the next
        const Pair b = load_pair(from.p[(s & 3) ^ 2 * (t & 1)] + t * 8 * at.width + (s & 4) * 8);
        mma_tf32(out.c[t], a, to_tf32(b.x), to_tf32(b.y));
      }
    }
  }
};

// A block's gradient of a network, and what it adds up in shared memory over the passes of a batch.
template <int A, int rows>
struct ColumnGradient {
  ColumnLayout at;
  float* own;    // as ColumnLayout::own_place
  float* first;  // (width, 8): the columns' share of dW1, whose column 7 is db1
  float* heads;  // of each warp: dW3 (A, 16), db3 (A), db2 (16)

  static constexpr int kHeads = A * (kColumns + 1) + kColumns;

  // The sums over a warp's rows. d: dLoss/d(output); d2: dLoss/d(layer 2).
  PENDULA_FN void add_heads(const Lane& l, const float (&d)[A][2], const Columns& h2,
                            const Columns& d2, bool first_pass) const {
    float* to = heads + l.warp * kHeads;
    const auto give = [&](int i, float sum, bool mine) {
      if (mine) to[i] = first_pass ? sum : to[i] + sum;
    };
    for (int a = 0; a < A; ++a) {
      PENDULA_UNROLL
      for (int t = 0; t < kColumns / 8; ++t) {
        PENDULA_UNROLL
        for (int i = 0; i < 2; ++i) {
          const float sum = sum_over_rows(fma(d[a][1], h2.c[t][i + 2], d[a][0] * h2.c[t][i]));
          give(a * kColumns + unit_of(l, t, i), sum, l.g == 0);
        }
      }
      give(A * kColumns + a, sum_over_rows(d[a][0] + d[a][1]), l.g == 0 && l.q == 0);
    }
    PENDULA_UNROLL
    for (int t = 0; t < kColumns / 8; ++t) {
      PENDULA_UNROLL
      for (int i = 0; i < 2; ++i) {
        const float sum = sum_over_rows(d2.c[t][i] + d2.c[t][i + 2]);
        give(A * (kColumns + 1) + unit_of(l, t, i), sum, l.g == 0);
      }
    }
  }

  // dW2 += d2 h^T for inputs 64 chunk .. of the second layer: a warp has 8 of them.
  PENDULA_FN void add_second(const Lane& l, const float* d2, const float* h, int chunk,
                             bool first_pass) const {
    const Groups<const float> a_at(d2 + l.g * rows + 2 * l.q, exchanged_g(l));
    const Groups<const float> b_at(h + (8 * l.warp + l.g) * rows + 2 * l.q,
                                   exchanged_g(l) ^ 2 * (l.warp & 1));
    float c[4] = {};
    product(a_at, b_at, c);
    float* to = own + ColumnLayout::kOwnFirst + chunk * kTileWidth;
    PENDULA_UNROLL
    for (int i = 0; i < 4; ++i) {
      const int unit = row_of(l, i), in = 8 * l.warp + 2 * l.q + (i & 1);
      float& g = to[unit * at.width + (in ^ swizzle(unit))];
      g = first_pass ? c[i] : g + c[i];
    }
  }

  // dW1 += d x^T for units 64 chunk .. of the first layer: warps 0 to 3 have 16 of them each.
  PENDULA_FN void add_first(const Lane& l, const float* d, const float* x, int chunk,
                            bool first_pass) const {
    if (l.warp >= kTileWidth / kWarpRows) return;
    const Groups<const float> a_at(d + (16 * l.warp + l.g) * rows + 2 * l.q, exchanged_g(l));
    const Groups<const float> b_at(x + l.g * rows + 2 * l.q, exchanged_g(l));
    float c[4] = {};
    product(a_at, b_at, c);
    PENDULA_UNROLL
    for (int i = 0; i < 4; ++i) {
      const int unit = chunk * kTileWidth + 16 * l.warp + row_of(l, i);
      float& g = first[unit * kTileInputs + 2 * l.q + (i & 1)];
      g = first_pass ? c[i] : g + c[i];
    }
  }

  // The heads' sums over the warps, behind a barrier; another one has to follow.
  PENDULA_FN void add_warps() const {
    float* to = own + ColumnLayout::kOwnFirst + kColumns * at.width;  // db2, dW3, db3
    for (int i = thread_index(); i < kHeads; i += kThreads) {
      float sum = 0.0f;
      for (int w = 0; w < kTileWarps; ++w) sum += heads[w * kHeads + i];
      constexpr int kRest = A * (kColumns + 1);
      to[i < kRest ? kColumns + i : i - kRest] = sum;
    }
  }

 private:
  // c += (16 units, rows) (8 units, rows)^T
  static PENDULA_FN void product(const Groups<const float>& a_at, const Groups<const float>& b_at,
                                 float (&c)[4]) {
    PENDULA_UNROLL_BY(1)
    for (int k = 0; k < rows; k += 32) {
      PENDULA_UNROLL
      for (int group = 0; group < 4; ++group) {
        uint32_t a[4];
        row_operand<rows>(a_at, group, k, a);
        const Pair b = load_pair(b_at.p[group] + k);
        mma_tf32(c, a, to_tf32(b.x), to_tf32(b.y));
      }
    }
  }
};

}  // namespace PENDULA_PROGRAMS
