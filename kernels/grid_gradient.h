// Gradients of the weights between hidden layers in the grid plan where it is tuned: dW = sum over
// the batch of delta activation^T, as products over rows. A block has a tile of 64 x 64 weights and
// a part of the batch, of which each of its warps takes an eighth, with all sums in registers and
// no barrier.
//
// The operands are computed rather than read: the activations of the first hidden layer from the
// inputs, by a product whose sums are that operand, and the deltas of the last one from the
// output's delta, the head and a bit per unit. Of layers in between both were stored by the pass.
#pragma once

#include "kernels/grid_memory.h"

namespace PENDULA_PROGRAMS {

inline constexpr int kSumPitch = kGradientTile + 8;   // floats between two units of a warp's sums
inline constexpr int kSumWarps = 4;                   // whose sums lie in shared memory at a time
inline constexpr int kFirstWords = 4 * 32 * (4 + 2);  // see FirstActivations
inline constexpr uint64_t kGradientBytes =
    sizeof(float) * (kSumWarps * kGradientTile * kSumPitch + kFirstWords);

// Words q and q + 4 of a unit.
struct alignas(8) Words2 {
  uint32_t x, y;
};

// The words of a stored layer, of the `tiles` (at most 8) tiles of 8 units from one on.
struct StoredRows {
  const Words2* words;  // of the first tile, in step 0
  int all;              // tiles of the layer
  int tiles;

  PENDULA_FN StoredRows(const uint32_t* from, int width, int first)
      : words(reinterpret_cast<const Words2*>(from) + first / 8 * 32 + thread_index() % 32),
        all(row_words(width, 1) / 8),
        tiles(all - first / 8) {}
  PENDULA_FN Words2 load(int step, int tile) const {
    if (tile >= tiles) return {0, 0};
    return words[(static_cast<int64_t>(step) * all + tile) * 32];
  }
};

// Deltas of 64 units of the last hidden layer, from unit `first` on, as the operand a. kOne: the
// network has one output, whose weights are kept in registers.
template <class P, bool kOne>
class LastDeltas {
 public:
  PENDULA_FN LastDeltas(const GridContext& context, int k, const NetworkLayout& net,
                        const float* params, int first)
      : lane_(lane_place(thread_index())),
        delta_(context.at(k, context.grid.delta)),
        mask_(context.at<uint32_t>(k, context.grid.mask) + first / 32),
        head_(params + net.weight[net.layers - 1]),
        rows_(context.grid.rows),
        width_(net.size[net.layers - 1]),
        outputs_(net.size[net.layers]),
        mask_words_(mask_words(net)),
        first_(first) {
    PENDULA_UNROLL
    for (int m = 0; kOne && m < 8; ++m) weight_[m] = weight(0, m);
  }

  // a[m]: units 16 m .. of the rows of `step`. sums[2 m + h]: added to it, those of unit 16 m + 8 h
  // + g, unrounded.
  PENDULA_FN void load(int step, uint32_t (&a)[4][4]) const {
    PENDULA_UNROLL
    for (int h = 0; h < 2; ++h) {  // word q, word q + 4
      float d[8][2] = {};
      PENDULA_UNROLL
      for (int i = 0; i < P::kPerWord; ++i) {
        const int row =
            step * P::kPerStep + (P::kPerWord == 1 ? 2 * lane_.q + h : 2 * lane_.q + 8 * h + i);
        const uint32_t* mask = mask_ + static_cast<int64_t>(row) * mask_words_;
        // tf32: both words; bf16: that of the unit's part.
        const uint32_t bits[2] = {mask[P::part_of(lane_.g)], mask[P::kPerWord == 1 ? 1 : 0]};
        const float delta = delta_[row];
        PENDULA_UNROLL
        for (int m = 0; m < 8; ++m) {
          const int word = P::word_of(8 * m + lane_.g);
          const uint32_t on = bits[P::kPerWord == 1 ? m / 4 : 0] >> (word & 31);
          float sum = delta * (kOne ? weight_[m] : weight(0, m));
          for (int o = 1; !kOne && o < outputs_; ++o) {
            sum = fma(delta_[o * rows_ + row], weight(o, m), sum);
          }
          d[m][i] = (on & 1) != 0 ? sum : 0.0f;
        }
      }
      PENDULA_UNROLL
      for (int m = 0; m < 4; ++m) {
        a[m][2 * h] = P::word(d[2 * m][0], d[2 * m][1]);
        a[m][2 * h + 1] = P::word(d[2 * m + 1][0], d[2 * m + 1][1]);
      }
    }
  }

 private:
  // Of output o, unit 8 m + g.
  PENDULA_FN float weight(int o, int m) const {
    const int unit = first_ + 8 * m + lane_.g;
    return unit < width_ ? head_[o * width_ + unit] : 0.0f;
  }

  const Lane lane_;
  const float* delta_;
  const uint32_t* mask_;
  const float* head_;
  const int rows_, width_, outputs_, mask_words_, first_;
  float weight_[kOne ? 8 : 1];
};

// Deltas of 64 units of a layer that was stored.
struct StoredDeltas {
  StoredRows rows;

  PENDULA_FN void load(int step, uint32_t (&a)[4][4]) const {
    PENDULA_UNROLL
    for (int m = 0; m < 8; ++m) {
      const Words2 w = rows.load(step, m);
      a[m / 2][m % 2] = w.x;
      a[m / 2][2 + m % 2] = w.y;
    }
  }
};

// 16 bytes of shared memory, read anew wherever it is called: the compiler would keep what it reads
// in a loop in registers that it does not have.
PENDULA_FN PackedWords read_again([[maybe_unused]] const PackedWords* p) {
  PackedWords w{};
#if PENDULA_DEVICE
  asm volatile("ld.shared.v4.u32 {%0,%1,%2,%3}, [%4];"
               : "=r"(w.x), "=r"(w.y), "=r"(w.z), "=r"(w.w)
               : "r"(shared_address(p)));
#endif
  return w;
}

// Activations of 64 units of the first hidden layer as the operand b. The weights and biases that
// they are computed with lie in shared memory, as the block's threads take them: 24 registers less.
template <class P>
class FirstActivations {
 public:
  // words: kFirstWords of shared memory. Ends with a barrier.
  PENDULA_FN FirstActivations(const float* x, const NetworkLayout& net, const float* params,
                              int first, uint32_t* words)
      : lane_(lane_place(thread_index())),
        x_(reinterpret_cast<const uint32_t*>(x)),
        weights_(reinterpret_cast<const PackedWords*>(words) + thread_index() % 32),
        biases_(reinterpret_cast<const float*>(words + 4 * 32 * 4) + 2 * (thread_index() % 32)) {
    const int inputs = net.size[0], width = net.size[1];
    for (int i = thread_index(); i < 4 * 32 * 4; i += kThreads) {  // word q (+ 4) of unit g (+ 8)
      const Lane l = lane_place(i / 4 % 32);
      const int unit = first + 16 * (i / 128) + l.g + 8 * (i & 1), in = l.q + 2 * (i & 2);
      words[i] =
          unit < width && in < inputs ? to_tf32(params[net.weight[0] + unit * inputs + in]) : 0;
    }
    float* biases = reinterpret_cast<float*>(words + 4 * 32 * 4);
    for (int i = thread_index(); i < 4 * 32 * 2; i += kThreads) {
      const int unit = first + 16 * (i / 64) + lane_place(i / 2 % 32).g + 8 * (i & 1);
      biases[i] = unit < width ? params[net.bias[0] + unit] : 0.0f;
    }
    block_sync();
  }

  // b[n]: units 8 n .. of the rows of `step`.
  PENDULA_FN void load(int step, uint32_t (&b)[8][2]) const {
    uint32_t x[P::kPerWord][2];
    PENDULA_UNROLL
    for (int i = 0; i < P::kPerWord; ++i) {  // 8 rows
      const uint32_t* row = x_ + (step * P::kPerStep + 8 * i + lane_.g) * kGridInputs;
      x[i][0] = row[lane_.q];
      x[i][1] = row[lane_.q + 4];
    }
    PENDULA_UNROLL
    for (int n = 0; n < 4; ++n) {
      const PackedWords w = read_again(weights_ + 32 * n);
      const uint32_t a[4] = {w.x, w.y, w.z, w.w};
      const float b0 = biases_[64 * n], b8 = biases_[64 * n + 1];
      PENDULA_UNROLL
      for (int i = 0; i < P::kPerWord; ++i) {
        float c[4] = {b0, b0, b8, b8};
        Tf32::mma(c, a, x[i][0], x[i][1]);
        PENDULA_UNROLL
        for (int h = 0; h < 2; ++h) {
          const auto words = P::pack(relu(c[2 * h]), relu(c[2 * h + 1]));
          if constexpr (P::kPerWord == 1) {
            b[2 * n + h][0] = words.at[0];
            b[2 * n + h][1] = words.at[P::kWords - 1];
          } else {
            b[2 * n + h][i] = words.at[0];
          }
        }
      }
    }
  }

 private:
  const Lane lane_;
  const uint32_t* x_;
  const PackedWords* weights_;    // (4 x 16 units, lanes)
  const volatile float* biases_;  // (4 x 16 units, lanes, 2)
};

struct StoredActivations {
  StoredRows rows;

  PENDULA_FN void load(int step, uint32_t (&b)[8][2]) const {
    PENDULA_UNROLL
    for (int n = 0; n < 8; ++n) {
      const Words2 w = rows.load(step, n);
      b[n][0] = w.x;
      b[n][1] = w.y;
    }
  }
};

// kLast: the layer's outputs are the last hidden layer; kFirst: its inputs are the first one.
template <class Precision, bool kLast, bool kFirst>
struct WeightGradient {
  using P = Precision;
  GridContext context;
  int slot;   // of the slice
  int layer;  // whose weights they are, from 1 on
  bool actor;

  PENDULA_FN const NetworkLayout& net() const {
    return actor ? context.plan.actor : context.plan.critic;
  }
  PENDULA_FN int slices(uint64_t batch_size) const {
    return gradient_slices(context.plan, net(), layer, batch_size);
  }
  PENDULA_FN int parts() const {
    return gradient_tiles(net(), layer) * slices(static_cast<uint64_t>(context.plan.batch_size));
  }
  PENDULA_FN int grid() const { return context.plan.agents * parts(); }

  template <class B>
  PENDULA_FN void operator()(B& b) const {
    const Plan& p = context.plan;
    const NetworkLayout& network = net();
    const auto [k, part] = place(b.index(), parts());
    const AgentView<float> agent = context.agent(k);
    const int tiles = gradient_tiles(network, layer);
    const int tile = part % tiles, slice = part / tiles;
    const int own_slices = slices(agent.hyper().batch_size);
    if (!agent.update_due(agent.counters().updates + static_cast<uint64_t>(slot)) ||
        slice >= own_slices) {
      return;
    }
    const int across = (network.size[layer] + kGradientTile - 1) / kGradientTile;
    const int m0 = tile / across * kGradientTile, n0 = tile % across * kGradientTile;
    const int rows = context.grid.tile_rows;
    const int all =
        (static_cast<int>(agent.hyper().batch_size) + rows - 1) / rows * rows / P::kPerStep;
    const Lane l = lane_place(thread_index());
    const int begin = share(all, slice, own_slices), end = share(all, slice + 1, own_slices);
    const int first = begin + share(end - begin, l.warp, kWarps);
    const int last = begin + share(end - begin, l.warp + 1, kWarps);
    const float* params = agent.at(actor ? p.actor_params : p.critic_params);

    float c[4][8][4] = {};
    const auto run = [&](const auto& deltas, const auto& activations) {
      PENDULA_UNROLL_BY(1)
      for (int step = first; step < last; ++step) {
        uint32_t a[4][4], w[8][2];
        activations.load(step, w);
        deltas.load(step, a);
        PENDULA_UNROLL
        for (int n = 0; n < 8; ++n) {
          PENDULA_UNROLL
          for (int m = 0; m < 4; ++m) P::mma(c[m][n], a[m], w[n][0], w[n][1]);
        }
      }
    };
    const auto first_activations = [&] {
      uint32_t* words = reinterpret_cast<uint32_t*>(shared_memory() + kGradientBytes) - kFirstWords;
      const float* x = context.inputs(k, context.grid.x, slot);
      return FirstActivations<P>(x, network, params, n0, words);
    };
    const auto with_activations = [&](const auto& deltas) {
      if constexpr (kFirst) {
        run(deltas, first_activations());
      } else {
        run(deltas, StoredActivations{stored_rows(k, layer - 1, false, n0)});
      }
    };
    if constexpr (!kLast) {
      with_activations(StoredDeltas{stored_rows(k, layer, true, m0)});
    } else if (network.size[network.layers] == 1) {
      with_activations(LastDeltas<P, true>(context, k, network, params, m0));
    } else {
      with_activations(LastDeltas<P, false>(context, k, network, params, m0));
    }
    float* grad = agent.work_at(actor ? p.actor_grad : p.critic_grad) +
                  static_cast<uint64_t>(slice) * network.count;
    write(l, c, m0, n0, grad);
  }

 private:
  static PENDULA_FN int share(int n, int i, int of) {
    return static_cast<int>(static_cast<int64_t>(n) * i / of);
  }

  // Of hidden layer l, from unit `first` on.
  PENDULA_FN StoredRows stored_rows(int k, int l, bool delta, int first) const {
    return {context.at<uint32_t>(k, stored_place(net(), l, delta, context.grid)), net().size[l + 1],
            first};
  }

  // The sums of all warps, in their order, into the gradient.
  PENDULA_FN void write(const Lane& l, const float (&c)[4][8][4], int m0, int n0,
                        float* grad) const {
    const NetworkLayout& network = net();
    const int width = network.size[layer + 1], inputs = network.size[layer];
    float* sums = reinterpret_cast<float*>(shared_memory());
    for (int turn = 0; turn < kWarps / kSumWarps; ++turn) {
      if (l.warp / kSumWarps == turn) {
        float* to = sums + l.warp % kSumWarps * kGradientTile * kSumPitch;
        PENDULA_UNROLL
        for (int m = 0; m < 4; ++m) {
          PENDULA_UNROLL
          for (int n = 0; n < 8; ++n) {
            PENDULA_UNROLL
            for (int i = 0; i < 4; ++i) {
              float* at = to + (16 * m + row_of(l, i)) * kSumPitch + unit_of(l, n, i);
              *at = turn == 0 ? c[m][n][i] : *at + c[m][n][i];
            }
          }
        }
      }
      block_sync();
    }
    for (int i = thread_index(); i < kGradientTile * kGradientTile; i += kThreads) {
      const int m = i / kGradientTile, n = i % kGradientTile;
      if (m0 + m >= width || n0 + n >= inputs) continue;
      float sum = 0.0f;
      PENDULA_UNROLL
      for (int w = 0; w < kSumWarps; ++w) {
        sum += sums[(w * kGradientTile + m) * kSumPitch + n];
      }
      grad[network.weight[layer] + (m0 + m) * inputs + n0 + n] = sum;
    }
  }
};

}  // namespace PENDULA_PROGRAMS
