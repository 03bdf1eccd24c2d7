// What a pass of the tuned grid plan (kernels/grid_update.h) works on: the networks and batches in
// device memory, and a block's shared memory, which holds the activations of a tile of the batch.
#pragma once

#include "kernels/block_cuda.h"
#include "kernels/grid_layers.h"
#include "kernels/program.h"

namespace PENDULA_PROGRAMS {

struct GridContext {
  Plan plan;
  GridLayout grid;
  char* arena;
  char* memory;  // of the grid: agents x grid.bytes

  PENDULA_FN AgentView<float> agent(int k) const { return AgentView<float>(arena, plan, k); }
  template <class T = float>
  PENDULA_FN T* at(int k, uint64_t offset) const {
    return reinterpret_cast<T*>(memory + static_cast<uint64_t>(k) * grid.bytes + offset);
  }
  // Of update `slot` of the slice.
  PENDULA_FN const float* inputs(int k, uint64_t offset, int slot) const {
    return at(k, offset) + static_cast<int64_t>(slot) * grid.rows * kGridInputs;
  }
};

// Shared memory of a pass, in words.
template <class S>
struct PassMemory {
  uint32_t *x, *next;  // (kRows, kInputPitch)
  float* sums;         // (outputs, kColumnWarps, kRows); of head_gradient()
  float* delta;        // (outputs, kRows)
  float* value;        // (2 + outputs, kRows)
  uint32_t* layers;    // the rest

  PENDULA_FN PassMemory(char* memory, const Plan& p) {
    constexpr int kPerWord = S::P::kPerWord;
    x = reinterpret_cast<uint32_t*>(memory);
    next = x + S::kRows * kInputPitch;
    sums = reinterpret_cast<float*>(next + S::kRows * kInputPitch);
    delta = sums + sums_words(p, kPerWord);
    value = delta + p.action_dim * S::kRows;
    layers = reinterpret_cast<uint32_t*>(value + (2 + p.action_dim) * S::kRows);
  }
  static PENDULA_FN int sums_words(const Plan& p, int per_word) {
    const int groups = (row_words(widest_hidden(p), per_word) + 31) / 32;
    const int gradient = 32 * per_word * (groups > kWarps ? groups : kWarps);
    const int heads = p.action_dim * S::kColumnWarps * S::kRows;
    return gradient > heads ? gradient : heads;
  }
};

// Words of all hidden layers of a network; and of the buffers that take turns in a pass that keeps
// none: each layer's but the last.
PENDULA_FN int kept_words(const NetworkLayout& net, int rows, int per_word) {
  int words = 0;
  for (int l = 0; l + 1 < net.layers; ++l) words += rows * row_pitch(net.size[l + 1], per_word);
  return words;
}
PENDULA_FN int turn_words(const NetworkLayout& net, int rows, int per_word) {
  int most[2] = {0, 0};
  for (int l = 0; l + 2 < net.layers; ++l) {
    const int words = rows * row_pitch(net.size[l + 1], per_word);
    if (words > most[l & 1]) most[l & 1] = words;
  }
  return most[0] + most[1];
}
// Bytes of a block's shared memory, of the larger of the two passes.
template <class S>
uint64_t pass_bytes(const Plan& p) {
  constexpr int kPerWord = S::P::kPerWord;
  const int turns_actor = turn_words(p.actor, S::kRows, kPerWord);
  const int turns_critic = turn_words(p.critic, S::kRows, kPerWord);
  const int turns = turns_actor > turns_critic ? turns_actor : turns_critic;
  const int actor = kept_words(p.actor, S::kRows, kPerWord);
  const int critic = kept_words(p.critic, S::kRows, kPerWord);
  const int both = actor + critic;
  const int fixed =
      S::kRows * (2 * kInputPitch + 2 * p.action_dim + 2) + PassMemory<S>::sums_words(p, kPerWord);
  return sizeof(uint32_t) * static_cast<uint64_t>(fixed + (turns > both ? turns : both));
}

// The hidden layers' buffers, one after another.
struct KeptLayers {
  uint32_t* first;
  const NetworkLayout& net;
  int rows, per_word;

  PENDULA_FN uint32_t* operator()(int l) const {
    uint32_t* p = first;
    for (int i = 0; i < l; ++i) p += rows * row_pitch(net.size[i + 1], per_word);
    return p;
  }
};
// Two that take turns; nothing is kept of the last one.
struct TurnLayers {
  uint32_t* first;
  const NetworkLayout& net;
  int rows, per_word;

  PENDULA_FN uint32_t* operator()(int l) const {
    if (l + 2 == net.layers) return nullptr;
    int even = 0;
    for (int i = 0; i + 2 < net.layers; i += 2) {
      const int words = rows * row_pitch(net.size[i + 1], per_word);
      if (words > even) even = words;
    }
    return first + (l & 1) * even;
  }
};

// A tile's inputs into shared memory: from (rows, kGridInputs) floats in device memory.
template <class S>
PENDULA_FN void load_inputs(const float* from, uint32_t* x) {
  const PackedWords* words = reinterpret_cast<const PackedWords*>(from);
  for (int i = thread_index(); i < 2 * S::kRows; i += kThreads) {
    *reinterpret_cast<PackedWords*>(x + i / 2 * kInputPitch + 4 * (i & 1)) = words[i];
  }
}

// The sum of kRows values, known to every thread.
template <class S>
PENDULA_FN float sum_of_rows(const float* value) {
  float sum = 0.0f;
  for (int r = thread_index() % 32; r < S::kRows; r += 32) sum += value[r];
  return sum_over_rows(sum_over_columns(sum));
}

}  // namespace PENDULA_PROGRAMS
