// The passes of an update in the grid plan where it is tuned: relu, tf32 or bf16 products, any
// number of hidden layers. A block takes tiles of the batch through the networks, activations in
// shared memory; it leaves partial gradients of the first layer and the head, and for the weights
// in between what the products over rows (kernels/grid_gradient.h) compute their operands from: the
// inputs, the output's delta and a bit per unit of the last hidden layer, and of hidden layers
// between the first and the last their activations and deltas. The same sums as
// kernels/critic_update.h and actor_update.h.
#pragma once

#include "kernels/block_cuda.h"
#include "kernels/grid_layers.h"
#include "kernels/tile_batch.h"

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

// What both passes share: a block's tiles of the batch of one update of one agent.
template <class S>
class GridPass {
 public:
  using P = typename S::P;
  static constexpr int kPerWord = P::kPerWord;

  PENDULA_FN GridPass(const GridContext& context, int k, int part, int slot)
      : context_(context),
        p_(context.plan),
        agent_(context.agent(k)),
        k_(k),
        part_(part),
        slot_(slot),
        batch_(static_cast<int>(agent_.hyper().batch_size)),
        inverse_(1.0f / static_cast<float>(batch_)),
        memory_(shared_memory(), context.plan) {}

  PENDULA_FN void critic() const {
    const GridLayout& g = context_.grid;
    const GridNetwork actor_target = network(true, p_.actor_target, g.actor_target);
    const GridNetwork critic_target = network(false, p_.critic_target, g.critic_target);
    const GridNetwork critic = network(false, p_.critic_params, g.critic_params);
    const TurnLayers actor_turns = turns(p_.actor), critic_turns = turns(p_.critic);
    const KeptLayers h{memory_.layers, p_.critic, S::kRows, kPerWord};
    const GridBackward<S> backward(at_, critic, h, memory_.delta);
    float* grad = partial(p_.critic_grad, p_.critic);
    float* const y = memory_.value;
    float loss_sum = 0.0f, q_sum = 0.0f;
    for (int tile = part_; tile * S::kRows < batch_; tile += parts()) {
      const int row0 = tile * S::kRows;
      load_inputs<S>(context_.inputs(k_, g.x, slot_) + row0 * kGridInputs, memory_.x);
      load_inputs<S>(context_.inputs(k_, g.next, slot_) + row0 * kGridInputs, memory_.next);
      block_sync();
      actor_target.forward<S>(at_, memory_.next, actor_turns, memory_.sums);
      act(actor_target, memory_.next);
      critic_target.forward<S>(at_, memory_.next, critic_turns, memory_.sums);
      for_rows([&](int r) {
        const float* outcome =
            context_.at(k_, g.outcome) + 2 * (static_cast<int64_t>(slot_) * g.rows + row0 + r);
        y[r] = outcome[0] + outcome[1] * critic_target.output<S>(memory_.sums, 0, r);
      });
      block_sync();
      critic.forward<S>(at_, memory_.x, h, memory_.sums);
      for_rows([&](int r) {
        const bool live = row0 + r < batch_;
        const float q = critic.output<S>(memory_.sums, 0, r);
        const LossTerm term = loss_term(p_.loss, q - y[r]);
        const float d = live ? inverse_ * term.slope : 0.0f;
        memory_.delta[r] = d;
        context_.at(k_, g.delta)[row0 + r] = d;
        memory_.value[S::kRows + r] = live ? term.value : 0.0f;
        memory_.value[2 * S::kRows + r] = live ? q : 0.0f;
      });
      block_sync();
      loss_sum += sum_of_rows<S>(memory_.value + S::kRows);
      q_sum += sum_of_rows<S>(memory_.value + 2 * S::kRows);
      finish(backward, p_.critic, row0, grad, tile == part_);
    }
    if (thread_index() == 0) {
      losses()[0] = loss_sum;
      losses()[1] = q_sum;
    }
  }

  PENDULA_FN void actor() const {
    const GridLayout& g = context_.grid;
    const GridNetwork actor = network(true, p_.actor_params, g.actor_params);
    const GridNetwork critic = network(false, p_.critic_params, g.critic_params);
    const KeptLayers h{memory_.layers, p_.actor, S::kRows, kPerWord};
    const KeptLayers critic_h{memory_.layers + kept_words(p_.actor, S::kRows, kPerWord), p_.critic,
                              S::kRows, kPerWord};
    const GridBackward<S> backward(at_, actor, h, memory_.delta);
    const GridBackward<S> through_critic(at_, critic, critic_h, memory_.delta);
    float* grad = partial(p_.actor_grad, p_.actor);
    float loss_sum = 0.0f;
    for (int tile = part_; tile * S::kRows < batch_; tile += parts()) {
      const int row0 = tile * S::kRows;
      load_inputs<S>(context_.inputs(k_, g.x, slot_) + row0 * kGridInputs, memory_.x);
      block_sync();
      actor.forward<S>(at_, memory_.x, h, memory_.sums);
      act(actor, memory_.x);
      critic.forward<S>(at_, memory_.x, critic_h, memory_.sums);
      for_rows([&](int r) {
        const bool live = row0 + r < batch_;
        memory_.delta[r] = live ? -inverse_ : 0.0f;
        memory_.value[r] = live ? -critic.output<S>(memory_.sums, 0, r) : 0.0f;
      });
      block_sync();
      loss_sum += sum_of_rows<S>(memory_.value);
      through_critic.last_delta(nullptr);
      through_critic.hidden_deltas(g, nullptr, 0, [](int) {});
      action_delta(critic_h(0), row0);
      block_sync();
      finish(backward, p_.actor, row0, grad, tile == part_);
    }
    if (thread_index() == 0) losses()[2] = loss_sum;
  }

 private:
  PENDULA_FN int parts() const { return used_partials(p_, agent_.hyper().batch_size); }
  PENDULA_FN GridNetwork network(bool actor, uint64_t params, uint64_t packed) const {
    return {actor ? p_.actor : p_.critic, actor ? context_.grid.actor : context_.grid.critic,
            agent_.at(params), context_.at<uint32_t>(k_, packed)};
  }
  PENDULA_FN TurnLayers turns(const NetworkLayout& net) const {
    return {memory_.layers, net, S::kRows, kPerWord};
  }
  PENDULA_FN float* partial(uint64_t grad, const NetworkLayout& net) const {
    return agent_.work_at(grad) + static_cast<uint64_t>(part_) * net.count;
  }
  PENDULA_FN float* losses() const {
    return agent_.work_at(p_.losses) + (slot_ * p_.partials + part_) * 3;
  }

  // f(row) by a thread for each row of the tile.
  template <class F>
  PENDULA_FN void for_rows(F f) const {
    if (thread_index() < S::kRows) f(thread_index());
  }

  // tanh of the actor's outputs into the inputs behind the observation. Ends with a barrier.
  PENDULA_FN void act(const GridNetwork& actor, uint32_t* x) const {
    for_rows([&](int r) {
      for (int a = 0; a < p_.action_dim; ++a) {
        const float mu = tanh(actor.output<S>(memory_.sums, a, r));
        x[r * kInputPitch + p_.obs_dim + a] = to_tf32(mu);
        memory_.value[(1 + a) * S::kRows + r] = mu;
      }
    });
    block_sync();
  }

  // dL/da through the tanh of the actor's head, from the critic's first delta. A warp takes kRows /
  // 8 rows.
  PENDULA_FN void action_delta(const uint32_t* d, int row0) const {
    constexpr int kEach = S::kRows / kWarps;
    const int width = p_.critic.size[1], inputs = p_.critic.size[0];
    const int words = row_words(width, kPerWord), pitch = row_pitch(width, kPerWord);
    const float* w1 = agent_.at(p_.critic_params) + p_.critic.weight[0];
    const int lane = thread_index() % 32, r0 = at_.lane.warp * kEach;
    for (int a = 0; a < p_.action_dim; ++a) {
      float sum[kEach] = {};
      for (int word = lane; word < words; word += 32) {
        PENDULA_UNROLL
        for (int i = 0; i < kPerWord; ++i) {
          const int unit = P::unit_of(word, i);
          const float w = unit < width ? w1[unit * inputs + p_.obs_dim + a] : 0.0f;
          PENDULA_UNROLL
          for (int r = 0; r < kEach; ++r) {
            sum[r] = fma(P::number(d[(r0 + r) * pitch + word], i), w, sum[r]);
          }
        }
      }
      PENDULA_UNROLL
      for (int r = 0; r < kEach; ++r) {
        const float all = sum_over_rows(sum_over_columns(sum[r]));
        const float mu = memory_.value[(1 + a) * S::kRows + r0 + r];
        const float da = all * (1.0f - mu * mu);
        if (lane == 0) {
          memory_.delta[a * S::kRows + r0 + r] = da;
          context_.at(k_, context_.grid.delta)[a * context_.grid.rows + row0 + r0 + r] = da;
        }
      }
    }
  }

  // Backward through the network that is trained. Ends with a barrier.
  PENDULA_FN void finish(const GridBackward<S>& backward, const NetworkLayout& net, int row0,
                         float* grad, bool first) const {
    const GridLayout& g = context_.grid;
    backward.head_gradient(grad, first, memory_.sums);
    backward.last_delta(context_.at<uint32_t>(k_, g.mask) +
                        static_cast<int64_t>(row0) * mask_words(net));
    backward.hidden_deltas(g, context_.at<char>(k_, g.stored), row0,
                           [&](int l) { backward.bias_gradient(l, grad, first, memory_.sums); });
    backward.first_gradient(memory_.x, grad, first);
    block_sync();
  }

  const GridContext& context_;
  const Plan& p_;
  const AgentView<float> agent_;
  const int k_, part_, slot_, batch_;
  const float inverse_;
  const PassMemory<S> memory_;
  const GridPlace<S> at_;
};

template <class S>
struct CriticPass {
  GridContext context;
  int slot;  // of the slice

  PENDULA_FN int grid() const { return context.plan.agents * context.plan.partials; }

  template <class B>
  PENDULA_FN void operator()(B& b) const {
    const auto [k, part] = place(b.index(), context.plan.partials);
    if (takes_part(context, k, part, slot)) GridPass<S>(context, k, part, slot).critic();
  }

  static PENDULA_FN bool takes_part(const GridContext& context, int k, int part, int slot) {
    const AgentView<float> agent = context.agent(k);
    return agent.update_due(agent.counters().updates + static_cast<uint64_t>(slot)) &&
           part < used_partials(context.plan, agent.hyper().batch_size);
  }
};

template <class S>
struct ActorPass {
  GridContext context;
  int slot;

  PENDULA_FN int grid() const { return context.plan.agents * context.plan.partials; }

  template <class B>
  PENDULA_FN void operator()(B& b) const {
    const auto [k, part] = place(b.index(), context.plan.partials);
    if (CriticPass<S>::takes_part(context, k, part, slot)) {
      GridPass<S>(context, k, part, slot).actor();
    }
  }
};

}  // namespace PENDULA_PROGRAMS
