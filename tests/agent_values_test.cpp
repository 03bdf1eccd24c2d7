// Keys that differ between agents: what a config may say of them, and what each agent gets.
#include <cmath>
#include <cstdio>
#include <fstream>
#include <set>
#include <utility>

#include "host/agent_values.h"
#include "host/cmd_config.h"
#include "host/config_table.h"
#include "host/distribution.h"
#include "host/planning.h"
#include "tests/config_testing.h"

namespace pendula {
namespace {

using nlohmann::json;

const std::string kSpread = R"({"agents": 5, "seed": 20,
  "optimizer": {"actor_lr": {"log_uniform": [1e-5, 1e-2]}, "critic_lr": [1e-3, 2e-3, 3e-3, 4e-3, 5e-3]},
  "ddpg": {"batch_size": {"choice": [32, 100, 300]}, "tau": {"uniform": [0.001, 0.1]}},
  "noise": {"sigma": {"uniform": [0.1, 0.5]}, "decay_steps": {"int_uniform": [0, 3]}}})";

TEST(AgentValues, AreTheAgentsOwn) {
  const Config config = parse_config(kSpread, "f");
  std::set<double> actor_lrs;
  for (int k = 0; k < 5; ++k) {
    const Config own = agent_config(config, k);
    const AgentHyper h = agent_hyper(config, k);
    EXPECT_EQ(own.agents, 1);
    EXPECT_TRUE(own.per_agent.empty());
    EXPECT_EQ(own.seed, 20u + static_cast<uint64_t>(k));
    EXPECT_EQ(own.optimizer.critic_lr, 1e-3 * (k + 1));
    EXPECT_EQ(own.noise.sigma_final, own.noise.sigma);
    EXPECT_EQ(h.seed, own.seed);
    EXPECT_EQ(h.actor_lr, own.optimizer.actor_lr);
    EXPECT_EQ(h.critic_lr, own.optimizer.critic_lr);
    EXPECT_EQ(h.tau, own.ddpg.tau);
    EXPECT_EQ(h.sigma, own.noise.sigma);
    EXPECT_EQ(static_cast<int64_t>(h.batch_size), own.ddpg.batch_size);
    EXPECT_EQ(static_cast<int64_t>(h.decay_steps), own.noise.decay_steps);
    actor_lrs.insert(h.actor_lr);
    const Config again = parse_config(to_json(own).dump(), "f");
    EXPECT_TRUE(config_differences(own, again).empty());
  }
  EXPECT_EQ(actor_lrs.size(), 5u);
  EXPECT_EQ(differing_keys(config),
            (std::vector<std::string>{"ddpg.tau", "ddpg.batch_size", "optimizer.actor_lr",
                                      "optimizer.critic_lr", "noise.sigma", "noise.decay_steps"}));
}

// Two values of the key that are far apart, in its range and single precision's.
std::pair<double, double> ends_of(const KeySpec& key) {
  if (key.type == KeyType::kSeed) return {0, 1e15};
  const double low = key.type == KeyType::kInteger ? key.range.min + 1 : key.range.max / 1024;
  return {low, key.range.max};
}

TEST(AgentValues, EveryKeyTakesEveryDistributionOfItsType) {
  int tried = 0;
  for (const KeySpec& key : config_keys(&environments().front())) {
    if (!key.per_agent) continue;
    for (const std::string& name : distributions_of(key)) {
      auto [low, high] = ends_of(key);
      if (name == "int_uniform") low = std::ceil(low), high = std::max(low + 1, std::floor(high));
      if (!key.range.contains(high) && key.type != KeyType::kSeed) continue;  // (0, 1]: one integer
      const bool whole = name == "int_uniform" || key.type != KeyType::kNumber;
      const json ends =
          whole ? json{static_cast<int64_t>(low), static_cast<int64_t>(high)} : json{low, high};
      json text = {{"agents", 9}, {"total_timesteps", 1000000}, {"env", {{"num_envs", 2}}}};
      text["noise"]["decay_steps"] = 7;
      text[json::json_pointer(key.path)] = {{name, ends}};
      SCOPED_TRACE(text.dump());
      const Config config = parse_config(text.dump(), "f");
      EXPECT_EQ(differing_keys(config), (std::vector<std::string>{dotted(key.path)}));
      std::set<double> values;
      for (int k = 0; k < 9; ++k) {
        const Config own = agent_config(config, k);
        const double value = key.get(own);
        EXPECT_TRUE(value >= low && value <= high) << value;
        values.insert(value);
        EXPECT_TRUE(problems_of(to_json(own).dump()).empty());
      }
      EXPECT_GE(values.size(), 2u);
      const Config again = parse_config(to_json(config).dump(), "f");
      EXPECT_TRUE(config_differences(config, again).empty());
      EXPECT_EQ(to_json(agent_config(again, 8)), to_json(agent_config(config, 8)));
      ++tried;
    }
  }
  EXPECT_GE(tried, 40);
}

TEST(AgentValues, GrowingThePopulationKeepsTheFirst) {
  const std::string lists = "optimizer.critic_lr=1e-3";
  const Config five = parse_config(kSpread, "f", {lists});
  const Config nine = parse_config(kSpread, "f", {lists, "agents=9"});
  for (int k = 0; k < 5; ++k) {
    EXPECT_TRUE(config_differences(agent_config(five, k), agent_config(nine, k)).empty()) << k;
  }
}

// Not a copy of the list for each agent: that would be 65536 times 65536 numbers.
TEST(AgentValues, ListsMayBeAsLongAsTheLargestPopulation) {
  json text = {{"agents", 65536}, {"eval", {{"final_episodes", 1024}}}};
  for (int k = 0; k < 65536; ++k) text["ddpg"]["batch_size"].push_back(1 + k % 1000);
  const Config config = parse_config(text.dump(), "f");
  EXPECT_EQ(make_plan(config, *find_environment("pendulum"), 4).plan.batch_size, 1000);
  EXPECT_EQ(agent_hyper(config, 65535).batch_size, 536u);
}

TEST(AgentValues, SeedsMayBeGivenToo) {
  const Config listed = parse_config(R"({"agents": 3, "seed": [7, 5, 7], "noise": {"epsilon":
                                         {"uniform": [0, 1]}}})",
                                     "f");
  EXPECT_EQ(listed.seed, 7u) << "what draws and the run's name go by";
  EXPECT_EQ(agent_hyper(listed, 1).seed, 5u);
  EXPECT_EQ(agent_hyper(listed, 2).seed, 7u);
  const Config same = parse_config(R"({"agents": 3, "seed": 7, "noise": {"epsilon":
                                       {"uniform": [0, 1]}}})",
                                   "f");
  EXPECT_EQ(agent_hyper(listed, 2).epsilon, agent_hyper(same, 2).epsilon);
  const Config drawn = parse_config(R"({"agents": 3, "seed": {"choice": [40]}})", "f");
  EXPECT_EQ(drawn.seed, 1u);
  EXPECT_EQ(agent_hyper(drawn, 2).seed, 40u);
  // The last seed of all does not overflow where no other one is made of it.
  EXPECT_TRUE(problems_of(R"({"agents": 2, "seed": [18446744073709551615, 0]})").empty());
}

TEST(AgentValues, ThePlanHoldsTheLargest) {
  const Config config = parse_config(
      R"({"agents": 3, "ddpg": {"batch_size": [10, 300, 64], "updates_per_step": [0.5, 0.1, 2]}})",
      "f");
  const auto plan_of = [](const Config& c) {
    return make_plan(c, *find_environment("pendulum"), 4).plan;
  };
  const Plan plan = plan_of(config);
  EXPECT_EQ(plan.batch_size, 300);
  EXPECT_EQ(plan.partials, 5);
  EXPECT_EQ(plan.update_slots * plan.slices, 32);
  Config one = agent_config(config, 1);
  one.ddpg.updates_per_step = 2;
  const Plan alone = plan_of(one);
  EXPECT_EQ(alone.work_bytes, plan.work_bytes);
  EXPECT_EQ(alone.agent_bytes, plan.agent_bytes);
}

TEST(AgentValues, ShowPrintsThemAsWritten) {
  const Config config = parse_config(kSpread, "f");
  const auto shown = to_json(config);
  EXPECT_EQ(shown["ddpg"]["batch_size"], json::parse(R"({"choice": [32, 100, 300]})"));
  EXPECT_FALSE(shown["noise"].contains("sigma_final")) << "it follows each agent's sigma";
  const Config again = parse_config(shown.dump(2), "f");
  EXPECT_EQ(to_json(again).dump(), shown.dump());
  EXPECT_TRUE(config_differences(config, again).empty());
  for (int k = 0; k < 5; ++k) {
    EXPECT_EQ(to_json(agent_config(again, k)), to_json(agent_config(config, k)));
  }
}

TEST(AgentValues, DiffTellsThem) {
  const Config a = parse_config("{\"agents\": 5, \"seed\": 20}", "f");
  const Config b =
      parse_config("{\"agents\": 5, \"seed\": 20}", "f", {"ddpg.tau={\"uniform\": [0.25, 0.5]}"});
  EXPECT_EQ(describe_diff(config_differences(a, b)),
            "ddpg.tau: 0.005 -> {\"uniform\":[0.25,0.5]}\n");
}

TEST(AgentValues, OverridesReplaceWhateverStandsThere) {
  for (const char* there : {"0.5", "[0.5]", "{\"choice\": [0.5]}"}) {
    const std::string text = std::string("{\"ddpg\": {\"tau\": ") + there + "}}";
    const Config config = parse_config(text, "f", {"ddpg.tau={\"uniform\": [0.1, 0.2]}"});
    EXPECT_EQ(*config.per_agent.at("/ddpg/tau"), json::parse("{\"uniform\": [0.1, 0.2]}"));
    EXPECT_TRUE(parse_config(text, "f", {"ddpg.tau=0.25"}).per_agent.empty());
    EXPECT_EQ(parse_config(text, "f", {"ddpg.tau=[0.25]"}).ddpg.tau, 0.25);
  }
}

TEST(AgentValues, ListsAreAsLongAsThePopulation) {
  expect_problem(R"({"agents": 3, "ddpg": {"tau": [0.1, 0.2]}})",
                 "f:1:31: /ddpg/tau: ", "a list of 2 values for 3 agents");
  expect_problem(kSpread, "f:2:", "a list of 5 values for 4 agents", {"agents=4"});
  expect_problem("{}", "override seed=[]: /seed: ", "a list of 0 values for 1 agents", {"seed=[]"});
}

TEST(AgentValues, WrongOnesAreToldAtTheirPlace) {
  const struct {
    const char* value;  // of ddpg.tau or ddpg.batch_size, which begins in column 18 or 25
    const char* begin;
    const char* part;
  } taus[] = {
      {"[0.1, 2]", "f:1:24: /ddpg/tau/1: ", "2 is not in (0, 1]"},
      {"[0.1, 1e-50]", "f:1:24: /ddpg/tau/1: ", "in single precision"},
      {"[\"x\"]", "f:1:19: /ddpg/tau/0: ", "allowed: a number in (0, 1]"},
      {"[null]", "f:1:19: /ddpg/tau/0: ", "null is not allowed"},
      {"[[0.1]]", "f:1:19: /ddpg/tau/0: ", "wrong type"},
      {"{}", "f:1:18: /ddpg/tau: ", "an object of 0 members"},
      {"{\"choice\": [1], \"uniform\": [0.1, 0.2]}", "f:1:18: /ddpg/tau: ", "2 members"},
      {"{\"unifrom\": [0.1, 0.2]}", "f:1:19: /ddpg/tau/unifrom: ", "did you mean \"uniform\"?"},
      {"{\"uniform\": [0, 0.2]}", "f:1:31: /ddpg/tau/uniform/0: ", "0 is not in (0, 1]"},
      {"{\"uniform\": [0.1, 1.5]}", "f:1:36: /ddpg/tau/uniform/1: ", "1.5 is not in (0, 1]"},
      {"{\"uniform\": [0.2, 0.1]}", "f:1:30: /ddpg/tau/uniform: ", "0.2 is not below 0.1"},
      {"{\"uniform\": [0.2, 0.2]}", "f:1:30: /ddpg/tau/uniform: ", "low must be below high"},
      {"{\"uniform\": [0.2]}", "f:1:30: /ddpg/tau/uniform: ", "allowed: [low, high]"},
      {"{\"uniform\": [0.1, 0.2, 0.3]}", "f:1:30: /ddpg/tau/uniform: ", "a list of 3"},
      {"{\"uniform\": 0.1}", "f:1:30: /ddpg/tau/uniform: ", "allowed: [low, high]"},
      {"{\"int_uniform\": [0.5, 1]}", "f:1:35: /ddpg/tau/int_uniform/0: ", "not an integer"},
      {"{\"choice\": []}", "f:1:29: /ddpg/tau/choice: ", "one or more"},
      {"{\"choice\": [0.1, 0]}", "f:1:35: /ddpg/tau/choice/1: ", "0 is not in (0, 1]"},
  };
  for (const auto& c : taus) {
    expect_problem(std::string("{\"ddpg\": {\"tau\": ") + c.value + "}}", c.begin, c.part);
  }
  expect_problem(R"({"ddpg": {"gamma": {"log_uniform": [0, 1]}}})",
                 "f:1:37: /ddpg/gamma/log_uniform/0: ", "0 is not in (0, 1]");
  expect_problem(R"({"ddpg": {"batch_size": {"uniform": [8, 16]}}})",
                 "f:1:26: /ddpg/batch_size/uniform: ", "draws fractions");
  expect_problem(R"({"ddpg": {"batch_size": {"int_uniform": [8, 1e7]}}})",
                 "f:1:45: /ddpg/batch_size/int_uniform/1: ", "is not in [1, 1048576]");
  expect_problem(R"({"seed": {"choice": [1, -1]}})", "f:1:25: /seed/choice/1: ", "-1 is not in");
}

TEST(AgentValues, OtherKeysAreOneForAllAgents) {
  const std::string part = "is one for all agents; only seed, ddpg.gamma, ddpg.tau, ";
  int tried = 0;
  for (const KeySpec& key : config_keys(&environments().front())) {
    const bool words = key.type == KeyType::kWordList;  // a list by nature, and of no numbers
    if (key.per_agent || words || key.type == KeyType::kObject) continue;
    const std::string name = dotted(key.path);
    const bool list = key.type == KeyType::kIntegerList;
    for (const char* value : {list ? "[[7]]" : "[7, 7]", "{\"choice\": [7, 7]}"}) {
      json config = json::object();
      config[json::json_pointer(key.path)] = json::parse(value);
      const std::vector<std::string> lines = problems_of(config.dump());
      ASSERT_EQ(lines.size(), 1u) << name << " " << value;
      EXPECT_NE(lines[0].find(name + " " + part), std::string::npos) << lines[0];
      ++tried;
    }
  }
  EXPECT_GT(tried, 60);
  expect_problem("{\"env\": {\"num_envs\": 8}}", "override env.num_envs=", part,
                 {"env.num_envs={\"choice\": [8, 16]}"});
  expect_problem("{\"env\": {\"choice\": [1]}}",
                 "f:1:10: /env/choice: ", "may differ between agents: seed, ");
}

TEST(AgentValues, RelationsHoldForEveryAgent) {
  expect_problem(R"({"agents": 3, "ddpg": {"updates_per_step": [1, 1e-6, 1e-7]}})",
                 "f:1:44: /ddpg/updates_per_step: agent 1: ", "no update would ever run");
  const std::string noise = R"({"agents": 3, "noise": {"sigma": 0.2, "sigma_final": 0.1, )";
  expect_problem(noise + R"("decay_steps": [5, 5, 0]}})",
                 "f:1:54: /noise/sigma_final: agent 2: ", "never reached");
  EXPECT_TRUE(problems_of(noise + R"("decay_steps": [5, 5, 9]}})").empty());
}

TEST(AgentValues, ShowPrintsOneAgentsConfig) {
  const std::string path = testing::TempDir() + "pendula_agent_values.json";
  std::ofstream(path) << kSpread;
  std::ostringstream out, err;
  EXPECT_EQ(config_show(path, {}, true, out, err, 3), 0);
  EXPECT_EQ(out.str(), to_json(agent_config(parse_config(kSpread, "f"), 3)).dump(2) + "\n");
  for (int64_t agent : {-1, 5}) {
    EXPECT_THROW(config_show(path, {}, true, out, err, agent), Error);
  }
  std::remove(path.c_str());
}

}  // namespace
}  // namespace pendula
