// Population-based training: who copies whom, and what becomes of the hyperparameters.
#include "host/pbt.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include "host/config_io.h"
#include "host/play.h"

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
  const std::vector<double> returns = {-5, -1, -10, -9, -2, -3, -8, -4, -7, -6};
  std::set<int64_t> sources;
  for (uint64_t number = 0; number < 40; ++number) {
    const Config config = config_of(10);
    const auto agents = agents_of(config, returns);
    const auto all = exploits(config, number, agents, order_of(config, agents), nullptr);
    ASSERT_EQ(all.size(), 2u);
    EXPECT_EQ(all[0].to, 3);
    EXPECT_EQ(all[0].to_return, -9.0);
    EXPECT_EQ(all[1].to, 2);
    EXPECT_EQ(all[1].to_return, -10.0);
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

TEST(Pbt, AnAgentWithoutAReturnIsLeftAloneUnlessItDiverged) {
  const Config config = config_of(4, 0.5);
  const double unknown = std::nan("");
  auto agents = agents_of(config, {unknown, unknown, unknown, unknown});
  EXPECT_TRUE(exploits(config, 1, agents, order_of(config, agents), nullptr).empty());
  agents = agents_of(config, {unknown, unknown, -3, unknown});
  EXPECT_TRUE(exploits(config, 1, agents, order_of(config, agents), nullptr).empty());
  agents[1].diverged = true;
  const auto all = exploits(config, 1, agents, order_of(config, agents), nullptr);
  ASSERT_EQ(all.size(), 1u);
  EXPECT_EQ(all[0].from, 2);
  EXPECT_EQ(all[0].to, 1);
  EXPECT_TRUE(all[0].revived);
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
