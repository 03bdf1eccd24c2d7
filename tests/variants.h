// Configs that tests of whole backends go through: each environment, noise and option of the
// algorithm. Each changes what it is about and leaves sizes as they are.
#pragma once

#include <ostream>

#include "host/config.h"

namespace pendula {

struct Variant {
  const char* name;
  void (*apply)(Config&);
};
inline void PrintTo(const Variant& v, std::ostream* out) { *out << v.name; }

inline constexpr Variant kVariants[] = {
    {"pendulum", [](Config&) {}},
    {"cartpole", [](Config& c) { c.env.id = "cartpole"; }},
    {"cartpole_swingup", [](Config& c) { c.env.id = "cartpole-swingup"; }},
    {"ou",
     [](Config& c) {
       c.noise.type = NoiseType::kOu;
       c.noise.ou_dt = 0.5;
     }},
    {"ou_sigma_ladder_decay_epsilon",
     [](Config& c) {
       c.env.id = "cartpole";
       c.noise.type = NoiseType::kOu;
       c.noise.sigma_ladder = 5.0;
       c.noise.sigma_final = 0.05;
       c.noise.decay_steps = 100;
       c.noise.epsilon = 0.25;
     }},
    {"sigma_ladder", [](Config& c) { c.noise.sigma_ladder = 8.0; }},
    {"target_copies",
     [](Config& c) {
       c.ddpg.tau = 1.0;
       c.ddpg.target_update_interval = 7;
     }},
    {"paper_init_huber_lag",
     [](Config& c) {
       c.actor.init = c.critic.init = Init::kPaper;
       c.ddpg.loss = Loss::kHuber;
       c.rollout.policy_lag = 1;
     }},
};

}  // namespace pendula
