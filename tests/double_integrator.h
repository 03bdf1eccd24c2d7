// A mass on a line, pushed to the middle: the smallest environment whose best policy is known (it
// is linear, the LQR). envs/README.md explains it line by line; tests/lqr_test.cpp learns it.
//
//   state, obs  position (m), velocity (m/s); clipped to +-limit, where the best policy never comes
//   action      acceleration (m/s^2), |a| <= max_acceleration
//   reward      -(position^2 + 0.1 velocity^2 + 0.5 a^2), of the state before the step
#pragma once

#include "envs/environment.h"

namespace pendula {

struct DoubleIntegrator {
  static constexpr const char* kId = "double-integrator";
  static constexpr const char* kHelp = "push a mass on a line to the middle";
  static constexpr int kStateDim = 2;
  static constexpr int kObsDim = 2;
  static constexpr int kActionDim = 1;
  static constexpr int kMaxEpisodeSteps = 100;

  template <class T>
  struct Params {
    T dt = T(0.1);
    T max_acceleration = T(2.0);
    T limit = T(1.0);
  };
  static constexpr EnvParam kParams[] = {
      {"dt", 1e-4, 1.0, "s", "time step"},
      {"max_acceleration", 1e-3, 1e3, "m/s^2", "bound of the action"},
      {"limit", 1.0, 1e3, "m, m/s", "bound of position and velocity"},
  };
  static constexpr const char* kStateNames[] = {"position", "velocity"};

  template <class T>
  static PENDULA_FN T action_bound(const Params<T>& p, int) {
    return p.max_acceleration;
  }

  template <class R, class T>
  static PENDULA_FN void reset(const Params<T>&, const R* u, R* state) {
    for (int d = 0; d < kStateDim; ++d) state[d] = u[d] - R(T(0.5));
  }

  template <class R, class T>
  static PENDULA_FN void observe(const Params<T>&, const R* state, R* obs) {
    for (int d = 0; d < kObsDim; ++d) obs[d] = state[d];
  }

  template <class R, class T>
  static PENDULA_FN StepResult<R> step(const Params<T>& p, const R* state, const R* action,
                                       R* next) {
    const R a = clamp(action[0], R(-p.max_acceleration), R(p.max_acceleration));
    next[0] = clamp(fma(R(p.dt), state[1], state[0]), R(-p.limit), R(p.limit));
    next[1] = clamp(fma(R(p.dt), a, state[1]), R(-p.limit), R(p.limit));
    const R effort = fma(R(T(0.1)) * state[1], state[1], R(T(0.5)) * a * a);
    return {-fma(state[0], state[0], effort), R(T(0))};
  }
};

}  // namespace pendula
