// Overrides, the relations between keys, and what is rounded.
#include <gtest/gtest.h>

#include "host/config_check.h"
#include "host/config_io.h"
#include "host/config_table.h"
#include "host/environments.h"
#include "tests/config_testing.h"

namespace pendula {
namespace {

TEST(Overrides, AreJsonOrElseStrings) {
  const Config config = parse_config(
      "{\"ddpg\": {\"gamma\": 0.5}, \"optimizer\": {\"max_grad_norm\": 1}}", "f",
      {"ddpg.gamma=0.98", "actor.hidden=[400,300]", "env.id=pendulum", "device=\"cpu\"",
       "optimizer.max_grad_norm=null", "critic={\"hidden\":[7]}", "critic.init=paper"});
  EXPECT_EQ(config.ddpg.gamma, 0.98);
  EXPECT_EQ(config.actor.hidden, (std::vector<int64_t>{400, 300}));
  EXPECT_EQ(config.device, "cpu");
  EXPECT_FALSE(config.optimizer.max_grad_norm.has_value());
  EXPECT_EQ(config.critic.hidden, (std::vector<int64_t>{7}));
  EXPECT_EQ(config.critic.init, Init::kPaper);
}

TEST(Overrides, TheLastWinsAndMendsWhatTheFileHasWrong) {
  EXPECT_EQ(parse_config("{}", "f", {"ddpg.tau=0.1", "ddpg.tau=0.2"}).ddpg.tau, 0.2);
  EXPECT_EQ(parse_config("{\"ddpg\": {\"tau\": 7}}", "f", {"ddpg.tau=0.2"}).ddpg.tau, 0.2);
}

TEST(Overrides, ReportThemselvesAsThePlace) {
  const auto one = [](const std::string& override, const std::string& part) {
    expect_problem("{\"seed\": 1, \"agents\": 1, \"replay\": {}}", "override " + override + ": ",
                   part, {override});
  };
  one("ddpg.gama=0.98", "/ddpg/gama: unknown key; did you mean \"gamma\"?");
  one("dpg.gamma=0.98", "/dpg: unknown key; did you mean \"ddpg\"?");
  one("gamma=0.98", "did you mean \"ddpg.gamma\"?");
  one("ddpg.gamma=2", "/ddpg/gamma: 2 is not in [0, 1]");
  one("ddpg.gamma=abc", "\"abc\" is the wrong type");
  one("ddpg.gamma=", "\"\" is the wrong type");
  one("ddpg.gamma=null", "null is not allowed");
  one("agents.x=3", "/agents: 1 (f:1:23) is not an object");
  one("seed.x=3", "/seed/x: unknown distribution");
  one("replay=3", "/replay: 3 is the wrong type");
  one("result={\"a\":1,\"a\":2}", "duplicate key");
  for (const char* bad : {"", "=", "=3", "ddpg.gamma", ".ddpg=1", "ddpg.=1", "ddpg..gamma=1"}) {
    one(bad, "path=value");
  }
}

TEST(Overrides, AnotherEnvironmentDropsNothingSilently) {
  for (const EnvironmentInfo& from : environments()) {
    for (const EnvironmentInfo& to : environments()) {
      for (const EnvParam& param : from.params) {
        const std::vector<KeySpec> keys = config_keys(&to);
        const std::string path = std::string("/env/") + param.name;
        if (find_key(keys, path) != nullptr) continue;
        expect_problem(
            "{\"env\": {\"" + std::string(param.name) + "\": 1, \"id\": \"" + from.id + "\"}}",
            "f:1:10: " + path + ": unknown key; a parameter of ", "not of \"" + to.id + "\"",
            {"env.id=" + to.id});
      }
    }
  }
  // A wrong id is one problem, not one for each parameter.
  expect_problem("{\"env\": {\"id\": \"pendulun\", \"gravity\": 3}}",
                 "f:1:16: /env/id: ", "did you mean \"pendulum\"?");
}

TEST(Relations, PointAtTheKeyToChange) {
  expect_problem("{\"replay\": {\"capacity\": 31}}", "f:1:25: /replay/capacity: ", "at least 32");
  EXPECT_TRUE(problems_of("{\"replay\": {\"capacity\": 32}}").empty());
  expect_problem("{\"rollout\": {\"length\": 4}}", "override replay.capacity=127: ", "at least 128",
                 {"replay.capacity=127"});
  EXPECT_TRUE(
      problems_of("{\"rollout\": {\"length\": 4}, \"replay\": {\"capacity\": 128}}").empty());
  expect_problem("{\"env\": {\"num_envs\": 50001}}", "f:1:22: /env/num_envs: ", "at least 100002",
                 {"total_timesteps=1000000"});
  expect_problem("{\"replay\": {\"warmup_steps\": 20000}}",
                 "f:1:29: /replay/warmup_steps: ", "no update would ever run");
  // The warm-up is rounded up to whole iterations of 16 steps, and so is the run.
  expect_problem("{\"replay\": {\"warmup_steps\": 19985}}", "f:1:29: /replay/warmup_steps: ");
  EXPECT_TRUE(problems_of("{\"replay\": {\"warmup_steps\": 19984}}").empty());
  expect_problem("{\"total_timesteps\": 1000}", "f:1:21: /total_timesteps: ", "no update");
  EXPECT_TRUE(problems_of("{\"total_timesteps\": 1009}").empty());
  expect_problem("{\"ddpg\": {\"updates_per_step\": 1e-5}}", "f:1:31: /ddpg/updates_per_step: ");
}

TEST(Relations, AFinalSigmaNeedsADecay) {
  EXPECT_EQ(parse_config("{\"noise\": {\"sigma\": 0.3}}", "f").noise.sigma_final, 0.3);
  expect_problem("{\"noise\": {\"sigma\": 0.3, \"sigma_final\": 0.1}}",
                 "f:1:41: /noise/sigma_final: ", "decay_steps");
  EXPECT_TRUE(problems_of("{\"noise\": {\"sigma\": 0.3, \"sigma_final\": 0.1, \"decay_steps\": 9}}")
                  .empty());
}

TEST(Relations, StayQuietWhereAValueIsWrongItself) {
  expect_problem("{\"env\": {\"num_envs\": 0}, \"replay\": {\"capacity\": 1}}",
                 "f:1:22: /env/num_envs: 0 is not in");
}

TEST(Notes, TellWhatIsRounded) {
  Config config = parse_config(
      "{}", "f",
      {"env.num_envs=48", "report.interval=4800", "eval.interval=0", "checkpoint.interval=9600"});
  EXPECT_EQ(steps_per_iteration(config), 48);
  EXPECT_EQ(ring_rows(config), 2083);
  EXPECT_EQ(iterations_of(config, 20000), 417);
  const std::vector<std::string> notes = config_notes(config);
  ASSERT_EQ(notes.size(), 3u);
  EXPECT_EQ(notes[0].find("replay.capacity: 100000 is rounded down to 99984"), 0u) << notes[0];
  EXPECT_EQ(notes[1].find("total_timesteps: 20000 is rounded up to 20016"), 0u) << notes[1];
  EXPECT_EQ(notes[2].find("replay.warmup_steps: 1000 is rounded up to 1008"), 0u) << notes[2];
  config = parse_config("{}", "f", {"env.num_envs=1"});
  EXPECT_TRUE(config_notes(config).empty());
}

}  // namespace
}  // namespace pendula
