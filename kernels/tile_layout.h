// Where the parameters of a small network lie in a block's shared memory (kernels/tile_network.h),
// and how much of it an agent needs. Host and device count alike.
#pragma once

#include "kernels/plan.h"

namespace PENDULA_PROGRAMS {

inline constexpr int kTileWidth = 64;  // units of a hidden layer, at most
inline constexpr int kTileInputs = 8;  // inputs, one of which is always 1 (in gradients)
inline constexpr int kWarpRows = 16;
inline constexpr int kUnitTiles = kTileWidth / 8;
inline constexpr int kTileWarps = 8;  // of a block

PENDULA_FN constexpr int swizzle(int m) { return 8 * ((m ^ (m >> 2)) & 3); }

// Places of one network's parameters, in floats; A: outputs.
template <int A>
struct TileLayout {
  static constexpr int kW1 = 0;                               // (64, 8)
  static constexpr int kB1 = kW1 + kTileWidth * kTileInputs;  // (64)
  static constexpr int kW2 = kB1 + kTileWidth;                // (64, 64), swizzled
  static constexpr int kB2 = kW2 + kTileWidth * kTileWidth;   // (64)
  static constexpr int kW3 = kB2 + kTileWidth;                // (A, 64)
  static constexpr int kB3 = kW3 + A * kTileWidth;            // (A)
  static constexpr int kCount = (kB3 + A + 15) / 16 * 16;

  // Place of element i in a network's block of the arena; -1: the network has no such element.
  static PENDULA_FN int in_arena(const NetworkLayout& net, int i) {
    int layer = 2, m = 0, k = 0;
    bool bias = false;
    if (i < kB1) {
      layer = 0, m = i / kTileInputs, k = i % kTileInputs;
    } else if (i < kW2) {
      layer = 0, m = i - kB1, bias = true;
    } else if (i < kB2) {
      layer = 1, m = (i - kW2) / kTileWidth, k = ((i - kW2) % kTileWidth) ^ swizzle(m);
    } else if (i < kW3) {
      layer = 1, m = i - kB2, bias = true;
    } else if (i < kB3) {
      m = (i - kW3) / kTileWidth, k = (i - kW3) % kTileWidth;
    } else {
      m = i - kB3, bias = true;
    }
    if (m >= net.size[layer + 1] || k >= net.size[layer]) return -1;
    return static_cast<int>(bias ? net.bias[layer] : net.weight[layer]) +
           (bias ? m : m * net.size[layer] + k);
  }
};

// Bytes of a block's shared memory: networks, and behind them the arrays of a pass and its sums.
struct TileBytes {
  uint32_t networks, scratch;
};

// How an agent is laid out: samples of a pass (128 or 32), and whether Adam's moments are there
// too.
struct TileKind {
  int rows;
  bool moments;
};

// That of a GPU of this compute capability (90 is 9.0), by the shared memory of a block: 227 KiB,
// 163 (8.0) or 99.
constexpr TileKind tile_kind(int capability) {
  if (capability == 80) return {128, false};
  return capability >= 90 && capability < 120 ? TileKind{128, true} : TileKind{32, false};
}
// Whether device code for `compiled` holds that kind: code for 8.0 runs on 8.6 and 8.9 too.
constexpr bool has_tile_kind(int compiled, TileKind kind) {
  const TileKind own = tile_kind(compiled);
  const bool later = compiled >= 80 && compiled < 90 && kind.rows == 32 && !kind.moments;
  return later || (kind.rows == own.rows && kind.moments == own.moments);
}

// Floats of TileLayout<outputs>.
constexpr int tile_count(int outputs) {
  const int heads = outputs * (kTileWidth + 1);
  return (TileLayout<1>::kW3 + heads + 15) / 16 * 16;
}
static_assert(tile_count(1) == TileLayout<1>::kCount && tile_count(3) == TileLayout<3>::kCount);

// The arrays of a pass that take turns with a gradient, in floats.
constexpr int tile_arrays(int outputs, int rows) {
  const int units = 2 * kTileWidth * rows;
  return units > tile_count(outputs) ? units : tile_count(outputs);
}
// The sums of the heads of each warp.
constexpr int tile_heads(int outputs) { return kTileWarps * outputs * (kTileWidth + 1); }
inline constexpr int kTileScalars = 32;

// outputs: of the actor.
constexpr TileBytes tile_bytes(int outputs, TileKind kind) {
  const int networks = (kind.moments ? 4 : 2) * (tile_count(outputs) + tile_count(1));
  const int scratch = tile_arrays(outputs, kind.rows) + kTileInputs * kind.rows +
                      tile_heads(outputs) + kTileScalars;
  return {static_cast<uint32_t>(4 * networks), static_cast<uint32_t>(4 * scratch)};
}

}  // namespace PENDULA_PROGRAMS
