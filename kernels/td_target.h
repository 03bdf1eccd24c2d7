// The TD target, y = r + gamma (1 - terminated) Q'(s', mu'(s')) (Lillicrap et al. 2015, Algorithm
// 1). A truncated episode goes on bootstrapping: only `terminated` stops it.
#pragma once

#include "kernels/mlp.h"
#include "kernels/replay_ring.h"

namespace PENDULA_PROGRAMS {

// y: (kLd), `rows` of it. next_x: next_obs on entry; the target actor's action is written behind
// it. Ends without a barrier.
template <class T, class B>
PENDULA_FN void td_target(B& b, const AgentView<T>& agent, int rows, const Batch<T>& batch,
                          const Turns<T>& turns, T* y) {
  const Plan& p = agent.plan;
  const T* actor = agent.at(p.actor_target);
  const T* critic = agent.at(p.critic_target);
  const Hidden<T> actor_hidden = in_turns(p.actor, turns);
  const Hidden<T> critic_hidden = in_turns(p.critic, turns);
  const T gamma = static_cast<T>(agent.hyper().gamma);
  const T scale = static_cast<T>(p.reward_scale);
  const T* reward = batch.reward;
  const T* continues = batch.continues;
  T* next_action = batch.next_x + p.obs_dim * B::kLd;

  forward_hidden(b, p.actor, rows, actor, batch.next_x, actor_hidden);
  forward_head(b, p.actor, rows, actor, batch.next_x, actor_hidden,
               [=](int m, int n, auto v) { store(next_action + m * B::kLd + n, tanh(v)); });
  b.sync();
  forward_hidden(b, p.critic, rows, critic, batch.next_x, critic_hidden);
  forward_head(b, p.critic, rows, critic, batch.next_x, critic_hidden, [=](int, int n, auto q) {
    using V = decltype(q);
    const V bootstrap = V(gamma) * load_as<V>(continues + n) * q;
    store(y + n, V(scale) * load_as<V>(reward + n) + bootstrap);
  });
}

}  // namespace PENDULA_PROGRAMS
