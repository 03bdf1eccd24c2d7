// What the grid plan keeps beside the arena where it is tuned (kernels/grid_update.h): copies of
// the networks' weights as operands of products, the batches of a slice, and what the passes leave
// for the products over rows. All of it is made anew by each launch. Host and device count alike.
//
// Weights as operands (packed): words in the order in which threads take them. Two neighbouring
// tiles of 8 outputs, then steps of 8 words of inputs, then the 32 lanes of a warp, then words q
// and q + 4 of the first tile's output g and of the second's: each thread reads 16 bytes, a warp
// 512 in a row. `forward` of a layer sums over its inputs, `backward` over its outputs. The first
// layer's are tf32 always, and in the order of its inputs; heads are taken from the parameters.
#pragma once

#include "kernels/plan.h"

namespace PENDULA_PROGRAMS {

inline constexpr int kGridInputs = 8;    // of a network; the last one is 1, for the bias's gradient
inline constexpr int kGridRows = 64;     // of the batch in a tile, at most
inline constexpr int kGridBlocks = 128;  // of a product over rows, about: a constant of the sums
inline constexpr int kGradientTile = 64;  // units, in both directions, of its tiles
inline constexpr int kPairWords = 128;    // of two tiles of outputs and one step

// Tiles of 16 units that a layer's width takes.
PENDULA_FN constexpr int unit_pairs(int width) { return (width + 15) / 16; }
// Words of a row of so many units; and the distance of two rows, whose banks then differ.
PENDULA_FN constexpr int row_words(int width, int per_word) {
  return unit_pairs(width) * 16 / per_word;
}
PENDULA_FN constexpr int row_pitch(int width, int per_word) {
  return row_words(width, per_word) + 4;
}
// Steps of a sum over that many units.
PENDULA_FN constexpr int sum_steps(int width, int per_word) {
  return row_words(width, per_word) / 8;
}

struct PackedLayout {
  uint32_t forward[kMaxLayers];   // first word of each hidden layer
  uint32_t backward[kMaxLayers];  // of each hidden layer but the first
  uint32_t forward_words;         // of all `forward`s, which come first
  uint32_t words;
};

inline PackedLayout packed_layout(const NetworkLayout& net, int per_word) {
  PackedLayout p{};
  uint32_t used = 0;
  const auto take = [&](int sum, int outputs) {
    const uint32_t at = used;
    used += static_cast<uint32_t>(kPairWords * unit_pairs(outputs) * sum);
    return at;
  };
  for (int l = 0; l + 1 < net.layers; ++l) {
    p.forward[l] = take(l == 0 ? 1 : sum_steps(net.size[l], per_word), net.size[l + 1]);
  }
  p.forward_words = used;
  for (int l = 1; l + 1 < net.layers; ++l) {
    p.backward[l] = take(sum_steps(net.size[l + 1], per_word), net.size[l]);
  }
  p.words = used;
  return p;
}

// Place of a weight: output n, word w of the sum of `steps` steps.
PENDULA_FN uint32_t packed_place(int n, int w, int steps) {
  const int lane = 4 * (n & 7) + (w & 3);
  return static_cast<uint32_t>(((n / 16 * steps + w / 8) * 32 + lane) * 4 + (n / 8 & 1) * 2 +
                               (w / 4 & 1));
}

// Products over rows, for the weights between two hidden layers: tiles of 64 x 64 of them, and
// parts of the batch, whose sums the optimizer adds up. l: the layer whose weights they are, from 1
// on.
PENDULA_FN int gradient_tiles(const NetworkLayout& net, int l) {
  return (net.size[l + 1] + kGradientTile - 1) / kGradientTile *
         ((net.size[l] + kGradientTile - 1) / kGradientTile);
}
PENDULA_FN int gradient_slices(const Plan& p, const NetworkLayout& net, int l,
                               uint64_t batch_size) {
  const int most = used_partials(p, batch_size);
  const int slices = kGridBlocks / gradient_tiles(net, l);
  return slices < 1 ? 1 : slices < most ? slices : most;
}

struct GridLayout {
  int32_t per_word;   // 1: tf32, 2: bf16
  int32_t tile_rows;  // of the batch that a block takes at a time
  int32_t rows;       // of the largest batch, whole tiles
  PackedLayout actor, critic;
  // Byte offsets in one agent's part.
  uint64_t actor_params, critic_params, actor_target, critic_target, actor_lagged;  // packed
  uint64_t x;        // (update_slots, rows, 8) float: observation, action, zeros, 1; tf32
  uint64_t next;     // the same of the next observation
  uint64_t outcome;  // (update_slots, rows, 2) float: reward_scale r, gamma (1 - terminated)
  uint64_t delta;    // (action_dim, rows) float: dL/d(output of the network)
  uint64_t mask;     // (rows, mask_words) bits: whether a unit of the last hidden layer is > 0
  uint64_t stored;   // activations and deltas of the hidden layers between the first and the last
  uint64_t bytes;
};

// First byte of what is stored of hidden layer l (1 .. layers - 3), its activations or its deltas:
// (rows / kPerStep, tiles of 8 units, lanes, 2) words.
PENDULA_FN uint64_t stored_words(const NetworkLayout& net, int l, const GridLayout& g) {
  return static_cast<uint64_t>(row_words(net.size[l + 1], 1)) *
         static_cast<uint64_t>(g.rows / g.per_word);
}
PENDULA_FN uint64_t stored_place(const NetworkLayout& net, int layer, bool delta,
                                 const GridLayout& g) {
  uint64_t at = 0;
  for (int l = 1; l < layer; ++l) at += 2 * stored_words(net, l, g);
  return g.stored + sizeof(uint32_t) * (at + (delta ? stored_words(net, layer, g) : 0));
}

// Words of a row of the mask: two for 64 units, so that a tile of the gradient takes a pair of
// them.
PENDULA_FN int mask_words(const NetworkLayout& net) {
  return 2 * ((net.size[net.layers - 1] + 63) / 64);
}

}  // namespace PENDULA_PROGRAMS
