// Actors of the tuned grid plan's rollout, for environments of which each thread has one:
//
//   ChainActor  hidden layers of at most 64 units: a warp takes its 32 environments through all of
//               them, the sums of a layer being the operand of the next, weights in shared memory
//   LayerActor  any others whose activations fit in shared memory: kernels/grid_layers.h
//   NoActor     none
#pragma once

#include "kernels/grid_memory.h"

namespace PENDULA_PROGRAMS {

inline constexpr int kChainWidth = 64;  // units
inline constexpr int kChainTiles = 2;   // of 16 environments, of a warp
inline constexpr int kChainColumns = kChainWidth / 8;

// What an actor is made of.
struct ActorData {
  const NetworkLayout& net;
  const PackedLayout& layout;
  const float* params;
  const uint32_t* packed;
  char* shared;

  PENDULA_FN GridNetwork network() const { return {net, layout, params, packed}; }
};

// Words of shared memory of a ChainActor: packed weights, then biases and heads.
PENDULA_FN int chain_words(const NetworkLayout& net, const PackedLayout& layout) {
  int words = static_cast<int>(layout.forward_words) + net.size[net.layers] * (kChainWidth + 1);
  return words + (net.layers - 1) * kChainWidth;
}

// For the warm-up, whose random actions need no registers of a network.
struct NoActor {
  static constexpr int kRows = kThreads;

  PENDULA_FN explicit NoActor(const ActorData&) {}
  template <int observations, int actions>
  PENDULA_FN void act(const float (&)[observations], float (&)[actions]) const {}
};

template <class Precision, int observations, int actions>
class ChainActor {
 public:
  using P = Precision;
  static constexpr int kRows = kThreads;  // environments of a block

  // Ends with a barrier.
  PENDULA_FN explicit ChainActor(const ActorData& data)
      : net_(data.net), layout_(data.layout), lane_(lane_place(thread_index())) {
    uint32_t* words = reinterpret_cast<uint32_t*>(data.shared);
    const int weights = static_cast<int>(layout_.forward_words);
    weights_ = words;
    biases_ = reinterpret_cast<float*>(words + weights);
    heads_ = biases_ + (net_.layers - 1) * kChainWidth;
    for (int i = thread_index(); i < weights; i += kThreads) words[i] = data.packed[i];
    const GridNetwork network = data.network();
    for (int i = thread_index(); i < (net_.layers - 1) * kChainWidth; i += kThreads) {
      const int l = i / kChainWidth, unit = i % kChainWidth;
      biases_[i] = unit < network.width(l) ? network.bias(l)[unit] : 0.0f;
    }
    for (int i = thread_index(); i < actions * (kChainWidth + 1); i += kThreads) {
      const int a = i / (kChainWidth + 1), unit = i % (kChainWidth + 1);
      heads_[i] = unit == kChainWidth                    ? network.head_bias(a)
                  : unit < network.width(network.last()) ? network.head(a)[unit]
                                                         : 0.0f;
    }
    block_sync();
  }

  // This thread's environment. By all threads of the warp.
  PENDULA_FN void act(const float (&obs)[observations], float (&mu)[actions]) const {
    Sums u;
    first_layer(obs, u);
    for (int l = 1; l + 1 < net_.layers; ++l) next_layer(l, u);
    for (int a = 0; a < actions; ++a) mu[a] = tanh(output(a, u));
  }

 private:
  // Element i of c[m][t]: environment 16 m + row_of(i), unit 8 t + 2 q + (i & 1).
  struct Sums {
    float c[kChainTiles][kChainColumns][4];
  };
  static constexpr int kSteps = kChainWidth / P::kPerStep;
  struct Operand {
    uint32_t a[kChainTiles][kSteps][4];
  };

  PENDULA_FN void start(int l, Sums& u) const {
    PENDULA_UNROLL
    for (int t = 0; t < kChainColumns; ++t) {
      const Pair b = load_pair(biases_ + l * kChainWidth + 8 * t + 2 * lane_.q);
      PENDULA_UNROLL
      for (int m = 0; m < kChainTiles; ++m) {
        u.c[m][t][0] = u.c[m][t][2] = b.x;
        u.c[m][t][1] = u.c[m][t][3] = b.y;
      }
    }
  }
  PENDULA_FN const PackedWords& weights(int l, int pair, int steps, int step) const {
    return reinterpret_cast<const PackedWords*>(
        weights_ + layout_.forward[l])[(pair * steps + step) * 32 + thread_index() % 32];
  }
  static PENDULA_FN void rectify(Sums& u) {
    PENDULA_UNROLL
    for (int m = 0; m < kChainTiles; ++m) {
      PENDULA_UNROLL
      for (int t = 0; t < kChainColumns; ++t) {
        PENDULA_UNROLL
        for (int i = 0; i < 4; ++i) u.c[m][t][i] = relu(u.c[m][t][i]);
      }
    }
  }

  PENDULA_FN void first_layer(const float (&obs)[observations], Sums& u) const {
    uint32_t a[kChainTiles][4] = {};
    PENDULA_UNROLL
    for (int j = 0; j < observations; ++j) {
      const uint32_t x = to_tf32(obs[j]);
      PENDULA_UNROLL
      for (int m = 0; m < kChainTiles; ++m) {
        PENDULA_UNROLL
        for (int h = 0; h < 2; ++h) {  // rows g and g + 8
          const uint32_t of_row = from_lane(x, 16 * m + 8 * h + lane_.g);
          if (lane_.q == (j & 3)) a[m][2 * (j / 4) + h] = of_row;
        }
      }
    }
    start(0, u);
    PENDULA_UNROLL
    for (int pair = 0; pair < kChainColumns / 2; ++pair) {
      if (16 * pair >= net_.size[1]) continue;
      const PackedWords w = weights(0, pair, 1, 0);
      PENDULA_UNROLL
      for (int m = 0; m < kChainTiles; ++m) {
        Tf32::mma(u.c[m][2 * pair], a[m], w.x, w.y);
        Tf32::mma(u.c[m][2 * pair + 1], a[m], w.z, w.w);
      }
    }
    rectify(u);
  }

  // Layer l from the activations of the one before, in place.
  PENDULA_FN void next_layer(int l, Sums& u) const {
    Operand in;
    PENDULA_UNROLL
    for (int m = 0; m < kChainTiles; ++m) {
      PENDULA_UNROLL
      for (int s = 0; s < kSteps; ++s) {
        if constexpr (P::kPerWord == 1) {
          const float(&c)[4] = u.c[m][s];
          const auto g = P::pack(c[0], c[1]), g8 = P::pack(c[2], c[3]);
          in.a[m][s][0] = g.at[0];
          in.a[m][s][1] = g8.at[0];
          in.a[m][s][2] = g.at[P::kWords - 1];
          in.a[m][s][3] = g8.at[P::kWords - 1];
        } else {
          PENDULA_UNROLL
          for (int i = 0; i < 2; ++i) {
            const float(&c)[4] = u.c[m][2 * s + i];
            in.a[m][s][2 * i] = P::word(c[0], c[1]);
            in.a[m][s][2 * i + 1] = P::word(c[2], c[3]);
          }
        }
      }
    }
    start(l, u);
    const int steps = sum_steps(net_.size[l], P::kPerWord);
    PENDULA_UNROLL
    for (int pair = 0; pair < kChainColumns / 2; ++pair) {
      if (16 * pair >= net_.size[l + 1]) continue;
      PENDULA_UNROLL
      for (int s = 0; s < kSteps; ++s) {
        if (s >= steps) continue;
        const PackedWords w = weights(l, pair, steps, s);
        PENDULA_UNROLL
        for (int m = 0; m < kChainTiles; ++m) {
          P::mma(u.c[m][2 * pair], in.a[m][s], w.x, w.y);
          P::mma(u.c[m][2 * pair + 1], in.a[m][s], w.z, w.w);
        }
      }
    }
    rectify(u);
  }

  // Output a of this thread's environment.
  PENDULA_FN float output(int a, const Sums& u) const {
    const float* head = heads_ + a * (kChainWidth + 1);
    float mine = 0.0f;
    PENDULA_UNROLL
    for (int m = 0; m < kChainTiles; ++m) {
      PENDULA_UNROLL
      for (int h = 0; h < 2; ++h) {
        float sum = 0.0f;
        PENDULA_UNROLL
        for (int t = 0; t < kChainColumns; ++t) {
          sum = fma(u.c[m][t][2 * h], head[8 * t + 2 * lane_.q], sum);
          sum = fma(u.c[m][t][2 * h + 1], head[8 * t + 2 * lane_.q + 1], sum);
        }
        // Environment 16 m + 8 h + g has it in lanes 4 g ..
        const int lane = thread_index() % 32;
        const float of_row = from_lane(sum_over_columns(sum), 4 * (lane % 8));
        if (lane / 8 == 2 * m + h) mine = of_row;
      }
    }
    return mine + head[kChainWidth];
  }

  template <class T>
  static PENDULA_FN T from_lane(T x, [[maybe_unused]] int lane) {
#if PENDULA_DEVICE
    x = __shfl_sync(0xffffffffu, x, lane);
#endif
    return x;
  }

  const NetworkLayout& net_;
  const PackedLayout& layout_;
  const Lane lane_;
  uint32_t* weights_;
  float* biases_;  // (layers, kChainWidth)
  float* heads_;   // (actions, kChainWidth + 1): the last one is the bias
};

// Shared memory of a LayerActor, in bytes.
template <class S>
PENDULA_FN int layer_actor_bytes(const NetworkLayout& net) {
  return static_cast<int>(sizeof(uint32_t)) *
         (S::kRows * (kInputPitch + net.size[net.layers] * S::kColumnWarps) +
          turn_words(net, S::kRows, S::P::kPerWord));
}

template <class S, int observations, int actions>
class LayerActor {
 public:
  using P = typename S::P;
  static constexpr int kRows = S::kRows;

  PENDULA_FN explicit LayerActor(const ActorData& data)
      : network_(data.network()),
        x_(reinterpret_cast<uint32_t*>(data.shared)),
        sums_(reinterpret_cast<float*>(x_ + kRows * kInputPitch)),
        turns_{reinterpret_cast<uint32_t*>(sums_ + actions * S::kColumnWarps * kRows), data.net,
               kRows, P::kPerWord} {}

  // By all threads of the block; the first kRows have an environment.
  PENDULA_FN void act(const float (&obs)[observations], float (&mu)[actions]) const {
    const int row = thread_index();
    if (row < kRows) {
      uint32_t* x = x_ + row * kInputPitch;
      for (int j = 0; j < kGridInputs; ++j) x[j] = j < observations ? to_tf32(obs[j]) : 0;
    }
    block_sync();
    network_.template forward<S>(at_, x_, turns_, sums_);
    if (row < kRows) {
      for (int a = 0; a < actions; ++a) mu[a] = tanh(network_.template output<S>(sums_, a, row));
    }
  }

 private:
  const GridNetwork network_;
  uint32_t* const x_;
  float* const sums_;
  const TurnLayers turns_;
  const GridPlace<S> at_;
};

}  // namespace PENDULA_PROGRAMS
