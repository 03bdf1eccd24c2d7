// A training run as its JSON file describes it. The defaults stand at the members; the reader, the
// help text, the docs and the checks all come from one table of keys (host/config_table.cpp).
// Counts of steps are environment steps summed over the environments of one agent.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "kernels/choices.h"

namespace pendula {

enum class Precision : int32_t { kAuto, kFp32, kTf32, kBf16 };  // "auto", "fp32", "tf32", "bf16"
enum class ReplaySaving : int32_t { kFull, kNone };             // "full", "none"

struct EnvConfig {
  std::string id = "pendulum";
  int64_t num_envs = 16;
  int64_t max_episode_steps = 0;         // steps until truncation; 0: the environment's own
  std::map<std::string, double> params;  // every parameter of the environment, defaults filled in
};

struct RolloutConfig {
  int64_t length = 1;      // environment steps of each environment per iteration
  int64_t policy_lag = 0;  // 0: act with this iteration's parameters, 1: with the previous one's
};

struct NetworkConfig {
  std::vector<int64_t> hidden = {64, 64};
  Activation activation = Activation::kRelu;
  Init init = Init::kTorch;
};

struct DdpgConfig {
  double gamma = 0.99;
  double tau = 0.005;
  int64_t target_update_interval = 1;  // updates between two soft updates of the targets
  int64_t batch_size = 128;
  double updates_per_step = 1.0;  // updates per environment step, any positive fraction
  Loss loss = Loss::kMse;
  double reward_scale = 1.0;
};

struct OptimizerConfig {
  double actor_lr = 1e-3;
  double critic_lr = 1e-3;
  double beta1 = 0.9;
  double beta2 = 0.999;
  double eps = 1e-8;
  double weight_decay = 0.0;            // L2, added to the gradient as torch.optim.Adam does
  std::optional<double> max_grad_norm;  // clip of the global norm, per network
};

struct NoiseConfig {
  NoiseType type = NoiseType::kGaussian;
  double sigma = 0.1;        // in units of the action bound
  double sigma_final = 0.1;  // reached linearly after decay_steps
  int64_t decay_steps = 0;
  double sigma_ladder = 1.0;  // sigma of the last environment over that of the first
  double ou_theta = 0.15;     // share of the OU noise that one unit of time takes away
  double ou_dt = 1.0;         // units of time in one step
  double epsilon = 0.0;       // probability of a uniformly random action
};

struct ReplayConfig {
  int64_t capacity = 100000;    // transitions; rounded down to whole rows of num_envs
  int64_t warmup_steps = 1000;  // uniformly random actions and no updates until then
};

struct ReportConfig {
  int64_t interval = 1000;  // steps between two rows of metrics.jsonl
};

struct EvalConfig {
  int64_t interval = 2000;  // 0: only at the end
  int64_t episodes = 256;
  int64_t final_episodes = 4096;
};

struct CheckpointConfig {
  int64_t interval = 10000;  // 0: only at the end and on the best evaluation
  int64_t keep_last = 3;
  ReplaySaving replay = ReplaySaving::kFull;
};

// Population-based training (host/pbt.h).
struct PbtConfig {
  int64_t interval = 0;    // steps from one exploit to the next; 0: never
  double fraction = 0.2;   // of the agents: so many of the worst copy one of as many of the best
  double perturb = 1.2;    // a hyperparameter is multiplied by this or by its inverse
  double resample = 0.25;  // probability of a new draw instead, where it has a distribution
  std::vector<std::string> keys = {"optimizer.actor_lr", "optimizer.critic_lr", "ddpg.tau",
                                   "noise.sigma"};
};

struct PopulationConfig {
  PbtConfig pbt;
};

struct StopConfig {
  std::optional<double> eval_return;  // stop when an evaluation reaches it
  std::optional<double> seconds;      // stop after so many seconds of wall time
};

struct Config {
  std::string name = "run";
  uint64_t seed = 1;
  int64_t agents = 1;
  std::string device = "auto";  // "auto", "cpu", "cuda", "cuda:N"
  Precision precision = Precision::kAuto;
  std::string simd = "auto";  // "auto", "sse2", "avx2", "avx512": see host/simd.h
  std::string plan = "auto";  // "auto", "grid", "block", "cluster": see host/device_plan.h
  int64_t total_timesteps = 20000;
  EnvConfig env;
  RolloutConfig rollout;
  NetworkConfig actor;
  NetworkConfig critic;
  DdpgConfig ddpg;
  OptimizerConfig optimizer;
  NoiseConfig noise;
  ReplayConfig replay;
  ReportConfig report;
  EvalConfig eval;
  CheckpointConfig checkpoint;
  PopulationConfig population;
  StopConfig stop;
  // Keys that differ between agents, by their path ("/optimizer/actor_lr"): a list of one value per
  // agent, a distribution (host/distribution.h), or null for a noise.sigma_final that follows such
  // a noise.sigma. The member of such a key is agent 0's; but `seed` stays what draws go by, and
  // the first of a list. agent_config() (host/agent_values.h) gives the values of one agent.
  // Shared: a config of one agent is made for each of thousands.
  std::map<std::string, std::shared_ptr<const nlohmann::json>> per_agent;
  nlohmann::json result = nlohmann::json::object();  // what the config reached; never read
};

}  // namespace pendula
