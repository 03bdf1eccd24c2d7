// Layers of a network on a block's tile of the batch, with weights as operands
// (kernels/grid_layout.h) read from the L2 cache by the one warp, of those that have the same rows,
// that needs them. The activations of a layer lie in shared memory as operands of the next: rows of
// words, row_pitch() apart. Widths are dynamic; units that a layer does not have are zeros.
//
// The 8 warps are kRowWarps x kColumnWarps: a warp has 16 kTiles rows and takes 32 columns of a
// layer's outputs at a time, 16 kTiles sums per thread.
#pragma once

#include "kernels/grid_layout.h"
#include "kernels/operand.h"
#include "kernels/tile_network.h"

namespace PENDULA_PROGRAMS {

inline constexpr int kInputPitch = 12;  // words between two rows of inputs: no bank conflicts

// What a thread reads of packed weights at a time.
struct alignas(16) PackedWords {
  uint32_t x, y, z, w;
};

template <class Precision, int tiles, int row_warps>
struct Shape {
  using P = Precision;
  static constexpr int kTiles = tiles;         // of 16 rows, of a warp
  static constexpr int kRowWarps = row_warps;  // warps that have different rows
  static constexpr int kColumnWarps = kWarps / row_warps;
  static constexpr int kRows = 16 * tiles * row_warps;
};

// A warp's sums: element i of c[m][t] is row 16 m + row_of(i), column 8 t + 2 q + (i & 1).
template <class S>
struct TileSums {
  float c[S::kTiles][4][4];
};

// Where this thread's warp stands.
template <class S>
struct GridPlace {
  Lane lane;
  int row_warp, column_warp;

  PENDULA_FN GridPlace() : lane(lane_place(thread_index())) {
    row_warp = lane.warp / S::kColumnWarps;
    column_warp = lane.warp % S::kColumnWarps;
  }
  // Of the tile: the row of element i of c[m][..].
  PENDULA_FN int row(int m, int i) const {
    return (row_warp * S::kTiles + m) * 16 + row_of(lane, i);
  }
};

// out = in W^T + bias for 32 columns at a time, then finish(first column, out). in: rows of words
// of P, `steps` of 8 of them. bias: of `width` outputs, or null. Begins behind a barrier; none
// inside.
template <class S, class P = typename S::P, class F>
PENDULA_FN void for_columns(const GridPlace<S>& at, const uint32_t* in, int pitch, int steps,
                            const uint32_t* packed, int width, const float* bias, F finish) {
  const int pairs = unit_pairs(width);
  const uint32_t* rows = in + at.row_warp * S::kTiles * 16 * pitch;
  for (int pair = 2 * at.column_warp; pair < pairs; pair += 2 * S::kColumnWarps) {
    const bool both = pair + 1 < pairs;
    TileSums<S> out;
    PENDULA_UNROLL
    for (int t = 0; t < 4; ++t) {
      const int n = 16 * pair + 8 * t + 2 * at.lane.q;
      const float b0 = bias != nullptr && n < width ? bias[n] : 0.0f;
      const float b1 = bias != nullptr && n + 1 < width ? bias[n + 1] : 0.0f;
      PENDULA_UNROLL
      for (int m = 0; m < S::kTiles; ++m) {
        out.c[m][t][0] = out.c[m][t][2] = b0;
        out.c[m][t][1] = out.c[m][t][3] = b1;
      }
    }
    const PackedWords* first = reinterpret_cast<const PackedWords*>(packed) +
                               static_cast<int64_t>(pair) * steps * 32 + thread_index() % 32;
    const PackedWords* second = both ? first + steps * 32 : first;
    PackedWords w0 = first[0], w1 = second[0];
    PENDULA_UNROLL_BY(1)
    for (int s = 0; s < steps; ++s) {
      // The next step's words are under way while this one's are used.
      const int next = s + 1 < steps ? s + 1 : s;
      const PackedWords n0 = first[next * 32], n1 = second[next * 32];
      PENDULA_UNROLL
      for (int m = 0; m < S::kTiles; ++m) {
        uint32_t a[4];
        load_a(rows + m * 16 * pitch + s * 8, pitch, a);
        P::mma(out.c[m][0], a, w0.x, w0.y);
        P::mma(out.c[m][1], a, w0.z, w0.w);
        if (both) {
          P::mma(out.c[m][2], a, w1.x, w1.y);
          P::mma(out.c[m][3], a, w1.z, w1.w);
        }
      }
      w0 = n0;
      w1 = n1;
    }
    finish(16 * pair, both ? 4 : 2, out);
  }
}

// f(m, t, h, x0, x1) for each pair of neighbouring columns: x0, x1 are elements 2 h and 2 h + 1 of
// c[m][t].
template <class S, class F>
PENDULA_FN void for_pairs(TileSums<S>& u, int columns, F f) {
  PENDULA_UNROLL
  for (int m = 0; m < S::kTiles; ++m) {
    PENDULA_UNROLL
    for (int t = 0; t < 4; ++t) {
      if (t >= columns) continue;
      PENDULA_UNROLL
      for (int h = 0; h < 2; ++h) f(m, t, h, u.c[m][t][2 * h], u.c[m][t][2 * h + 1]);
    }
  }
}

PENDULA_FN float relu(float z) { return select(0.0f > z, 0.0f, z); }  // NaN stays NaN

// relu of the sums; then, where `to` is not null, as words into rows of a layer.
template <class S>
PENDULA_FN void put_activations(const GridPlace<S>& at, int first, int columns, TileSums<S>& u,
                                uint32_t* to, int pitch) {
  using P = typename S::P;
  for_pairs<S>(u, columns, [&](int m, int t, int h, float& x, float& y) {
    x = relu(x);
    y = relu(y);
    if (to != nullptr) {
      store_pair<P>(to + at.row(m, 2 * h) * pitch, first / 8 + t, at.lane.q, x, y);
    }
  });
}

// A row's sum over this warp's columns of value x weight, added to sums (kColumnWarps, kRows) or,
// where it `starts`, put there. weight: of `width` units.
template <class S>
PENDULA_FN void add_row_sums(const GridPlace<S>& at, int first, int columns, const TileSums<S>& u,
                             const float* weight, int width, bool starts, float* sums) {
  float sum[S::kTiles][2] = {};
  PENDULA_UNROLL
  for (int t = 0; t < 4; ++t) {
    if (t >= columns) continue;
    const int n = first + 8 * t + 2 * at.lane.q;
    const float w0 = n < width ? weight[n] : 0.0f;
    const float w1 = n + 1 < width ? weight[n + 1] : 0.0f;
    PENDULA_UNROLL
    for (int m = 0; m < S::kTiles; ++m) {
      PENDULA_UNROLL
      for (int h = 0; h < 2; ++h) {
        sum[m][h] = fma(u.c[m][t][2 * h], w0, sum[m][h]);
        sum[m][h] = fma(u.c[m][t][2 * h + 1], w1, sum[m][h]);
      }
    }
  }
  PENDULA_UNROLL
  for (int m = 0; m < S::kTiles; ++m) {
    PENDULA_UNROLL
    for (int h = 0; h < 2; ++h) {
      const float all = sum_over_columns(sum[m][h]);
      float* to = sums + at.column_warp * S::kRows + at.row(m, 2 * h);
      if (at.lane.q == 0) *to = starts ? all : *to + all;
    }
  }
}

// The sum of those of all warps, in their order; a warp without columns has put nothing.
template <class S>
PENDULA_FN float row_sum(const float* sums, int row, int width) {
  const int pairs = unit_pairs(width);
  float sum = 0.0f;
  for (int w = 0; w < S::kColumnWarps && 2 * w < pairs; ++w) sum += sums[w * S::kRows + row];
  return sum;
}

// One network as a pass needs it.
struct GridNetwork {
  const NetworkLayout& net;
  const PackedLayout& layout;
  const float* params;  // fp32: biases and the head
  const uint32_t* packed;

  PENDULA_FN int last() const { return net.layers - 2; }         // hidden layer
  PENDULA_FN int width(int l) const { return net.size[l + 1]; }  // of hidden layer l
  PENDULA_FN const float* bias(int l) const { return params + net.bias[l]; }
  // Weights of output a of the head.
  PENDULA_FN const float* head(int a) const {
    return params + net.weight[net.layers - 1] + a * net.size[net.layers - 1];
  }
  PENDULA_FN float head_bias(int a) const { return params[net.bias[net.layers - 1] + a]; }
  // inputs -> layer l -> ... with in: of hidden layer l - 1, or the inputs.
  template <class S, class F>
  PENDULA_FN void layer(const GridPlace<S>& at, int l, const uint32_t* in, F finish) const {
    using P = typename S::P;
    const uint32_t* w = packed + layout.forward[l];
    if (l == 0) {
      for_columns<S, Tf32>(at, in, kInputPitch, 1, w, width(0), bias(0), finish);
    } else {
      for_columns<S, P>(at, in, row_pitch(width(l - 1), P::kPerWord),
                        sum_steps(width(l - 1), P::kPerWord), w, width(l), bias(l), finish);
    }
  }
  // in W for hidden layer l >= 1: of layer l's delta, what layer l - 1 gets.
  template <class S, class F>
  PENDULA_FN void layer_back(const GridPlace<S>& at, int l, const uint32_t* delta, F finish) const {
    using P = typename S::P;
    for_columns<S, P>(at, delta, row_pitch(width(l), P::kPerWord), sum_steps(width(l), P::kPerWord),
                      packed + layout.backward[l], width(l - 1), static_cast<const float*>(nullptr),
                      finish);
  }

  // All hidden layers, from the inputs x. h(l): where layer l's activations go (the last one's may
  // be null). The head's sums over the last one go to `sums`: (outputs, kColumnWarps, kRows).
  // Begins behind a barrier and ends with one.
  template <class S, class F>
  PENDULA_FN void forward(const GridPlace<S>& at, const uint32_t* x, F h, float* sums) const {
    for (int l = 0; l <= last(); ++l) {
      uint32_t* to = h(l);
      const int pitch = row_pitch(width(l), S::P::kPerWord);
      layer<S>(at, l, l == 0 ? x : h(l - 1), [&](int first, int columns, TileSums<S>& u) {
        put_activations<S>(at, first, columns, u, to, pitch);
        if (l == last()) add_head<S>(at, first, columns, u, sums);
      });
      block_sync();
    }
  }
  template <class S>
  PENDULA_FN void add_head(const GridPlace<S>& at, int first, int columns, const TileSums<S>& u,
                           float* sums) const {
    const bool starts = first < 32 * S::kColumnWarps;
    for (int a = 0; a < net.size[net.layers]; ++a) {
      add_row_sums<S>(at, first, columns, u, head(a), width(last()), starts,
                      sums + a * S::kColumnWarps * S::kRows);
    }
  }
  // Output a of a row, after forward().
  template <class S>
  PENDULA_FN float output(const float* sums, int a, int row) const {
    return row_sum<S>(sums + a * S::kColumnWarps * S::kRows, row, width(last())) + head_bias(a);
  }
};

}  // namespace PENDULA_PROGRAMS
