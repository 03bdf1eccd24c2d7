// Who keeps the weights as operands of products (kernels/grid_layout.h) the same as the parameters:
// PackNetworks once at the start of a launch, then the optimizer, with every parameter that it
// writes.
#pragma once

#include "kernels/adam.h"
#include "kernels/grid_memory.h"

namespace PENDULA_PROGRAMS {

// The Copies of kernels/adam.h in the grid plan where it is tuned.
template <class Precision>
struct GridCopies {
  using P = Precision;
  GridLayout grid;
  char* memory;

  // Partial gradients that hold parameter i of a network.
  template <class T>
  PENDULA_FN int partials(const AgentView<T>& a, bool actor, int i) const {
    const NetworkLayout& net = actor ? a.plan.actor : a.plan.critic;
    const uint64_t batch_size = a.hyper().batch_size;
    for (int l = 1; l + 1 < net.layers; ++l) {
      if (static_cast<uint32_t>(i) >= net.weight[l] && static_cast<uint32_t>(i) < net.bias[l]) {
        return gradient_slices(a.plan, net, l, batch_size);
      }
    }
    return used_partials(a.plan, batch_size);
  }

  PENDULA_FN void param(const Plan& p, int agent, bool actor, int i, float v) const {
    put(p, actor, i, v, at(agent, actor ? grid.actor_params : grid.critic_params), true);
  }
  PENDULA_FN void target(const Plan& p, int agent, bool actor, int i, float v) const {
    put(p, actor, i, v, at(agent, actor ? grid.actor_target : grid.critic_target), false);
  }
  PENDULA_FN void lagged(const Plan& p, int agent, int i, float v) const {
    put(p, true, i, v, at(agent, grid.actor_lagged), false);
  }

 private:
  PENDULA_FN uint32_t* at(int agent, uint64_t offset) const {
    return reinterpret_cast<uint32_t*>(memory + static_cast<uint64_t>(agent) * grid.bytes + offset);
  }

  PENDULA_FN void put(const Plan& p, bool actor, int i, float v, uint32_t* packed,
                      bool backward) const {
    const NetworkLayout& net = actor ? p.actor : p.critic;
    const PackedLayout& layout = actor ? grid.actor : grid.critic;
    for (int l = 0; l + 1 < net.layers; ++l) {
      const int in = net.size[l], out = net.size[l + 1];
      const int at = i - static_cast<int>(net.weight[l]);
      if (at < 0 || at >= in * out) continue;
      const int n = at / in, k = at % in;
      if (l == 0) {
        packed[layout.forward[0] + packed_place(n, k, 1)] = to_tf32(v);
        return;
      }
      store_number(packed + layout.forward[l],
                   packed_place(n, P::word_of(k), sum_steps(in, P::kPerWord)), P::part_of(k), v);
      if (!backward) return;
      store_number(packed + layout.backward[l],
                   packed_place(k, P::word_of(n), sum_steps(out, P::kPerWord)), P::part_of(n), v);
      return;
    }
  }

  static PENDULA_FN void store_number(uint32_t* words, uint32_t place, int part, float v) {
    if constexpr (P::kPerWord == 1) {
      words[place] = P::word(v, 0.0f);
    } else {
      reinterpret_cast<uint16_t*>(words)[2 * place + static_cast<uint32_t>(part)] =
          static_cast<uint16_t>(P::word(v, 0.0f));
    }
  }
};

// All networks of all agents. A block handles kAdamChunk parameters of one.
template <class P>
struct PackNetworks {
  GridContext context;
  GridCopies<P> copies;

  PENDULA_FN int parts() const { return context.plan.actor_chunks + context.plan.critic_chunks; }
  PENDULA_FN int grid() const { return context.plan.agents * parts(); }

  template <class B>
  PENDULA_FN void operator()(B& b) const {
    const Plan& p = context.plan;
    const auto [k, part] = place(b.index(), parts());
    const AgentView<float> a = context.agent(k);
    const bool actor = part < p.actor_chunks;
    const int begin = (actor ? part : part - p.actor_chunks) * kAdamChunk;
    const int count = static_cast<int>(actor ? p.actor.count : p.critic.count);
    const float* params = a.at(actor ? p.actor_params : p.critic_params);
    const float* target = a.at(actor ? p.actor_target : p.critic_target);
    const float* lagged = actor && p.policy_lag != 0 ? a.at(p.actor_lagged) : nullptr;
    const int agent = k;
    b.for_each(count - begin < kAdamChunk ? count - begin : kAdamChunk, [&, agent](int n) {
      const int i = begin + n;
      copies.param(p, agent, actor, i, params[i]);
      copies.target(p, agent, actor, i, target[i]);
      if (lagged != nullptr) copies.lagged(p, agent, i, lagged[i]);
    });
  }
};

}  // namespace PENDULA_PROGRAMS
