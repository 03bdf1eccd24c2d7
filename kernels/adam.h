// The end of an update of one network: the partial gradients summed in their order, Adam (Kingma
// and Ba 2015, Algorithm 1, as torch.optim.Adam computes it; weight_decay is L2, added to the
// gradient), and every target_update_interval updates that of the target, theta' <- theta' + tau
// (theta - theta') (Lillicrap et al. 2015); tau = 1 copies (Mnih et al. 2015). A block handles
// kAdamChunk parameters; it also leaves the sum of its squared gradient behind.
//
// With a bound on the gradient's norm two programs follow each other: GradientSum (sums, squares),
// then AdamStep, which scales by min(1, max_grad_norm / (norm + 1e-6)) as torch's clip_grad_norm_.
#pragma once

#include "kernels/math.h"
#include "kernels/program.h"

namespace PENDULA_PROGRAMS {

// The tensors of one of the two networks.
template <class T>
struct OptimizerView {
  T *params, *target, *m, *v, *grad, *sumsq;
  double lr;
  int count, chunks;
};

template <class T>
PENDULA_FN OptimizerView<T> optimizer_view(const AgentView<T>& a, bool actor, int slot) {
  const Plan& p = a.plan;
  const int chunks = actor ? p.actor_chunks : p.critic_chunks;
  return {a.at(actor ? p.actor_params : p.critic_params),
          a.at(actor ? p.actor_target : p.critic_target),
          a.at(actor ? p.actor_m : p.critic_m),
          a.at(actor ? p.actor_v : p.critic_v),
          a.work_at(actor ? p.actor_grad : p.critic_grad),
          a.work_at(actor ? p.actor_sumsq : p.critic_sumsq) + slot * chunks,
          actor ? a.hyper().actor_lr : a.hyper().critic_lr,
          static_cast<int>(actor ? p.actor.count : p.critic.count),
          chunks};
}

// Sum of the squared gradient over all chunks, known to every thread.
template <class T, class B>
PENDULA_FN T squared_norm(B& b, const T* sumsq, int chunks) {
  return b.template reduce<T>(chunks, [=](int i) { return sumsq[i]; });
}

// What an optimizer knows of copies of the networks that a plan keeps beside them, and of how it
// splits gradients. Here: none, and all parameters alike. kernels/grid_pack.h has another.
struct NoCopies {
  template <class T>
  PENDULA_FN int partials(const AgentView<T>& a, bool, int) const {
    return used_partials(a.plan, a.hyper().batch_size);
  }
  template <class V>
  PENDULA_FN void param(const Plan&, int, bool, int, V) const {}
  template <class V>
  PENDULA_FN void target(const Plan&, int, bool, int, V) const {}
  template <class V>
  PENDULA_FN void lagged(const Plan&, int, int, V) const {}
};

// g(i) for the parameters i of one chunk: the partial gradients, partials_of(i) of them, summed in
// order into partial 0 (when keep) and its squares into sumsq[part]. Then f(i, g, V).
template <class T, class B, class N, class F>
PENDULA_FN void for_gradient(B& b, const OptimizerView<T>& o, int part, N partials_of, bool keep,
                             F f) {
  T* square = b.template shared<T>(kAdamChunk);
  const int begin = part * kAdamChunk;
  const int n = o.count - begin < kAdamChunk ? o.count - begin : kAdamChunk;
  b.template for_lanes<T>(n, [=](int i, auto tag) {
    using V = decltype(tag);
    T* at = o.grad + begin + i;
    V g = load_as<V>(at);
    const int partials = partials_of(begin + i);
    for (int k = 1; k < partials; ++k) {
      g = g + load_as<V>(at + static_cast<uint64_t>(k) * o.count);
    }
    store(square + i, g * g);
    if (keep) store(at, g);
    f(begin + i, g);
  });
  b.sync();
  const T sum = b.template reduce<T>(n, [=](int i) { return square[i]; });
  T* out = o.sumsq + part;
  b.for_each(1, [=](int) { *out = sum; });
}

template <class Env, class T, class Held = Context<Env, T>, class Copies = NoCopies>
struct GradientSum {
  Held context;
  int slot;
  bool actor;
  Copies copies{};

  PENDULA_FN int parts() const {
    return actor ? context.plan.actor_chunks : context.plan.critic_chunks;
  }
  PENDULA_FN int grid() const { return context.plan.agents * parts(); }

  template <class B>
  PENDULA_FN void operator()(B& b) const {
    const auto [k, part] = place(b.index(), parts());
    const AgentView<T> a = context.agent(k, b.resident());
    if (!a.update_due(a.counters().updates + static_cast<uint64_t>(slot))) return;
    for_gradient(
        b, optimizer_view(a, actor, slot), part,
        [&](int i) { return copies.partials(a, actor, i); }, true, [](int, auto) {});
  }
};

template <class Env, class T, class Held = Context<Env, T>, class Copies = NoCopies>
struct AdamStep {
  Held context;
  int slot;
  bool actor;
  Copies copies{};

  PENDULA_FN int parts() const {
    return actor ? context.plan.actor_chunks : context.plan.critic_chunks;
  }
  PENDULA_FN int grid() const { return context.plan.agents * parts(); }

  template <class B>
  PENDULA_FN void operator()(B& b) const {
    const Plan& p = context.plan;
    const auto [k, part] = place(b.index(), parts());
    const int agent = k;
    const AgentView<T> a = context.agent(k, b.resident());
    const OptimizerView<T> o = optimizer_view(a, actor, slot);
    const int begin = part * kAdamChunk;
    const int n = o.count - begin < kAdamChunk ? o.count - begin : kAdamChunk;
    const uint64_t update = a.counters().updates + static_cast<uint64_t>(slot);
    if (!a.update_due(update)) return;

    const uint64_t t = update + 1;
    const T b1 = static_cast<T>(p.beta1), b2 = static_cast<T>(p.beta2);
    const T c1 = static_cast<T>(1.0 - p.beta1), c2 = static_cast<T>(1.0 - p.beta2);
    const T step = static_cast<T>(o.lr / (1.0 - power(p.beta1, t)));
    const T scale_v = static_cast<T>(1.0 / std::sqrt(1.0 - power(p.beta2, t)));
    const T eps = static_cast<T>(p.eps), decay = static_cast<T>(p.weight_decay);
    const T tau = static_cast<T>(a.hyper().tau);
    const bool update_target = t % static_cast<uint64_t>(p.target_update_interval) == 0;
    const bool copy = tau == T(1);  // a hard update: the target is the network, to the bit
    const bool clip = p.max_grad_norm > 0.0;
    T scale = T(1);
    if (clip) {
      const T norm = sqrt(squared_norm(b, o.sumsq, o.chunks));
      const T bound = static_cast<T>(p.max_grad_norm) / (norm + T(1e-6));
      scale = min(bound, T(1));
    }
    const auto adam = [=, this, &p](int i, auto sum) {
      using V = decltype(sum);
      const V w = load_as<V>(o.params + i);
      const V g = fma(V(decay), w, sum * V(scale));
      const V m = fma(V(b1), load_as<V>(o.m + i), V(c1) * g);
      const V v = fma(V(b2), load_as<V>(o.v + i), V(c2) * g * g);
      const V next = w - V(step) * m / fma(sqrt(v), V(scale_v), V(eps));
      store(o.m + i, m);
      store(o.v + i, v);
      store(o.params + i, next);
      copies.param(p, agent, actor, i, next);
      if (update_target) {
        const V target = load_as<V>(o.target + i);
        const V moved = copy ? next : fma(V(tau), next - target, target);
        store(o.target + i, moved);
        copies.target(p, agent, actor, i, moved);
      }
    };
    if (clip) {  // GradientSum has added them up
      b.template for_lanes<T>(
          n, [=](int i, auto tag) { adam(begin + i, load_as<decltype(tag)>(o.grad + begin + i)); });
    } else {
      for_gradient(
          b, o, part, [&](int i) { return copies.partials(a, actor, i); }, false, adam);
    }
  }
};

// policy_lag 1, between the rollout of an iteration and its updates: the actor as it is now, for
// the next rollout.
template <class Env, class T, class Held = Context<Env, T>, class Copies = NoCopies>
struct LagActor {
  Held context;
  Copies copies{};

  PENDULA_FN int parts() const { return context.plan.actor_chunks; }
  PENDULA_FN int grid() const { return context.plan.agents * parts(); }

  template <class B>
  PENDULA_FN void operator()(B& b) const {
    const Plan& p = context.plan;
    const auto [k, part] = place(b.index(), parts());
    const int agent = k;
    const AgentView<T> a = context.agent(k, b.resident());
    if (a.counters().slice != 0) return;
    const int begin = part * kAdamChunk, count = static_cast<int>(p.actor.count);
    const T* params = a.at(p.actor_params);
    T* lagged = a.at(p.actor_lagged);
    b.template for_lanes<T>(count - begin < kAdamChunk ? count - begin : kAdamChunk,
                            [=, this, &p](int i, auto tag) {
                              const auto param = load_as<decltype(tag)>(params + begin + i);
                              store(lagged + begin + i, param);
                              copies.lagged(p, agent, begin + i, param);
                            });
  }
};

}  // namespace PENDULA_PROGRAMS
