// The environments once more, in double: written from Gymnasium's source and from the equations at
// the top of each header, not from its code.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "envs/list.h"
#include "tests/kernels/point_env.h"

namespace pendula::reference {

using Vector = std::vector<double>;

struct Outcome {
  Vector next;
  double reward;
  bool terminated;
};
struct Transition {
  Vector state, action;  // action in the environment's units
  double reward;
};

struct Model {
  Vector bound;                      // of each action
  Vector (*reset)(const Vector& u);  // u: uniform numbers in [0, 1)
  Vector (*observe)(const Vector& state);
  Outcome (*step)(const Vector& state, const Vector& action);
  Vector low, high;  // states that tests draw transitions from
};

// --- Pendulum-v1 ---

inline Vector pendulum_reset(const Vector& u) {
  return {(2.0 * u[0] - 1.0) * M_PI, 2.0 * u[1] - 1.0};
}
inline Vector pendulum_observe(const Vector& s) { return {std::cos(s[0]), std::sin(s[0]), s[1]}; }
inline Outcome pendulum_step(const Vector& s, const Vector& action) {
  constexpr double kGravity = 10.0, kDt = 0.05;
  const double u = std::clamp(action[0], -2.0, 2.0);
  const double angle = std::remainder(s[0], 2.0 * M_PI);
  const double cost = angle * angle + 0.1 * s[1] * s[1] + 0.001 * u * u;
  double speed = s[1] + (3.0 * kGravity / 2.0 * std::sin(s[0]) + 3.0 * u) * kDt;
  speed = std::clamp(speed, -8.0, 8.0);
  return {{s[0] + speed * kDt, speed}, -cost, false};
}

// --- CartPole-v1, and the same cart with a hanging pole ---

// x_acc, theta_acc
inline Vector cart_pole_acceleration(const Vector& s, double force) {
  constexpr double kGravity = 9.8, kPole = 0.1, kTotal = 1.1, kLength = 0.5;
  const double sine = std::sin(s[2]), cosine = std::cos(s[2]);
  const double temp = (force + kPole * kLength * s[3] * s[3] * sine) / kTotal;
  const double theta_acc = (kGravity * sine - cosine * temp) /
                           (kLength * (4.0 / 3.0 - kPole * cosine * cosine / kTotal));
  return {temp - kPole * kLength * theta_acc * cosine / kTotal, theta_acc};
}
inline Vector cart_pole_reset(const Vector& u) {
  Vector s;
  for (size_t d = 0; d < 4; ++d) s.push_back(0.1 * u[d] - 0.05);
  return s;
}
inline Outcome cart_pole_step(const Vector& s, const Vector& action) {
  const Vector acc = cart_pole_acceleration(s, 10.0 * std::clamp(action[0], -1.0, 1.0));
  const Vector next = {s[0] + 0.02 * s[1], s[1] + 0.02 * acc[0], s[2] + 0.02 * s[3],
                       s[3] + 0.02 * acc[1]};
  return {next, 1.0, std::fabs(next[0]) > 2.4 || std::fabs(next[2]) > 12.0 * M_PI / 180.0};
}
inline Vector swingup_reset(const Vector& u) {
  Vector s = cart_pole_reset(u);
  s[2] += M_PI;
  return s;
}
inline Vector swingup_observe(const Vector& s) {
  return {s[0], s[1], std::cos(s[2]), std::sin(s[2]), s[3]};
}
inline Outcome swingup_step(const Vector& s, const Vector& action) {
  const Vector acc = cart_pole_acceleration(s, 10.0 * std::clamp(action[0], -1.0, 1.0));
  const double x_dot = s[1] + 0.02 * acc[0], theta_dot = s[3] + 0.02 * acc[1];
  const double x = s[0] + 0.02 * x_dot;
  return {{x, x_dot, s[2] + 0.02 * theta_dot, theta_dot},
          0.75 + 0.25 * std::cos(s[2]),
          std::fabs(x) > 2.4};
}

// --- tests/kernels/point_env.h ---

inline Vector point_reset(const Vector& u) {
  return {2.0 * u[0] - 1.0, 2.0 * u[1] - 1.0, 2.0 * u[2] - 1.0};
}
inline Vector point_observe(const Vector& s) {
  return {s[0], s[1], std::sin(s[2]), std::cos(s[2])};
}
inline Outcome point_step(const Vector& s, const Vector& action) {
  const Vector next = {s[0] + action[0] * std::cos(s[2]), s[1] + action[0] * std::sin(s[2]),
                       s[2] + action[1]};
  return {next, -next[0] * next[0] - next[1] * next[1], std::fabs(next[0]) > 1.0};
}

// The model of an environment of ours.
template <class Env>
const Model& model();
template <>
inline const Model& model<Pendulum>() {
  static const Model m = {{2.0},         pendulum_reset, pendulum_observe,
                          pendulum_step, {-10.0, -8.0},  {10.0, 8.0}};
  return m;
}
template <>
inline const Model& model<CartPole>() {
  static const Model m = {
      {1.0},          cart_pole_reset,           [](const Vector& s) { return s; },
      cart_pole_step, {-2.5, -2.0, -0.22, -2.0}, {2.5, 2.0, 0.22, 2.0}};
  return m;
}
template <>
inline const Model& model<CartPoleSwingup>() {
  static const Model m = {{1.0},
                          swingup_reset,
                          swingup_observe,
                          swingup_step,
                          {-2.5, -4.0, -9.0, -9.0},
                          {2.5, 4.0, 9.0, 9.0}};
  return m;
}
template <>
inline const Model& model<Point>() {
  static const Model m = {{0.5, 3.0}, point_reset,        point_observe,
                          point_step, {-1.0, -1.0, -3.0}, {1.0, 1.0, 3.0}};
  return m;
}

}  // namespace pendula::reference
