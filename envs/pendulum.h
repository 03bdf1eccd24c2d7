// Pendulum-v1 of Gymnasium 1.4.0: swing up a rigid pendulum with a torque too weak to lift it.
//
//   state   theta (rad, never wrapped; 0 is upright), theta_dot (rad/s)
//   obs     cos theta, sin theta, theta_dot
//   action  torque in N m, |u| <= max_torque
//   reward  -(norm(theta)^2 + 0.1 theta_dot^2 + 0.001 u^2), of the state before the step,
//           norm(theta) in [-pi, pi)
//
// theta_dot' = clip(theta_dot + (3 g / (2 l) sin theta + 3 / (m l^2) u) dt), theta' = theta +
// theta_dot' dt. Never terminates.
#pragma once

#include "envs/environment.h"

namespace pendula {

struct Pendulum {
  static constexpr const char* kId = "pendulum";
  static constexpr const char* kHelp = "Pendulum-v1: swing up and hold a torque-limited pendulum";
  static constexpr int kStateDim = 2;
  static constexpr int kObsDim = 3;
  static constexpr int kActionDim = 1;
  static constexpr int kMaxEpisodeSteps = 200;

  template <class T>
  struct Params {
    T gravity = T(10.0);
    T mass = T(1.0);
    T length = T(1.0);
    T dt = T(0.05);
    T max_speed = T(8.0);
    T max_torque = T(2.0);
  };
  static constexpr EnvParam kParams[] = {
      {"gravity", 0.0, 1e3, "m/s^2", "acceleration of gravity"},
      {"mass", 1e-3, 1e3, "kg", "mass of the rod"},
      {"length", 1e-3, 1e3, "m", "length of the rod"},
      {"dt", 1e-4, 1.0, "s", "time step"},
      {"max_speed", 1e-3, 1e3, "rad/s", "bound of the angular velocity"},
      {"max_torque", 1e-3, 1e3, "N m", "bound of the action"},
  };
  static constexpr const char* kStateNames[] = {"theta", "theta_dot"};

  template <class T>
  static PENDULA_FN T action_bound(const Params<T>& p, int) {
    return p.max_torque;
  }

  // u: kStateDim uniform numbers in [0, 1)
  template <class R, class T>
  static PENDULA_FN void reset(const Params<T>&, const R* u, R* state) {
    constexpr T kPi = T(3.14159265358979323846);
    state[0] = (R(T(2)) * u[0] - R(T(1))) * R(kPi);
    state[1] = R(T(2)) * u[1] - R(T(1));
  }

  template <class R, class T>
  static PENDULA_FN void observe(const Params<T>&, const R* state, R* obs) {
    sincos(state[0], obs[1], obs[0]);
    obs[2] = state[1];
  }

  template <class R, class T>
  static PENDULA_FN StepResult<R> step(const Params<T>& p, const R* state, const R* action,
                                       R* next) {
    constexpr T kTwoPi = T(6.28318530717958647693);
    const R theta = state[0];
    const R theta_dot = state[1];
    const R u = clamp(action[0], R(-p.max_torque), R(p.max_torque));
    const R angle = fma(R(-kTwoPi), round(theta * R(T(1) / kTwoPi)), theta);
    const R effort = R(T(0.001)) * u * u;
    const R cost = fma(angle, angle, fma(R(T(0.1)) * theta_dot, theta_dot, effort));
    const R acceleration = fma(R(T(3) * p.gravity / (T(2) * p.length)), sin(theta),
                               R(T(3) / (p.mass * p.length * p.length)) * u);
    const R speed = clamp(fma(acceleration, R(p.dt), theta_dot), R(-p.max_speed), R(p.max_speed));
    next[0] = fma(speed, R(p.dt), theta);
    next[1] = speed;
    return {-cost, R(T(0))};
  }
};

}  // namespace pendula
