// An agent whose values are its own has, in a population of agents with other values, the bits of
// its config alone. On the CPU backend.
#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <memory>
#include <set>
#include <string>

#include "host/agent_values.h"
#include "host/config_io.h"
#include "host/cpu_backend.h"

namespace pendula {
namespace {

// Every key that may differ does. Batches of 1 to 9 tiles, in a plan of 9 partial sums; updates
// from less than one in an iteration to 140, which is three slices of the plan's; warm-up of 8
// iterations, ring gone round twice.
const char* const kDiffering =
    R"({"agents": 7, "seed": [11, 5, 11, 99, 0, 12, 18446744073709551615],
  "env": {"num_envs": 35, "max_episode_steps": 9}, "rollout": {"length": 2},
  "actor": {"hidden": [33, 17]}, "critic": {"hidden": [65], "activation": "silu"},
  "ddpg": {"gamma": {"uniform": [0.9, 1]}, "tau": {"log_uniform": [1e-3, 1]},
           "batch_size": [150, 1, 64, 65, 300, 513, 31],
           "updates_per_step": [0.02, 2, 0.3, 0.005, 0.1, 0.05, 1.01]},
  "optimizer": {"actor_lr": {"log_uniform": [1e-5, 1e-2]},
                "critic_lr": {"choice": [1e-3, 3e-4]}, "max_grad_norm": 1},
  "noise": {"type": "ou", "sigma": {"uniform": [0.05, 0.5]}, "sigma_final": {"uniform": [0, 0.1]},
            "decay_steps": {"int_uniform": [100, 3000]}, "sigma_ladder": {"log_uniform": [0.5, 4]},
            "ou_theta": {"uniform": [0.1, 0.3]}, "ou_dt": {"choice": [0.5, 1]},
            "epsilon": {"uniform": [0, 0.3]}},
  "replay": {"capacity": 1123, "warmup_steps": 560}, "report": {"interval": 210}})";
constexpr uint64_t kIterations = 24;

std::unique_ptr<CpuBackend> trained(const Config& config, int threads) {
  auto backend = std::make_unique<CpuBackend>(config, threads);
  backend->initialise();
  const std::atomic<bool> stop{false};
  while (backend->run(kIterations, stop).reason == HaltReason::kTime) backend->take_reports();
  return backend;
}

std::string tensor(const CpuBackend& backend, const TensorSpec& t, int64_t agent) {
  uint64_t bytes = t.dtype == DType::kF32 || t.dtype == DType::kU32 ? 4 : 8;
  for (size_t d = 1; d < t.shape.size(); ++d) bytes *= static_cast<uint64_t>(t.shape[d]);
  std::string value(bytes, '\0');
  const uint64_t part = static_cast<uint64_t>(agent) * backend.tensors().agent_bytes;
  backend.read(part + t.offset, bytes, value.data());
  return value;
}

TEST(AgentBits, EveryAgentIsItsConfigAlone) {
  for (int lag : {0, 1}) {
    const Config population =
        parse_config(kDiffering, "f", {"rollout.policy_lag=" + std::to_string(lag)});
    const auto company = trained(population, 2);
    EXPECT_TRUE(company->faults().empty());
    EXPECT_EQ(company->plan().partials, 9);
    EXPECT_EQ(company->plan().slices, 3);
    const Evaluation together = company->evaluate(20);
    std::map<std::string, std::set<std::string>> values;  // of each tensor, over the agents
    for (int k = 0; k < 7; ++k) {
      SCOPED_TRACE("agent " + std::to_string(k) + ", lag " + std::to_string(lag));
      const Config own = parse_config(to_json(agent_config(population, k)).dump(), "own");
      const auto alone = trained(own, 1);
      EXPECT_GT(alone->agent(0).counters().updates, 4u);
      for (const TensorSpec& t : company->tensors().tensors) {
        const std::string value = tensor(*company, t, k);
        values[t.name].insert(value);
        EXPECT_TRUE(value == tensor(*alone, t, 0)) << t.name << " differs";
      }
      const Evaluation evaluation = alone->evaluate(20);
      for (size_t i = 0; i < 20; ++i) {
        EXPECT_EQ(together.returns[static_cast<size_t>(k) * 20 + i], evaluation.returns[i]);
      }
    }
    // The agents do differ, in each of their values.
    for (const auto& [name, different] : values) {
      if (name.find("hyper.") != std::string::npos || name == "agents.seed") {
        EXPECT_GE(different.size(), 2u) << name;
      }
    }
    EXPECT_EQ(values.at("agents.actor.layers.0.weight").size(), 7u);
  }
}

TEST(AgentBits, ThreadsMakeNoDifference) {
  const Config population = parse_config(kDiffering, "f");
  const auto one = trained(population, 1), three = trained(population, 3);
  for (const TensorSpec& t : one->tensors().tensors) {
    for (int k = 0; k < 7; ++k) EXPECT_TRUE(tensor(*one, t, k) == tensor(*three, t, k)) << t.name;
  }
}

}  // namespace
}  // namespace pendula
