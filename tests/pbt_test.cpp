// Population-based training: who copies whom, what becomes of the hyperparameters, and what of the
// arena is copied.
#include "host/pbt.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <map>
#include <set>

#include "host/config_io.h"
#include "host/play.h"
#include "host/training_state.h"

namespace pendula {
namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();

Config config_of(int64_t agents, double fraction = 0.2, uint64_t seed = 1) {
  Config config = parse_config(R"({"env": {"id": "pendulum", "num_envs": 4},
    "actor": {"hidden": [8]}, "critic": {"hidden": [8]}, "ddpg": {"batch_size": 8},
    "replay": {"capacity": 400, "warmup_steps": 40}, "rollout": {"policy_lag": 1},
    "noise": {"type": "ou"}})",
                               "f");
  config.agents = agents;
  config.seed = seed;
  config.population.pbt.interval = 80;
  config.population.pbt.fraction = fraction;
  return config;
}

// Agents whose returns are these; NaN: unknown.
std::vector<RankedAgent> agents_of(const Config& config, const std::vector<double>& returns) {
  std::vector<RankedAgent> agents;
  for (size_t k = 0; k < returns.size(); ++k) {
    RankedAgent agent;
    agent.hyper.seed = config.seed + k;
    agent.hyper.actor_lr = 1e-3 * static_cast<double>(1 + k);
    agent.hyper.critic_lr = 1e-2;
    agent.hyper.tau = 0.9;
    agent.hyper.gamma = 0.99;
    agent.hyper.sigma = agent.hyper.sigma_final = 0.1;
    if (!std::isnan(returns[k])) agent.mean_return = returns[k];
    agents.push_back(agent);
  }
  return agents;
}

std::vector<int64_t> order_of(const Config& config, const std::vector<RankedAgent>& agents) {
  std::vector<double> scores;
  for (const RankedAgent& a : agents) scores.push_back(a.mean_return.value_or(-kInf));
  return make_cpu_backend(config, 1)->rank(scores);
}

TEST(Pbt, RanksFromTheBestAndKeepsTheOrderOfEquals) {
  const auto backend = make_cpu_backend(config_of(2), 1);
  EXPECT_EQ(backend->rank({1, 5, -kInf, 5, 7, -kInf, 1}),
            (std::vector<int64_t>{4, 1, 3, 0, 6, 2, 5}));
}

TEST(Pbt, TheWorstCopyTheBest) {
  const double unknown = std::nan("");
  const std::vector<double> returns = {-5, -1, unknown, -9, -2, -3, -8, -4, -7, -6};
  std::set<int64_t> sources;
  for (uint64_t number = 0; number < 40; ++number) {
    const Config config = config_of(10);
    const auto agents = agents_of(config, returns);
    const auto all = exploits(config, number, agents, order_of(config, agents), nullptr);
    ASSERT_EQ(all.size(), 2u);
    EXPECT_EQ(all[0].to, 3);
    EXPECT_EQ(all[0].to_return, -9.0);
    EXPECT_EQ(all[1].to, 2);
    EXPECT_FALSE(all[1].to_return);
    for (const Exploit& e : all) {
      sources.insert(e.from);
      EXPECT_EQ(e.from_return, returns[static_cast<size_t>(e.from)]);
      EXPECT_EQ(e.hyper.seed, config.seed + static_cast<uint64_t>(e.to));
      EXPECT_EQ(e.hyper.gamma, 0.99) << "not among the keys";
      // Up or down from the value of the one that was copied.
      const double ratio = e.hyper.actor_lr / (1e-3 * static_cast<double>(1 + e.from));
      EXPECT_NEAR(std::abs(std::log(ratio)), std::log(1.2), 1e-12);
      EXPECT_TRUE(e.hyper.tau == 1.0 || e.hyper.tau == 0.9 / 1.2) << "1 is the largest tau";
      EXPECT_EQ(e.hyper.sigma_final, e.hyper.sigma) << "there is no decay";
    }
  }
  EXPECT_EQ(sources, (std::set<int64_t>{1, 4}));
}

TEST(Pbt, FractionsAreRoundedDownToAtLeastOne) {
  const struct {
    int64_t agents;
    double fraction;
    size_t count;
  } cases[] = {{2, 0.2, 1}, {9, 0.25, 2}, {10, 0.5, 5}, {1000, 0.2, 200}};
  for (const auto& c : cases) {
    const Config config = config_of(c.agents, c.fraction);
    std::vector<double> returns;
    for (int64_t k = 0; k < c.agents; ++k) returns.push_back(static_cast<double>(k));
    const auto agents = agents_of(config, returns);
    const auto all = exploits(config, 1, agents, order_of(config, agents), nullptr);
    ASSERT_EQ(all.size(), c.count);
    for (const Exploit& e : all) {
      EXPECT_LT(e.to, static_cast<int64_t>(c.count));
      EXPECT_GE(e.from, c.agents - static_cast<int64_t>(c.count));
    }
  }
}

TEST(Pbt, NobodyCopiesAnAgentWithoutAReturn) {
  const Config config = config_of(4, 0.5);
  const double unknown = std::nan("");
  auto agents = agents_of(config, {unknown, unknown, unknown, unknown});
  EXPECT_TRUE(exploits(config, 1, agents, order_of(config, agents), nullptr).empty());
  agents = agents_of(config, {unknown, unknown, -3, unknown});
  const auto all = exploits(config, 1, agents, order_of(config, agents), nullptr);
  ASSERT_EQ(all.size(), 2u);
  for (const Exploit& e : all) EXPECT_EQ(e.from, 2);
}

// Shares of many draws: up as often as down, each source as often as the other, and a new draw as
// often as `resample` says, where the key has a distribution.
TEST(Pbt, DrawsHaveTheirShares) {
  Config config = config_of(4, 0.5);
  config.population.pbt.keys = {"optimizer.actor_lr", "optimizer.critic_lr"};
  const auto agents = agents_of(config, {-1, -2, -3, -4});
  const auto order = order_of(config, agents);
  const int rounds = 4000;
  int up = 0, first = 0, drawn = 0;
  std::set<uint64_t> seeds;
  const Draw draw = [&](const std::string& key, uint64_t seed, int64_t) -> std::optional<double> {
    if (key != "optimizer.critic_lr") return std::nullopt;
    seeds.insert(seed);
    return 0.5;
  };
  for (uint64_t number = 0; number < rounds; ++number) {
    for (const Exploit& e : exploits(config, number, agents, order, draw)) {
      first += e.from == 0;
      up += e.hyper.actor_lr > 1e-3 * static_cast<double>(1 + e.from);
      drawn += e.hyper.critic_lr == 0.5;
    }
  }
  // 8,000 draws have a standard deviation of at most 0.56%; four of them.
  EXPECT_NEAR(up, rounds, 2 * rounds * 0.0225);
  EXPECT_NEAR(first, rounds, 2 * rounds * 0.0225);
  EXPECT_NEAR(drawn, rounds / 2, 2 * rounds * 0.0225);
  EXPECT_EQ(seeds.size(), static_cast<size_t>(drawn)) << "each by a seed of its own";
}

TEST(Pbt, DrawsGoBySeedNumberAndAgentAlone) {
  const auto values = [](uint64_t seed, uint64_t number) {
    const Config config = config_of(20, 0.5, seed);
    std::vector<double> returns;
    for (int k = 0; k < 20; ++k) returns.push_back(k);
    const auto agents = agents_of(config, returns);
    std::vector<double> all;
    for (const Exploit& e : exploits(config, number, agents, order_of(config, agents), nullptr)) {
      all.insert(all.end(), {e.hyper.actor_lr, e.hyper.critic_lr, e.hyper.sigma});
    }
    return all;
  };
  EXPECT_EQ(values(1, 1), values(1, 1));
  EXPECT_NE(values(1, 1), values(1, 2));
  EXPECT_NE(values(1, 1), values(2, 1));
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
  EXPECT_EQ(c.updates, frozen.updates);
  EXPECT_EQ(c.ring_first, 40u);
  // It acts at once, learns again when its ring has been filled anew, and stays finite.
  ASSERT_EQ(backend_->run(50, std::atomic<bool>{false}).iteration, 50u);
  EXPECT_EQ(read_counters(*backend_, 1).updates, frozen.updates);
  ASSERT_EQ(backend_->run(80, std::atomic<bool>{false}).iteration, 80u);
  c = read_counters(*backend_, 1);
  EXPECT_EQ(c.fault, 0u);
  EXPECT_EQ(c.updates, frozen.updates + 30 * 4) << "one update per step after 10 iterations of 4";
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

TEST(Pbt, ARowHasTheNewValues) {
  Config config = config_of(2);
  Exploit e;
  e.from = 1;
  e.from_return = -3.5;
  e.hyper.tau = 0.25;
  config.population.pbt.keys = {"ddpg.tau"};
  EXPECT_EQ(exploit_row(e, config.population.pbt, 800).dump(),
            R"({"time/total_timesteps":800,"from":1,"to":0,"from_return":-3.5,"to_return":null,)"
            R"("ddpg.tau":0.25})");
}

}  // namespace
}  // namespace pendula
