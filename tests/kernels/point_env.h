// An environment of odd sizes that terminates, for tests: a point with a heading on a plane.
//
//   state   x, y, heading; obs: x, y, sin and cos of the heading
//   action  speed in [-0.5, 0.5], turn in [-3, 3]; reward -x^2 - y^2 after the step
//   terminated where |x| > 1 after the step
#pragma once

#include "envs/environment.h"

namespace pendula {

struct Point {
  static constexpr const char* kId = "point";
  static constexpr int kStateDim = 3;
  static constexpr int kObsDim = 4;
  static constexpr int kActionDim = 2;
  static constexpr int kMaxEpisodeSteps = 9;

  template <class T>
  struct Params {
    T speed = T(0.5);
    T turn = T(3.0);
  };

  template <class T>
  static PENDULA_FN T action_bound(const Params<T>& p, int d) {
    return d == 0 ? p.speed : p.turn;
  }
  template <class R, class T>
  static PENDULA_FN void reset(const Params<T>&, const R* u, R* state) {
    for (int d = 0; d < kStateDim; ++d) state[d] = R(T(2)) * u[d] - R(T(1));
  }
  template <class R, class T>
  static PENDULA_FN void observe(const Params<T>&, const R* state, R* obs) {
    obs[0] = state[0];
    obs[1] = state[1];
    sincos(state[2], obs[2], obs[3]);
  }
  template <class R, class T>
  static PENDULA_FN StepResult<R> step(const Params<T>&, const R* state, const R* action, R* next) {
    R s, c;
    sincos(state[2], s, c);
    next[0] = fma(action[0], c, state[0]);
    next[1] = fma(action[0], s, state[1]);
    next[2] = state[2] + action[1];
    return {-(next[0] * next[0] + next[1] * next[1]), as_real(abs(next[0]) > R(T(1)), state[0])};
  }
};

}  // namespace pendula
