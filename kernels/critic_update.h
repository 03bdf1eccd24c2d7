// The critic's gradient (Lillicrap et al. 2015, Algorithm 1): for the batch of this update,
//
//   L = 1/B sum_i l(Q(s_i, a_i) - y_i),   l(d) = d^2 (mse) or Huber with delta 1
//
// on the stored, noisy actions. One block makes one of the partial sums: every partials-th tile of
// tile_rows samples. Writes its partial gradient (critic_grad) and its share of the loss and of Q
// (losses).
#pragma once

#include "kernels/program.h"
#include "kernels/td_target.h"

namespace PENDULA_PROGRAMS {

template <class Env, class T, class Held = Context<Env, T>>
struct CriticGradient {
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
    T* y = b.template shared<T>(B::kLd);
    T* delta = b.template shared<T>(B::kLd);
    T* loss = b.template shared<T>(B::kLd);
    T* q = b.template shared<T>(B::kLd);
    T* ones = b.template shared<T>(B::kLd);
    const Turns<T> turns = allocate_turns<T>(b, widest_hidden(p));  // of the targets
    const Hidden<T> hidden = allocate_hidden<T>(b, p.critic, true);

    const T* params = agent.at(p.critic_params);
    T* grad = agent.work_at(p.critic_grad) + static_cast<uint64_t>(part) * p.critic.count;
    T* sums = agent.work_at(p.losses) + (slot * p.partials + part) * 3;
    const T inverse = T(1) / static_cast<T>(batch_size);
    const Loss kind = p.loss;
    T loss_sum = T(0), q_sum = T(0);

    const int tile = tile_rows(agent.hyper().batch_size);
    b.for_each(kRows, [=](int n) { ones[n] = T(1); });
    for (int first = part * tile; first < batch_size; first += p.partials * tile) {
      const int live = batch_size - first < tile ? batch_size - first : tile;
      const int rows = b.template padded<T>(live);
      sample_tile<Env>(b, agent, context.env, update, first, rows, batch);
      td_target(b, agent, rows, batch, turns, y);
      forward_hidden(b, p.critic, rows, params, batch.x, hidden);
      forward_head(b, p.critic, rows, params, batch.x, hidden,
                   [=](int, int n, auto v) { store(q + n, v); });
      b.sync();
      b.for_each(rows, [=](int n) {
        const T d = q[n] - y[n];
        const bool linear = kind == Loss::kHuber && !(abs(d) <= T(1));
        const T square = kind == Loss::kHuber ? T(0.5) * d * d : d * d;
        const T slope = kind == Loss::kHuber ? d : d + d;
        const bool counts = n < live;
        loss[n] = counts ? (linear ? abs(d) - T(0.5) : square) : T(0);
        delta[n] =
            counts ? inverse * (linear ? select(d < T(0), T(-1), select(d > T(0), T(1), d)) : slope)
                   : T(0);
        q[n] = counts ? q[n] : T(0);
      });
      b.sync();
      loss_sum += b.template reduce<T>(rows, [=](int n) { return loss[n]; });
      q_sum += b.template reduce<T>(rows, [=](int n) { return q[n]; });
      backward(b, p.critic, rows, params, batch.x, hidden, delta, ones, grad, first == part * tile);
    }
    b.for_each(1, [=](int) {
      sums[0] = loss_sum;
      sums[1] = q_sum;
    });
  }
};

}  // namespace PENDULA_PROGRAMS
