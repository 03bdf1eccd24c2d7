// Environments of one agent as the reference runs them: in double, one after the other, with random
// numbers made here from the words of Philox.
#pragma once

#include "host/planning.h"
#include "kernels/philox.h"
#include "tests/reference.h"

namespace pendula {

struct RolloutRecord {
  reference::Vector state, action;  // action in the environment's units
  double reward;
  bool ended;
};

class ReferenceEnvironment {
 public:
  double episodes = 0.0, returns = 0.0, lengths = 0.0;  // of episodes that ended
  reference::Vector state, ou;
  int episode_step = 0;
  double episode_return = 0.0;

  ReferenceEnvironment(const Config& c, const reference::Model& model,
                       const reference::Network& actor, uint64_t index)
      : c_(c), model_(model), actor_(actor), index_(index) {
    reset(0);
  }

  // Time step t of an iteration that began with step t_iteration, which decides about warm-up. The
  // environment stands where the program's record says, `from`, and goes on with the action there.
  RolloutRecord step(uint64_t t, uint64_t t_iteration, const reference::Transition& from) {
    RolloutRecord r{state, {}, 0.0, false};
    const uint64_t envs = static_cast<uint64_t>(c_.env.num_envs);
    const bool warmup = t_iteration * envs < static_cast<uint64_t>(c_.replay.warmup_steps);
    const bool uniformly = warmup || u01(5, 0, t) < c_.noise.epsilon;
    const auto mu = reference::policy(actor_, model_.observe(from.state));
    for (size_t d = 0; d < mu.size(); ++d) {
      const double added = noise(static_cast<uint32_t>(d), t);
      const double a = uniformly ? 2.0 * u01(4, static_cast<uint32_t>(d), t) - 1.0
                                 : std::clamp(mu[d] + added, -1.0, 1.0);
      r.action.push_back(a * model_.bound[d]);
    }
    const reference::Outcome after = model_.step(from.state, from.action);
    r.reward = after.reward;
    state = after.next;
    episode_return += after.reward;
    episode_step += 1;
    r.ended = after.terminated || episode_step == c_.env.max_episode_steps;
    if (r.ended) {
      episodes += 1.0;
      returns += episode_return;
      lengths += episode_step;
      reset(t + 1);
    }
    return r;
  }

 private:
  // What is added to action d at step t, in units of the bound.
  double noise(uint32_t d, uint64_t t) {
    const NoiseConfig& n = c_.noise;
    const double steps = static_cast<double>(t) * static_cast<double>(c_.env.num_envs);
    const double part =
        n.decay_steps == 0 ? 0.0 : std::min(1.0, steps / static_cast<double>(n.decay_steps));
    double sigma = n.sigma + (n.sigma_final - n.sigma) * part;
    if (c_.env.num_envs > 1) {
      sigma *= 1.0 + (n.sigma_ladder - 1.0) * static_cast<double>(index_) /
                         static_cast<double>(c_.env.num_envs - 1);
    }
    const double eps = gaussian_at(d, t);
    if (n.type == NoiseType::kGaussian) return sigma * eps;
    ou[d] += -n.ou_theta * ou[d] * n.ou_dt + sigma * std::sqrt(n.ou_dt) * eps;
    return ou[d];
  }
  uint32_t draw(uint32_t purpose, uint32_t dim, uint64_t step, uint32_t i) const {
    return word(
        philox({purpose | dim << 8, static_cast<uint32_t>(index_), static_cast<uint32_t>(step), 0},
               c_.seed),
        i);
  }
  static double fraction(uint32_t w) { return (w >> 8) / 16777216.0; }
  double u01(uint32_t purpose, uint32_t dim, uint64_t t) const {
    return fraction(draw(purpose, dim, t / 4, static_cast<uint32_t>(t % 4)));
  }
  double gaussian_at(uint32_t d, uint64_t t) const {
    const uint32_t i = static_cast<uint32_t>(t % 4), first = i / 2 * 2;
    const double u1 = ((draw(3, d, t / 4, first) >> 9) + 0.5) / 8388608.0;
    const double angle = 2.0 * M_PI * fraction(draw(3, d, t / 4, first + 1));
    return std::sqrt(-2.0 * std::log(u1)) * (i % 2 == 0 ? std::cos(angle) : std::sin(angle));
  }
  void reset(uint64_t t) {
    reference::Vector u;
    for (uint32_t i = 0; i < 4; ++i) u.push_back(fraction(draw(2, 0, t, i)));
    state = model_.reset(u);
    ou.assign(model_.bound.size(), 0.0);
    episode_step = 0;
    episode_return = 0.0;
  }

  Config c_;
  const reference::Model& model_;
  const reference::Network& actor_;
  uint64_t index_;
};

}  // namespace pendula
