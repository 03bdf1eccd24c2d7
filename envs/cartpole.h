// CartPole-v1 of Gymnasium 1.4.0 (Barto, Sutton and Anderson 1983) with a continuous force: balance
// a pole on a cart.
//
//   state   x (m), x_dot (m/s), theta (rad; 0 is upright), theta_dot (rad/s)
//   obs     the state
//   action  share of the largest force, in [-1, 1]: F = max_force a. Gymnasium's two are -1 and 1
//   reward  1 for each step, the one that ends the episode included
//
// Explicit Euler: positions move with the velocities from before the step. Terminates where the
// state after the step has |x| > x_limit or |theta| > theta_limit.
#pragma once

#include "envs/environment.h"

namespace pendula {

// Accelerations of cart (m/s^2) and pole (rad/s^2) under the force F (N) on the cart:
//
//   f         = (F + m l theta_dot^2 sin theta) / M
//   theta_acc = (g sin theta - f cos theta) / (l (4/3 - m cos^2 theta / M))
//   x_acc     = f - m l theta_acc cos theta / M
//
// m: the pole's mass, l: half its length, M: cart and pole (Gymnasium's, without friction).
// Params has gravity, cart_mass, pole_mass and pole_half_length.
template <class R, class Params>
PENDULA_FN void cart_acceleration(const Params& p, R force, R sin_theta, R cos_theta, R theta_dot,
                                  R& x_acc, R& theta_acc) {
  using T = decltype(p.gravity + 0);
  const T total = p.cart_mass + p.pole_mass, moment = p.pole_mass * p.pole_half_length;
  const R f = fma(R(moment) * theta_dot * theta_dot, sin_theta, force) * R(T(1) / total);
  const R inertia = fma(R(-p.pole_half_length * p.pole_mass / total) * cos_theta, cos_theta,
                        R(p.pole_half_length * (T(4) / T(3))));
  theta_acc = fma(-cos_theta, f, R(p.gravity) * sin_theta) / inertia;
  x_acc = fma(R(-moment / total) * theta_acc, cos_theta, f);
}

struct CartPole {
  static constexpr const char* kId = "cartpole";
  static constexpr const char* kHelp = "CartPole-v1 with a continuous force: balance a pole";
  static constexpr int kStateDim = 4;
  static constexpr int kObsDim = 4;
  static constexpr int kActionDim = 1;
  static constexpr int kMaxEpisodeSteps = 500;

  template <class T>
  struct Params {
    T gravity = T(9.8);
    T cart_mass = T(1.0);
    T pole_mass = T(0.1);
    T pole_half_length = T(0.5);
    T max_force = T(10.0);
    T dt = T(0.02);
    T x_limit = T(2.4);
    T theta_limit = T(0.20943951023931953);  // 12 degrees
    T reset_range = T(0.05);
  };
  static constexpr EnvParam kParams[] = {
      {"gravity", 0.0, 1e3, "m/s^2", "acceleration of gravity"},
      {"cart_mass", 1e-3, 1e3, "kg", "mass of the cart"},
      {"pole_mass", 1e-3, 1e3, "kg", "mass of the pole"},
      {"pole_half_length", 1e-3, 1e3, "m", "half the length of the pole"},
      {"max_force", 1e-3, 1e4, "N", "force of the action 1"},
      {"dt", 1e-4, 1.0, "s", "time step"},
      {"x_limit", 1e-2, 1e3, "m", "the episode ends where the cart is farther from the middle"},
      {"theta_limit", 1e-3, 1e3, "rad", "the episode ends where the pole leans farther"},
      {"reset_range", 0.0, 1.0, "", "an episode's first state has numbers within this of 0"},
  };
  static constexpr const char* kStateNames[] = {"x", "x_dot", "theta", "theta_dot"};

  template <class T>
  static PENDULA_FN T action_bound(const Params<T>&, int) {
    return T(1);
  }

  // u: kStateDim uniform numbers in [0, 1)
  template <class R, class T>
  static PENDULA_FN void reset(const Params<T>& p, const R* u, R* state) {
    for (int d = 0; d < kStateDim; ++d) {
      state[d] = (R(T(2)) * u[d] - R(T(1))) * R(p.reset_range);
    }
  }

  template <class R, class T>
  static PENDULA_FN void observe(const Params<T>&, const R* state, R* obs) {
    for (int d = 0; d < kObsDim; ++d) obs[d] = state[d];
  }

  template <class R, class T>
  static PENDULA_FN StepResult<R> step(const Params<T>& p, const R* state, const R* action,
                                       R* next) {
    const R one(T(1)), dt(p.dt);
    const R force = R(p.max_force) * clamp(action[0], -one, one);
    R sin_theta, cos_theta, x_acc, theta_acc;
    sincos(state[2], sin_theta, cos_theta);
    cart_acceleration(p, force, sin_theta, cos_theta, state[3], x_acc, theta_acc);
    next[0] = fma(dt, state[1], state[0]);
    next[1] = fma(dt, x_acc, state[1]);
    next[2] = fma(dt, state[3], state[2]);
    next[3] = fma(dt, theta_acc, state[3]);
    const auto out = (abs(next[0]) > R(p.x_limit)) | (abs(next[2]) > R(p.theta_limit));
    return {one, as_real(out, one)};
  }
};

}  // namespace pendula
