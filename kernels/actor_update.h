// The actor's gradient by the deterministic policy gradient (Silver et al. 2014, eq. 9; Lillicrap
// et al. 2015, Algorithm 1): L = -1/B sum_i Q(s_i, mu(s_i)), the actions computed anew by the
// current actor and judged by the critic after its update. Split into partial sums as
// critic_update.h does.
#pragma once

#include "kernels/mlp.h"
#include "kernels/program.h"
#include "kernels/replay_ring.h"

namespace PENDULA_PROGRAMS {

template <class Env, class T, class Held = Context<Env, T>>
struct ActorGradient {
  Held context;
  int slot;  // of the slice

  PENDULA_FN int parts() const { return context.plan.partials; }
  PENDULA_FN int grid() const { return context.plan.agents * parts(); }

  template <class B>
  PENDULA_FN void operator()(B& b) const {
    const Plan& p = context.plan;
    const auto [k, part] = place(b.index(), p.partials);
    const AgentView<T> agent = context.agent(k, b.resident());
    const uint64_t update = agent.counters().updates + static_cast<uint64_t>(slot);
    const int batch_size = static_cast<int>(agent.hyper().batch_size);
    if (!agent.update_due(update) || part >= used_partials(p, agent.hyper().batch_size)) return;

    const Batch<T> batch = allocate_batch<T>(b, p);
    T* delta = b.template shared<T>(B::kLd);
    T* action_delta = b.template shared<T>(p.action_dim * B::kLd);
    T* q = b.template shared<T>(B::kLd);
    T* ones = b.template shared<T>(B::kLd);
    const Hidden<T> hidden = allocate_hidden<T>(b, p.actor, true);
    const Hidden<T> critic_hidden = allocate_hidden<T>(b, p.critic, true);

    const T* params = agent.at(p.actor_params);
    const T* critic = agent.at(p.critic_params);
    T* grad = agent.work_at(p.actor_grad) + static_cast<uint64_t>(part) * p.actor.count;
    T* sums = agent.work_at(p.losses) + (slot * p.partials + part) * 3;
    T* action = batch.x + p.obs_dim * B::kLd;
    const T inverse = T(1) / static_cast<T>(batch_size);
    T loss_sum = T(0);

    const int tile = tile_rows(agent.hyper().batch_size);
    b.for_each(kRows, [=](int n) { ones[n] = T(1); });
    for (int first = part * tile; first < batch_size; first += p.partials * tile) {
      const int live = batch_size - first < tile ? batch_size - first : tile;
      const int rows = b.template padded<T>(live);
      sample_tile<Env>(b, agent, context.env, update, first, rows, batch);
      forward_hidden(b, p.actor, rows, params, batch.x, hidden);
      forward_head(b, p.actor, rows, params, batch.x, hidden,
                   [=](int m, int n, auto v) { store(action + m * B::kLd + n, tanh(v)); });
      b.sync();
      forward_hidden(b, p.critic, rows, critic, batch.x, critic_hidden);
      forward_head(b, p.critic, rows, critic, batch.x, critic_hidden,
                   [=](int, int n, auto v) { store(q + n, v); });
      b.sync();
      b.for_each(rows, [=](int n) {
        delta[n] = n < live ? -inverse : T(0);
        q[n] = n < live ? -q[n] : T(0);
      });
      b.sync();
      loss_sum += b.template reduce<T>(rows, [=](int n) { return q[n]; });
      // dL/da, and through the tanh of the actor's head.
      backward(b, p.critic, rows, critic, batch.x, critic_hidden, delta, ones,
               static_cast<T*>(nullptr), false);
      input_delta(b, p.critic, rows, critic, critic_hidden, delta, p.obs_dim,
                  p.obs_dim + p.action_dim, [=](int m, int n, auto v) {
                    using V = decltype(v);
                    const V a = load_as<V>(action + m * B::kLd + n);
                    store(action_delta + m * B::kLd + n, v * (V(T(1)) - a * a));
                  });
      b.sync();
      backward(b, p.actor, rows, params, batch.x, hidden, action_delta, ones, grad,
               first == part * tile);
    }
    b.for_each(1, [=](int) { sums[2] = loss_sum; });
  }
};

}  // namespace PENDULA_PROGRAMS
