// The state before the first iteration: weights, targets as exact copies, environments at the start
// of an episode; moments, ring, OU noise and counters are 0 already. hyper is written by the host
// before.
//
//   torch: weight and bias ~ U(-1/sqrt(fan_in), 1/sqrt(fan_in)) (torch.nn.Linear)
//   paper: the same, but U(-3e-3, 3e-3) in the last layer (Lillicrap et al. 2015, section 7)
#pragma once

#include "kernels/env_tile.h"

namespace PENDULA_PROGRAMS {

template <class Env, class T>
struct Initialise {
  Context<Env, T> context;

  PENDULA_FN int grid() const { return context.plan.agents; }

  template <class B>
  PENDULA_FN void operator()(B& b) const {
    const Plan& p = context.plan;
    const AgentView<T> a = context.agent(b.index());
    network(b, a, p.actor, p.actor_init, 0, a.at(p.actor_params), a.at(p.actor_target),
            p.policy_lag != 0 ? a.at(p.actor_lagged) : nullptr);
    network(b, a, p.critic, p.critic_init, 64, a.at(p.critic_params), a.at(p.critic_target),
            static_cast<T*>(nullptr));
    b.for_each(1, [&](int) { a.counters().update_start = p.warmup_steps; });
    T* env_state = a.at(p.env_state);
    const auto& env = context.env;
    b.for_each(p.num_envs, [&](int n) {
      T state[Env::kStateDim];
      reset_state<Env, T>(env, a.hyper().seed, Purpose::kReset, static_cast<uint64_t>(n), 0, state);
      for (int d = 0; d < Env::kStateDim; ++d) {
        env_state[static_cast<int64_t>(d) * p.num_envs + n] = state[d];
      }
    });
  }

 private:
  // first_dim numbers the tensors of the actor (0..) and of the critic (64..) apart.
  template <class B>
  PENDULA_FN void network(B& b, const AgentView<T>& a, const NetworkLayout& net, Init init,
                          uint32_t first_dim, T* params, T* target, T* lagged) const {
    const uint64_t seed = a.hyper().seed;
    for (int l = 0; l < net.layers; ++l) {
      const bool head = l + 1 == net.layers;
      const T bound =
          head && init == Init::kPaper ? T(3e-3) : T(1) / sqrt(static_cast<T>(net.size[l]));
      for (uint32_t bias = 0; bias < 2; ++bias) {
        const int n = net.size[l + 1] * (bias != 0 ? 1 : net.size[l]);
        const uint32_t first = bias != 0 ? net.bias[l] : net.weight[l];
        const uint32_t dim = first_dim + 2 * static_cast<uint32_t>(l) + bias;
        b.for_each(n, [=](int i) {
          const Uint4 r = random(seed, Purpose::kInit, dim, static_cast<uint64_t>(i / 4), 0);
          const T w = uniform<T>(word(r, static_cast<uint32_t>(i % 4)), -bound, bound);
          params[first + static_cast<uint32_t>(i)] = w;
          target[first + static_cast<uint32_t>(i)] = w;
          if (lagged != nullptr) lagged[first + static_cast<uint32_t>(i)] = w;
        });
      }
    }
  }
};

}  // namespace PENDULA_PROGRAMS
