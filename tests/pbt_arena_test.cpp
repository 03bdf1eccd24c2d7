// What an exploit of population-based training does to the arena.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <map>
#include <memory>

#include "host/config_io.h"
#include "host/pbt.h"
#include "host/play.h"
#include "host/training_state.h"

namespace pendula {
namespace {

Config config_of(int64_t agents, double fraction = 0.2) {
  Config config = parse_config(R"({"env": {"id": "pendulum", "num_envs": 4},
    "actor": {"hidden": [8]}, "critic": {"hidden": [8]}, "ddpg": {"batch_size": 8},
    "replay": {"capacity": 400, "warmup_steps": 40}, "rollout": {"policy_lag": 1},
    "noise": {"type": "ou"}})",
                               "f");
  config.agents = agents;
  config.population.pbt.interval = 80;
  config.population.pbt.fraction = fraction;
  return config;
}

// The bytes of each tensor of each agent.
std::map<std::string, std::string> state_of(const Backend& backend) {
  const TensorTable& table = backend.tensors();
  std::map<std::string, std::string> state;
  for (const TensorSpec& t : table.tensors) {
    uint64_t bytes = t.dtype == DType::kF32 || t.dtype == DType::kU32 ? 4 : 8;
    for (size_t d = 1; d < t.shape.size(); ++d) bytes *= static_cast<uint64_t>(t.shape[d]);
    for (int64_t k = 0; k < table.agents; ++k) {
      std::string& text = state[t.name + " " + std::to_string(k)];
      text.resize(bytes);
      backend.read(static_cast<uint64_t>(k) * table.agent_bytes + t.offset, bytes, text.data());
    }
  }
  return state;
}

template <class T>
void put(Backend& backend, const std::string& name, int64_t agent, const T& value) {
  for (const TensorSpec& t : backend.tensors().tensors) {
    if (t.name != name) continue;
    backend.write(static_cast<uint64_t>(agent) * backend.tensors().agent_bytes + t.offset,
                  sizeof value, &value);
    return;
  }
  FAIL() << "no tensor " << name;
}

class PbtArenaTest : public ::testing::Test {
 protected:
  PbtArenaTest() : config_(config_of(4, 0.25)), backend_(make_cpu_backend(config_, 1)) {
    backend_->initialise();
    backend_->run(20, std::atomic<bool>{false});
    for (int64_t k = 0; k < 4; ++k)
      put(*backend_, "agents.score", k, AgentScore{-10.0 * (k + 1), 2});
  }
  static bool network(const std::string& name) { return name.find("layers.") != std::string::npos; }
  static bool environments(const std::string& name) { return name.rfind("agents.env.", 0) == 0; }

  Config config_;
  std::unique_ptr<PlayableBackend> backend_;
};

TEST_F(PbtArenaTest, NetworksAndMomentsAreCopiedAndNothingElse) {
  const auto before = state_of(*backend_);
  const auto all = exploit(*backend_, config_, 20);
  ASSERT_EQ(all.size(), 1u);
  EXPECT_EQ(all[0].from, 0);
  EXPECT_EQ(all[0].to, 3);
  EXPECT_EQ(all[0].from_return, -5.0);
  EXPECT_FALSE(all[0].revived);
  const auto after = state_of(*backend_);
  size_t networks = 0;
  for (const auto& [name, bytes] : after) {
    const bool copied = name.back() == '3' && network(name);
    std::string source = name;
    source.back() = '0';
    if (copied) {
      ++networks;
      EXPECT_EQ(bytes, before.at(source)) << name;
      const bool always_zero = bytes.find_first_not_of('\0') == std::string::npos;
      EXPECT_TRUE(bytes != before.at(name) || always_zero) << name << ": nothing to copy";
    } else if (name.find("agents.score") == 0) {
      EXPECT_EQ(bytes, std::string(sizeof(AgentScore), '\0'));
    } else if (name.find("agents.hyper") == 0 && name.back() == '3') {
      double value;
      std::memcpy(&value, bytes.data(), 8);
      const AgentHyper& h = all[0].hyper;
      const std::map<std::string, double> want = {
          {"actor_lr", h.actor_lr}, {"critic_lr", h.critic_lr}, {"tau", h.tau},
          {"sigma", h.sigma},       {"sigma_final", h.sigma},   {"gamma", 0.99}};
      for (const auto& [key, number] : want) {
        if (name == "agents.hyper." + key + " 3") {
          EXPECT_EQ(value, number) << key;
        }
      }
    } else {
      EXPECT_EQ(bytes, before.at(name)) << name;
    }
  }
  EXPECT_EQ(networks, 4u * 9) << "actor, critic, targets, two moments each, the lagged actor";
}

TEST_F(PbtArenaTest, ADivergedAgentIsRevivedAsACopy) {
  put(*backend_, "agents.critic.layers.0.weight", 1, std::nanf(""));
  put(*backend_, "agents.env.state", 1, std::nanf(""));
  ASSERT_EQ(backend_->run(21, std::atomic<bool>{false}).iteration, 21u);
  ASSERT_EQ(backend_->faults().size(), 1u);
  ASSERT_EQ(backend_->run(40, std::atomic<bool>{false}).iteration, 40u);
  put(*backend_, "agents.score", 1, AgentScore{1e6, 1});  // diverged: whatever it had before
  put(*backend_, "agents.score", 2, AgentScore{-2, 2});
  const auto before = state_of(*backend_);
  const AgentCounters frozen = read_counters(*backend_, 1);
  const auto all = exploit(*backend_, config_, 40);
  ASSERT_EQ(all.size(), 1u);
  EXPECT_EQ(all[0].from, 2);
  EXPECT_EQ(all[0].to, 1);
  EXPECT_TRUE(all[0].revived);
  EXPECT_TRUE(backend_->faults().empty());
  const auto after = state_of(*backend_);
  for (const auto& [name, bytes] : after) {
    std::string source = name;
    source.back() = '2';
    if (name.back() == '1' && (network(name) || environments(name))) {
      EXPECT_EQ(bytes, before.at(source)) << name;
    }
  }
  EXPECT_EQ(after.at("agents.seed 1"), before.at("agents.seed 1"));
  AgentCounters c = read_counters(*backend_, 1);
  const uint64_t updates = read_counters(*backend_, 2).updates;  // they go with Adam's moments
  EXPECT_EQ(c.updates, updates);
  EXPECT_GT(updates, frozen.updates);
  EXPECT_EQ(c.ring_first, 40u);
  // It acts at once, learns again when its ring has been filled anew, and stays finite.
  ASSERT_EQ(backend_->run(50, std::atomic<bool>{false}).iteration, 50u);
  EXPECT_EQ(read_counters(*backend_, 1).updates, updates);
  ASSERT_EQ(backend_->run(80, std::atomic<bool>{false}).iteration, 80u);
  c = read_counters(*backend_, 1);
  EXPECT_EQ(c.fault, 0u);
  EXPECT_EQ(c.updates, updates + 30 * 4) << "one update per step after 10 iterations of 4";
  for (const char* name : {"agents.critic.layers.0.weight 1", "agents.env.state 1"}) {
    const std::string bytes = state_of(*backend_).at(name);
    for (size_t i = 0; i < bytes.size(); i += 4) {
      float x;
      std::memcpy(&x, bytes.data() + i, 4);
      ASSERT_TRUE(std::isfinite(x)) << name;
    }
  }
}

TEST_F(PbtArenaTest, AnotherRateOfUpdatesCountsFromHereOn) {
  put(*backend_, "agents.hyper.updates_per_step", 3, 0.25);
  const uint64_t updates = read_counters(*backend_, 3).updates;
  exploit(*backend_, config_, 20);
  ASSERT_EQ(backend_->run(30, std::atomic<bool>{false}).iteration, 30u);
  EXPECT_EQ(read_counters(*backend_, 3).updates, updates + 40) << "the copied rate of 1";
}

}  // namespace
}  // namespace pendula
