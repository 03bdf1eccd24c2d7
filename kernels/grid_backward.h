// A network's backward pass over a tile of the batch in the tuned grid plan: deltas of the hidden
// layers in place of their activations, and the gradients that need no product over the whole batch
// (kernels/grid_gradient.h has the others).
#pragma once

#include "kernels/grid_memory.h"

namespace PENDULA_PROGRAMS {

// What is left of a network's backward pass once its output's delta is known, in shared memory
// (outputs, kRows).
template <class S>
class GridBackward {
 public:
  using P = typename S::P;

  PENDULA_FN GridBackward(const GridPlace<S>& at, const GridNetwork& network, const KeptLayers& h,
                          const float* delta)
      : at_(at), network_(network), net_(network.net), h_(h), delta_(delta) {}

  // dL/d(the head's weights and biases), added to (first: put into) grad. scratch:
  // PassMemory::sums. Ends with a barrier.
  PENDULA_FN void head_gradient(float* grad, bool first, float* scratch) const {
    const int head = net_.layers - 1, width = net_.size[head];
    for (int a = 0; a < net_.size[net_.layers]; ++a) {
      const float* delta = delta_ + a * S::kRows;
      const float sum = sum_of_rows<S>(delta);
      float* bias = grad + net_.bias[head] + a;
      if (thread_index() == 0) *bias = first ? sum : *bias + sum;
      column_sums(
          network_.last(), [=](int r) { return delta[r]; }, grad + net_.weight[head] + a * width,
          first, scratch);
    }
  }

  // dL/d(the biases of hidden layer l >= 1), from its delta; as head_gradient().
  PENDULA_FN void bias_gradient(int l, float* grad, bool first, float* scratch) const {
    column_sums(
        l, [](int) { return 1.0f; }, grad + net_.bias[l], first, scratch);
  }

  // The last hidden layer's delta in place of its activations. mask: null, or the tile's rows of
  // it. Ends with a barrier.
  PENDULA_FN void last_delta(uint32_t* mask) const {
    const int width = network_.width(network_.last());
    const int words = row_words(width, P::kPerWord);
    const int pitch = row_pitch(width, P::kPerWord);
    const int outputs = net_.size[net_.layers];
    const int groups = (words + 31) / 32;
    uint32_t* h = h_(network_.last());
    for (int r = at_.lane.warp; r < S::kRows; r += kWarps) {
      for (int group = 0; group < groups; ++group) {
        const int lane = thread_index() % 32, word = 32 * group + lane;
        uint32_t* at = h + r * pitch + word;
        const uint32_t values = word < words ? *at : 0;
        float d[2] = {0.0f, 0.0f};
        PENDULA_UNROLL
        for (int i = 0; i < P::kPerWord; ++i) {
          const int unit = P::unit_of(word, i);
          const bool on = P::number(values, i) > 0.0f;
          for (int a = 0; on && unit < width && a < outputs; ++a) {
            d[i] = fma(delta_[a * S::kRows + r], network_.head(a)[unit], d[i]);
          }
          const uint32_t bits = ballot(on);
          if (mask != nullptr && lane == 0) {
            mask[r * mask_words(net_) + group * P::kPerWord + i] = bits;
          }
        }
        if (word < words) *at = P::word(d[0], d[1]);
      }
    }
    block_sync();
  }

  // From the last hidden layer's delta to the first one's, in place of the activations; those of
  // the layers in between go to `stored` (unless null), from row `row` of the batch on. after(l)
  // for each layer l >= 1 once its delta is there. Ends with a barrier.
  template <class F>
  PENDULA_FN void hidden_deltas(const GridLayout& grid, char* stored, int row, F after) const {
    for (int l = network_.last(); l > 0; --l) {
      after(l);
      const bool keep = stored != nullptr && l > 1;
      if (keep) {
        store_rows(l - 1, stored + stored_place(net_, l - 1, false, grid) - grid.stored, row);
        block_sync();
      }
      uint32_t* to = h_(l - 1);
      const int pitch = row_pitch(network_.width(l - 1), P::kPerWord);
      network_.template layer_back<S>(at_, l, h_(l), [&](int first, int columns, TileSums<S>& u) {
        for_pairs<S>(u, columns, [&](int m, int t, int h, float& x, float& y) {
          uint32_t* words = to + at_.row(m, 2 * h) * pitch;
          const auto value = load_words<P>(words, first / 8 + t, at_.lane.q);
          store_pair<P>(words, first / 8 + t, at_.lane.q, P::first(value) > 0.0f ? x : 0.0f,
                        P::second(value) > 0.0f ? y : 0.0f);
        });
      });
      block_sync();
      if (keep) {
        store_rows(l - 1, stored + stored_place(net_, l - 1, true, grid) - grid.stored, row);
      }
    }
  }

  // dL/d(the first layer's weights and biases) from its delta and the inputs, whose last one is 1.
  // Begins behind a barrier; none inside.
  PENDULA_FN void first_gradient(const uint32_t* x, float* grad, bool first) const {
    const int width = network_.width(0), inputs = net_.size[0];
    const int pitch = row_pitch(width, P::kPerWord);
    const Lane& l = at_.lane;
    for (int tile = l.warp; 16 * tile < width; tile += kWarps) {
      float c[4];
      float* to[4];
      PENDULA_UNROLL
      for (int i = 0; i < 4; ++i) {
        const int unit = 16 * tile + row_of(l, i), in = 2 * l.q + (i & 1);
        const bool bias = in == kGridInputs - 1;
        to[i] = unit < width && (bias || in < inputs)
                    ? grad + (bias ? net_.bias[0] + unit : net_.weight[0] + unit * inputs + in)
                    : nullptr;
        c[i] = first || to[i] == nullptr ? 0.0f : *to[i];
      }
      for (int r = 0; r < S::kRows; r += P::kPerStep) {
        uint32_t low[2], high[2];
        load_over_rows<P>(h_(0) + r * pitch, pitch, 16 * tile, low);
        load_over_rows<P>(h_(0) + r * pitch, pitch, 16 * tile + 8, high);
        const uint32_t a[4] = {low[0], high[0], low[1], high[1]};
        add_inputs_over_rows(a, x + r * kInputPitch + l.g, c);
      }
      PENDULA_UNROLL
      for (int i = 0; i < 4; ++i) {
        if (to[i] != nullptr) *to[i] = c[i];
      }
    }
  }

 private:
  // to[unit] (+)= the sum over the tile's rows of weight(row) times hidden layer l's unit. Ends
  // with a barrier.
  template <class F>
  PENDULA_FN void column_sums(int l, F weight, float* to, bool first, float* scratch) const {
    const int width = network_.width(l);
    const int words = row_words(width, P::kPerWord);
    const int pitch = row_pitch(width, P::kPerWord);
    const int groups = (words + 31) / 32;
    const int parts = groups == 1 ? 8 : groups == 2 ? 4 : groups <= 4 ? 2 : 1;  // of the rows
    const uint32_t* h = h_(l);
    for (int item = at_.lane.warp; item < groups * parts; item += kWarps) {
      const int word = item / parts * 32 + thread_index() % 32;
      const int begin = item % parts * (S::kRows / parts);
      if (word >= words) continue;
      float sum[P::kPerWord] = {};
      for (int r = begin; r < begin + S::kRows / parts; ++r) {
        const uint32_t w = h[r * pitch + word];
        PENDULA_UNROLL
        for (int i = 0; i < P::kPerWord; ++i) sum[i] = fma(weight(r), P::number(w, i), sum[i]);
      }
      PENDULA_UNROLL
      for (int i = 0; i < P::kPerWord; ++i) {
        scratch[(item % parts * groups * 32 + word) * P::kPerWord + i] = sum[i];
      }
    }
    block_sync();
    for (int k = thread_index(); k < width; k += kThreads) {
      const float* from = scratch + P::word_of(k) * P::kPerWord + P::part_of(k);
      float sum = 0.0f;
      for (int i = 0; i < parts; ++i) sum += from[i * groups * 32 * P::kPerWord];
      to[k] = first ? sum : to[k] + sum;
    }
    block_sync();
  }

  // c += a x, over rows. x: input g of the first row.
  PENDULA_FN void add_inputs_over_rows(const uint32_t (&a)[4], const uint32_t* x,
                                       float (&c)[4]) const {
    const int q = at_.lane.q;
    if constexpr (P::kPerWord == 1) {
      P::mma(c, a, x[2 * q * kInputPitch], x[(2 * q + 1) * kInputPitch]);
    } else {
      // An input is the sum of two operands, which have twice the digits.
      uint32_t upper[2], lower[2];
      PENDULA_UNROLL
      for (int i = 0; i < 2; ++i) {
        const float x0 = Tf32::from_bits(x[(2 * q + 8 * i) * kInputPitch]);
        const float x1 = Tf32::from_bits(x[(2 * q + 8 * i + 1) * kInputPitch]);
        upper[i] = P::word(x0, x1);
        lower[i] = P::word(x0 - P::number(upper[i], 0), x1 - P::number(upper[i], 1));
      }
      P::mma(c, a, lower[0], lower[1]);
      P::mma(c, a, upper[0], upper[1]);
    }
  }

  // Layer l's rows as operands of a product over rows (see stored_words).
  PENDULA_FN void store_rows(int l, char* to, int row) const {
    const int width = network_.width(l), pitch = row_pitch(width, P::kPerWord);
    const int tiles = row_words(width, 1) / 8;
    for (int item = at_.lane.warp; item < tiles * (S::kRows / P::kPerStep); item += kWarps) {
      const int tile = item % tiles, step = item / tiles;
      uint32_t w[2];
      load_over_rows<P>(h_(l) + step * P::kPerStep * pitch, pitch, 8 * tile, w);
      const int64_t place = (static_cast<int64_t>(row / P::kPerStep + step) * tiles + tile) * 32 +
                            thread_index() % 32;
      uint32_t* out = reinterpret_cast<uint32_t*>(to) + 2 * place;
      out[0] = w[0];
      out[1] = w[1];
    }
  }

  static PENDULA_FN uint32_t ballot([[maybe_unused]] bool on) {
#if PENDULA_DEVICE
    return __ballot_sync(0xffffffffu, on);
#else
    return 0;
#endif
  }

  const GridPlace<S>& at_;
  const GridNetwork& network_;
  const NetworkLayout& net_;
  const KeptLayers& h_;
  const float* delta_;
};

}  // namespace PENDULA_PROGRAMS
