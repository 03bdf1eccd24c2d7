// Environments of one agent as the reference runs them: in double, one after the other, with random
// numbers made here from the words of Philox.
#pragma once

#include "kernels/philox.h"
#include "tests/kernels/arena.h"

namespace pendula {

struct RolloutRecord {
  reference::Transition transition;
  bool ended;
};

class ReferenceEnvironment {
 public:
  struct Settings {
    uint64_t seed;
    int num_envs, max_episode_steps;
    double sigma, sigma_final, epsilon;
    uint64_t decay_steps, warmup_steps;  // sums over the environments
    const reference::Network* actor;
  };
  double episodes = 0.0, returns = 0.0, lengths = 0.0;  // of episodes that ended
  reference::PendulumState state;
  int episode_step = 0;
  double episode_return = 0.0;

  ReferenceEnvironment(const Settings& s, uint64_t index) : s_(s), index_(index) { reset(0); }

  // Time step t. t_iteration: the first time step of its iteration, which decides about warm-up.
  RolloutRecord step(uint64_t t, uint64_t t_iteration) {
    const uint64_t steps = t * static_cast<uint64_t>(s_.num_envs);
    const bool warmup = t_iteration * static_cast<uint64_t>(s_.num_envs) < s_.warmup_steps;
    const bool uniformly = warmup || u01(5, t) < s_.epsilon;
    double a = 2.0 * u01(4, t) - 1.0;
    if (!uniformly) {
      const double part =
          s_.decay_steps == 0 ? 1.0 : std::min(1.0, double(steps) / double(s_.decay_steps));
      const double sigma = s_.sigma + (s_.sigma_final - s_.sigma) * part;
      const double mu = reference::policy(*s_.actor, reference::observe(state))[0];
      a = std::clamp(mu + sigma * gaussian_at(t), -1.0, 1.0);
    }
    RolloutRecord r{{state.theta, state.theta_dot, 2.0 * a, 0.0}, false};
    state = reference::step({}, state, 2.0 * a, &r.transition.reward);
    episode_return += r.transition.reward;
    episode_step += 1;
    if (episode_step == s_.max_episode_steps) {
      r.ended = true;
      episodes += 1.0;
      returns += episode_return;
      lengths += episode_step;
      reset(t + 1);
    }
    return r;
  }

 private:
  uint32_t draw(uint32_t purpose, uint64_t step, uint32_t i) const {
    return word(
        philox({purpose, static_cast<uint32_t>(index_), static_cast<uint32_t>(step), 0}, s_.seed),
        i);
  }
  static double fraction(uint32_t w) { return (w >> 8) / 16777216.0; }
  double u01(uint32_t purpose, uint64_t t) const {
    return fraction(draw(purpose, t / 4, static_cast<uint32_t>(t % 4)));
  }
  double gaussian_at(uint64_t t) const {
    const uint32_t i = static_cast<uint32_t>(t % 4), first = i / 2 * 2;
    const double u1 = ((draw(3, t / 4, first) >> 9) + 0.5) / 8388608.0;
    const double angle = 2.0 * M_PI * fraction(draw(3, t / 4, first + 1));
    return std::sqrt(-2.0 * std::log(u1)) * (i % 2 == 0 ? std::cos(angle) : std::sin(angle));
  }
  void reset(uint64_t t) {
    state.theta = (2.0 * fraction(draw(2, t, 0)) - 1.0) * M_PI;
    state.theta_dot = 2.0 * fraction(draw(2, t, 1)) - 1.0;
    episode_step = 0;
    episode_return = 0.0;
  }

  Settings s_;
  uint64_t index_;
};

}  // namespace pendula
