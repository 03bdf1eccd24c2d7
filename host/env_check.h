// The contract of envs/README.md, checked on an environment: `pendula envs check ID`.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "host/backend.h"
#include "host/env_functions.h"
#include "host/environments.h"

namespace pendula {

// One point of the contract.
struct ContractPoint {
  enum class Verdict { kHolds, kBroken, kNotChecked };
  std::string name;  // "same seed, same trajectory"
  Verdict verdict = Verdict::kHolds;
  std::string detail;  // what was looked at; where broken: what, where, and what to look for
};

// What a contract is checked with: an environment and its parameters.
struct CheckedEnvironment {
  EnvironmentInfo info;
  std::vector<double> params;  // values of info.params, in order
  EnvFunctions<float> single;
  EnvFunctions<double> twice;
};
CheckedEnvironment checked_environment(const Config& config);

// The records of a backend's rollout, as the replay ring has them.
struct RecordedRollout {
  uint64_t seed;
  int num_envs, steps, limit;  // limit: max_episode_steps
  std::vector<float> state;    // (steps, num_envs, state_dim)
  std::vector<float> action;   // (steps, num_envs, action_dim), in the environment's units
  std::vector<float> reward;   // (steps, num_envs)
  std::vector<bool> ended;     // (steps, num_envs)
};

// The config of the rollouts that are checked: 70 environments (full registers, and some over), a
// time limit that is reached, random actions and then an untrained actor's with noise.
Config contract_config(const Config& config);

// The first `steps` steps of a fresh run of contract_config().
RecordedRollout record_rollout(Backend& backend, const Config& config, int steps);

// Each adds nothing but its own points.
ContractPoint check_same(const RecordedRollout& a, const RecordedRollout& b);
// exact: every record follows from the one before to the last bit; else within float's rounding.
std::vector<ContractPoint> check_records(const CheckedEnvironment& env, const RecordedRollout& r,
                                         bool exact);
ContractPoint check_extreme_actions(const CheckedEnvironment& env);
ContractPoint check_precision(const CheckedEnvironment& env, const RecordedRollout& r,
                              const std::string& name);

// All of them, for the environment and the parameters of a config; on the GPU too where there is
// one.
std::vector<ContractPoint> check_contract(const Config& config);

}  // namespace pendula
