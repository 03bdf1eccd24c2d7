// The cart and pole of CartPole, hanging at first: swing the pole up, and hold it there.
//
//   state   x (m), x_dot (m/s), theta (rad, never wrapped; 0 is upright), theta_dot (rad/s)
//   obs     x, x_dot, cos theta, sin theta, theta_dot
//   action  share of the largest force, in [-1, 1]: F = max_force a
//   reward  (3 + cos theta) / 4 of the state before the step: 1 upright, 1/2 hanging. What a whole
//           episode of hanging pays is more than what a short ride off the track does, on which the
//           pole swings up a little; without that most agents ride off and never learn better.
//
// Semi-implicit Euler: positions move with the velocities from after the step (Gymnasium's
// "semi-implicit euler"; explicit Euler would swing the pole up by its own error). Terminates where
// the state after the step has |x| > x_limit.
#pragma once

#include "envs/cartpole.h"

namespace pendula {

struct CartPoleSwingup {
  static constexpr const char* kId = "cartpole-swingup";
  static constexpr const char* kHelp = "swing up a hanging pole on a cart, and hold it";
  static constexpr int kStateDim = 4;
  static constexpr int kObsDim = 5;
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
      {"reset_range", 0.0, 1.0, "", "an episode's first state has numbers within this of hanging"},
  };
  static constexpr const char* kStateNames[] = {"x", "x_dot", "theta", "theta_dot"};

  template <class T>
  static PENDULA_FN T action_bound(const Params<T>&, int) {
    return T(1);
  }

  // u: kStateDim uniform numbers in [0, 1)
  template <class R, class T>
  static PENDULA_FN void reset(const Params<T>& p, const R* u, R* state) {
    constexpr T kPi = T(3.14159265358979323846);
    for (int d = 0; d < kStateDim; ++d) {
      state[d] = (R(T(2)) * u[d] - R(T(1))) * R(p.reset_range);
    }
    state[2] = state[2] + R(kPi);
  }

  template <class R, class T>
  static PENDULA_FN void observe(const Params<T>&, const R* state, R* obs) {
    obs[0] = state[0];
    obs[1] = state[1];
    sincos(state[2], obs[3], obs[2]);
    obs[4] = state[3];
  }

  template <class R, class T>
  static PENDULA_FN StepResult<R> step(const Params<T>& p, const R* state, const R* action,
                                       R* next) {
    const R one(T(1)), dt(p.dt);
    const R force = R(p.max_force) * clamp(action[0], -one, one);
    R sin_theta, cos_theta, x_acc, theta_acc;
    sincos(state[2], sin_theta, cos_theta);
    cart_acceleration(p, force, sin_theta, cos_theta, state[3], x_acc, theta_acc);
    next[1] = fma(dt, x_acc, state[1]);
    next[3] = fma(dt, theta_acc, state[3]);
    next[0] = fma(dt, next[1], state[0]);
    next[2] = fma(dt, next[3], state[2]);
    return {fma(R(T(0.25)), cos_theta, R(T(0.75))), as_real(abs(next[0]) > R(p.x_limit), one)};
  }
};

}  // namespace pendula
