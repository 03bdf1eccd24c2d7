// What the kernels compute, once more: plain loops over std::vector<double>, written from the
// papers, one sample at a time. Shares nothing with kernels/ but the place of each tensor
// (NetworkLayout) and the names of the choices. Environments: tests/reference_envs.h.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "kernels/plan.h"
#include "tests/reference_envs.h"

namespace pendula::reference {

// Layer l: weight[l][o * size[l] + i], bias[l][o].
struct Network {
  std::vector<int> size;
  Activation activation = Activation::kRelu;
  std::vector<Vector> weight, bias;

  size_t layers() const { return weight.size(); }
};

// A network from its block of parameters, and back (0 in the gaps).
template <class T>
Network unpack(const NetworkLayout& layout, const T* block) {
  Network net;
  net.activation = layout.activation;
  net.size.assign(layout.size, layout.size + layout.layers + 1);
  for (int l = 0; l < layout.layers; ++l) {
    const T* w = block + layout.weight[l];
    const T* b = block + layout.bias[l];
    net.weight.emplace_back(w, w + layout.size[l] * layout.size[l + 1]);
    net.bias.emplace_back(b, b + layout.size[l + 1]);
  }
  return net;
}
inline Vector pack(const NetworkLayout& layout, const Network& net) {
  Vector block(layout.count, 0.0);
  for (size_t l = 0; l < net.layers(); ++l) {
    std::copy(net.weight[l].begin(), net.weight[l].end(), block.begin() + layout.weight[l]);
    std::copy(net.bias[l].begin(), net.bias[l].end(), block.begin() + layout.bias[l]);
  }
  return block;
}
inline Network zeros_like(Network net) {
  for (Vector& w : net.weight) std::fill(w.begin(), w.end(), 0.0);
  for (Vector& b : net.bias) std::fill(b.begin(), b.end(), 0.0);
  return net;
}

inline double activate(Activation a, double z) {
  if (a == Activation::kRelu) return z > 0.0 ? z : 0.0;
  if (a == Activation::kTanh) return std::tanh(z);
  return z / (1.0 + std::exp(-z));
}
inline double slope(Activation a, double z) {
  if (a == Activation::kRelu) return z > 0.0 ? 1.0 : 0.0;
  if (a == Activation::kTanh) return 1.0 / (std::cosh(z) * std::cosh(z));
  const double e = std::exp(-z);
  return (1.0 + e + z * e) / ((1.0 + e) * (1.0 + e));
}

// One sample's way through a network: inputs[l] enters layer l, sums[l] leaves it unactivated.
struct Pass {
  std::vector<Vector> inputs, sums;
  const Vector& output() const { return sums.back(); }
};
inline Pass forward(const Network& net, const Vector& x) {
  Pass pass;
  Vector h = x;
  for (size_t l = 0; l < net.layers(); ++l) {
    Vector z = net.bias[l];
    for (size_t o = 0; o < z.size(); ++o) {
      for (size_t i = 0; i < h.size(); ++i) z[o] += net.weight[l][o * h.size() + i] * h[i];
    }
    pass.inputs.push_back(h);
    pass.sums.push_back(z);
    h = z;
    for (double& v : h) v = activate(net.activation, v);
  }
  return pass;
}

// Adds dL/dparameters to grad for dL/doutput = d. Returns dL/dx.
inline Vector backward(const Network& net, const Pass& pass, Vector d, Network& grad) {
  for (size_t l = net.layers(); l-- > 0;) {
    const Vector& x = pass.inputs[l];
    Vector dx(x.size(), 0.0);
    for (size_t o = 0; o < d.size(); ++o) {
      grad.bias[l][o] += d[o];
      for (size_t i = 0; i < x.size(); ++i) {
        grad.weight[l][o * x.size() + i] += d[o] * x[i];
        dx[i] += net.weight[l][o * x.size() + i] * d[o];
      }
    }
    if (l > 0) {
      for (size_t i = 0; i < x.size(); ++i) dx[i] *= slope(net.activation, pass.sums[l - 1][i]);
    }
    d = dx;
  }
  return d;
}

// --- one update of DDPG ---

struct Ddpg {
  Network actor, critic, actor_target, critic_target;
  double gamma = 0.99, reward_scale = 1.0;
  Loss loss = Loss::kMse;
  const Model* model = nullptr;
};

inline Vector joined(Vector a, const Vector& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}
inline Vector policy(const Network& actor, const Vector& obs) {
  Vector a = forward(actor, obs).output();
  for (double& v : a) v = std::tanh(v);
  return a;
}
// Actions in units of their bounds.
inline Vector unit(const Model& m, Vector action) {
  for (size_t d = 0; d < action.size(); ++d) action[d] /= m.bound[d];
  return action;
}

// y = r + gamma (1 - terminated) Q'(s', mu'(s')).
inline double td_target(const Ddpg& d, const Transition& t) {
  const Outcome after = d.model->step(t.state, t.action);
  const Vector next = d.model->observe(after.next);
  const Vector q = forward(d.critic_target, joined(next, policy(d.actor_target, next))).output();
  return d.reward_scale * t.reward + (after.terminated ? 0.0 : d.gamma * q[0]);
}

struct Gradient {
  double loss = 0.0;    // mean over the batch
  double mean_q = 0.0;  // of the critic, on the batch's actions
  Network grad;
};

inline Gradient critic_gradient(const Ddpg& d, const std::vector<Transition>& batch) {
  Gradient g{0.0, 0.0, zeros_like(d.critic)};
  const double n = static_cast<double>(batch.size());
  for (const Transition& t : batch) {
    const Vector obs = d.model->observe(t.state);
    const Pass pass = forward(d.critic, joined(obs, unit(*d.model, t.action)));
    const double error = pass.output()[0] - td_target(d, t);
    double loss = error * error, dq = 2.0 * error;
    if (d.loss == Loss::kHuber) {
      const bool near = std::fabs(error) <= 1.0;
      loss = near ? 0.5 * error * error : std::fabs(error) - 0.5;
      dq = near ? error : std::copysign(1.0, error);
    }
    g.loss += loss / n;
    g.mean_q += pass.output()[0] / n;
    backward(d.critic, pass, {dq / n}, g.grad);
  }
  return g;
}

inline Gradient actor_gradient(const Ddpg& d, const std::vector<Transition>& batch) {
  Gradient g{0.0, 0.0, zeros_like(d.actor)};
  const double n = static_cast<double>(batch.size());
  for (const Transition& t : batch) {
    const Vector obs = d.model->observe(t.state);
    const Pass actor = forward(d.actor, obs);
    const Vector a = policy(d.actor, obs);
    const Pass critic = forward(d.critic, joined(obs, a));
    g.loss -= critic.output()[0] / n;
    Network unused = zeros_like(d.critic);
    const Vector dx = backward(d.critic, critic, {-1.0 / n}, unused);
    Vector da(dx.end() - static_cast<int64_t>(a.size()), dx.end());
    for (size_t i = 0; i < a.size(); ++i) da[i] *= 1.0 - a[i] * a[i];
    backward(d.actor, actor, da, g.grad);
  }
  return g;
}

// --- Adam (Kingma and Ba 2015, Algorithm 1, with L2 decay and torch's clipping), soft update ---

struct Adam {
  double lr = 1e-3, beta1 = 0.9, beta2 = 0.999, eps = 1e-8, weight_decay = 0.0;
  double max_grad_norm = 0.0;  // 0: none
};

inline double norm(const Vector& x) {
  double sum = 0.0;
  for (double v : x) sum += v * v;
  return std::sqrt(sum);
}

// Step number t = 1, 2, ... on w, m, v with the gradient g.
inline void adam_step(const Adam& c, uint64_t t, Vector g, Vector& w, Vector& m, Vector& v) {
  if (c.max_grad_norm > 0.0) {
    const double scale = std::min(1.0, c.max_grad_norm / (norm(g) + 1e-6));
    for (double& x : g) x *= scale;
  }
  for (size_t i = 0; i < w.size(); ++i) {
    const double gi = g[i] + c.weight_decay * w[i];
    m[i] = c.beta1 * m[i] + (1.0 - c.beta1) * gi;
    v[i] = c.beta2 * v[i] + (1.0 - c.beta2) * gi * gi;
    const double m_hat = m[i] / (1.0 - std::pow(c.beta1, static_cast<double>(t)));
    const double v_hat = v[i] / (1.0 - std::pow(c.beta2, static_cast<double>(t)));
    w[i] -= c.lr * m_hat / (std::sqrt(v_hat) + c.eps);
  }
}

inline void soft_update(double tau, const Vector& from, Vector& target) {
  for (size_t i = 0; i < from.size(); ++i) target[i] = tau * from[i] + (1.0 - tau) * target[i];
}

}  // namespace pendula::reference
