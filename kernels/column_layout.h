// Where the parameters of a network of two hidden layers lie in the shared memory of the blocks of
// a cluster (kernels/column_network.h): the first layer whole in each of them, of the second layer
// and the head the columns of 16 units. Host and device count alike.
#pragma once

#include "kernels/tile_layout.h"

namespace PENDULA_PROGRAMS {

inline constexpr int kColumns = 16;         // units of each hidden layer that a block owns
inline constexpr int kColumnRows = 128;     // samples of a pass
inline constexpr int kWidestColumns = 256;  // units of a hidden layer, at most

// Whether a GPU of this compute capability (90 is 9.0) has the clusters and the shared memory.
constexpr bool has_columns(int capability) { return capability >= 90 && capability < 120; }

// Blocks of the cluster: 4, 8 or 16; what the networks lack of 16 units for each are zeros.
constexpr int column_blocks(int widest) {
  int blocks = kTileWidth / kColumns;
  while (blocks * kColumns < widest) blocks *= 2;
  return blocks;
}

// Places of one network's parameters, in floats.
struct ColumnLayout {
  int width;    // units of a hidden layer: 16 for each block
  int outputs;  // A

  PENDULA_FN constexpr int b1() const { return width * kTileInputs; }      // (width); W1 is at 0
  PENDULA_FN constexpr int w2() const { return b1() + width; }             // (16, width), swizzled
  PENDULA_FN constexpr int b2() const { return w2() + kColumns * width; }  // (16)
  PENDULA_FN constexpr int w3() const { return b2() + kColumns; }          // (A, 16)
  PENDULA_FN constexpr int b3() const { return w3() + outputs * kColumns; }  // (A)
  PENDULA_FN constexpr int end() const { return b3() + outputs; }
  PENDULA_FN constexpr int count() const { return (end() + 15) / 16 * 16; }

  // What a block updates: 16 units of the first layer, then all from w2 on; the biases of the head
  // by block 0. own_place: of element j of that.
  static constexpr int kOwnFirst = kColumns * (kTileInputs + 1);
  PENDULA_FN constexpr int own() const { return kOwnFirst + end() - w2(); }
  PENDULA_FN constexpr int own_padded() const { return (own() + 15) / 16 * 16; }
  PENDULA_FN constexpr int own_place(int rank, int j) const {
    if (j < kColumns * kTileInputs) return rank * kColumns * kTileInputs + j;
    if (j < kOwnFirst) return b1() + rank * kColumns + j - kColumns * kTileInputs;
    return w2() + j - kOwnFirst;
  }
  // Whether element i is in every block.
  PENDULA_FN constexpr bool shared(int i) const { return i < w2() || i >= b3(); }

  // Place of block `rank`'s element i in a network's block of the arena; -1: the network has no
  // such element.
  PENDULA_FN int in_arena(const NetworkLayout& net, int rank, int i) const {
    int layer = 2, m = 0, k = 0;
    bool bias = false;
    if (i < b1()) {
      layer = 0, m = i / kTileInputs, k = i % kTileInputs;
    } else if (i < w2()) {
      layer = 0, m = i - b1(), bias = true;
    } else if (i < b2()) {
      const int row = (i - w2()) / width;
      layer = 1, m = rank * kColumns + row, k = ((i - w2()) % width) ^ swizzle(row);
    } else if (i < w3()) {
      layer = 1, m = rank * kColumns + i - b2(), bias = true;
    } else if (i < b3()) {
      m = (i - w3()) / kColumns, k = rank * kColumns + (i - w3()) % kColumns;
    } else {
      m = i - b3(), bias = true;
      if (m >= outputs) return -1;
    }
    if (m >= net.size[layer + 1] || k >= net.size[layer]) return -1;
    return static_cast<int>(bias ? net.bias[layer] : net.weight[layer]) +
           (bias ? m : m * net.size[layer] + k);
  }
};

// A block's shared memory, in floats: what stays while an agent does, and behind it, in turns with
// the rollout's scratch, the arrays of an update.
struct ColumnBytes {
  int width, actions;
  bool moments;  // are there too; else in L2

  PENDULA_FN constexpr ColumnLayout actor() const { return {width, actions}; }
  PENDULA_FN constexpr ColumnLayout critic() const { return {width, 1}; }
  PENDULA_FN constexpr int blocks() const { return width / kColumns; }

  // Parameters and targets, moments, and what the blocks exchange when they act together.
  PENDULA_FN constexpr int networks() const { return 2 * (actor().count() + critic().count()); }
  PENDULA_FN constexpr int moments_count() const {
    return moments ? 2 * (actor().own_padded() + critic().own_padded()) : 0;
  }
  PENDULA_FN constexpr int act_obs() const { return networks() + moments_count(); }
  PENDULA_FN constexpr int act_heads() const { return act_obs() + kTileInputs * kRows; }
  PENDULA_FN constexpr int resident() const { return act_heads() + blocks() * actions * kRows; }

  // Of the arrays, from `resident` on.
  PENDULA_FN constexpr int h() const { return 0; }                              // (64, rows)
  PENDULA_FN constexpr int d() const { return kTileWidth * kColumnRows; }       // (64, rows)
  PENDULA_FN constexpr int d2() const { return 2 * d(); }                       // (16, rows)
  PENDULA_FN constexpr int x() const { return d2() + kColumns * kColumnRows; }  // (8, rows)
  PENDULA_FN constexpr int next() const { return x() + kTileInputs * kColumnRows; }
  // Two buffers that take turns: (A + 1, rows) sums of heads.
  PENDULA_FN constexpr int exchange() const { return next() + kTileInputs * kColumnRows; }
  PENDULA_FN constexpr int exchange_size() const { return (actions + 1) * kColumnRows; }
  PENDULA_FN constexpr int gradient() const { return exchange() + 2 * exchange_size(); }  // own()
  PENDULA_FN constexpr int first() const {
    return gradient() + actor().own_padded();
  }  // dW1 (.., 8)
  PENDULA_FN constexpr int heads() const { return first() + width * kTileInputs; }
  PENDULA_FN constexpr int heads_size() const {
    return (actions + 1) * (kColumns + 1);
  }  // of a warp
  PENDULA_FN constexpr int scalars() const { return heads() + kTileWarps * heads_size(); }
  PENDULA_FN constexpr int scratch() const { return scalars() + kTileScalars; }
};

}  // namespace PENDULA_PROGRAMS
