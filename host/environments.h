// What the host knows of each environment: everything that config, help and checks need, without
// its programs.
#pragma once

#include <string>
#include <vector>

#include "envs/environment.h"

namespace pendula {

struct EnvironmentInfo {
  std::string id;
  std::string help;
  int state_dim, obs_dim, action_dim;
  int max_episode_steps;  // the environment's own time limit
  std::vector<EnvParam> params;
  std::vector<double> defaults;          // of params, in order
  std::vector<std::string> state_names;  // state_dim of them
};

// All environments, in the order of envs/list.h.
const std::vector<EnvironmentInfo>& environments();

// The environment of that id, or nullptr.
const EnvironmentInfo* find_environment(const std::string& id);

}  // namespace pendula
