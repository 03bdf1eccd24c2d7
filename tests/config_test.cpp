// Reading configs: values, messages and their places.
#include <gtest/gtest.h>

#include "host/config_io.h"
#include "host/environments.h"
#include "tests/config_testing.h"

namespace pendula {
namespace {

TEST(Config, TheEmptyObjectGivesTheDefaultsOfTheStruct) {
  const Config config = parse_config("{}", "f");
  const Config defaults;
  EXPECT_EQ(config.ddpg.gamma, defaults.ddpg.gamma);
  EXPECT_EQ(config.actor.hidden, defaults.actor.hidden);
  EXPECT_EQ(config.seed, defaults.seed);
  EXPECT_FALSE(config.optimizer.max_grad_norm.has_value());
  // These come from the environment.
  const EnvironmentInfo* env = find_environment(defaults.env.id);
  ASSERT_NE(env, nullptr);
  EXPECT_EQ(config.env.max_episode_steps, env->max_episode_steps);
  ASSERT_EQ(config.env.params.size(), env->params.size());
  for (size_t i = 0; i < env->params.size(); ++i) {
    EXPECT_EQ(config.env.params.at(env->params[i].name), env->defaults[i]);
  }
}

// Every key once, each with a value of its own.
TEST(Config, ValuesReachTheirMembers) {
  const Config config = parse_config(R"({
    "name": "x-1", "seed": 5, "agents": 3, "device": "cuda:1", "precision": "tf32", "plan": "grid",
    "total_timesteps": 123456,
    "env": {"id": "pendulum", "num_envs": 8, "max_episode_steps": 50, "gravity": 9.81},
    "rollout": {"length": 2, "policy_lag": 1},
    "actor": {"hidden": [400, 300], "activation": "silu", "init": "paper"},
    "critic": {"hidden": [], "activation": "tanh", "init": "torch"},
    "ddpg": {"gamma": 0.91, "tau": 0.02, "target_update_interval": 6, "batch_size": 33,
             "updates_per_step": 0.25, "loss": "huber", "reward_scale": 0.125},
    "optimizer": {"actor_lr": 1e-4, "critic_lr": 2e-4, "beta1": 0.81, "beta2": 0.82, "eps": 1e-7,
                  "weight_decay": 0.01, "max_grad_norm": 0.5},
    "noise": {"type": "ou", "sigma": 0.31, "sigma_final": 0.11, "decay_steps": 999,
              "sigma_ladder": 2.5, "ou_theta": 0.25, "ou_dt": 0.75, "epsilon": 0.03},
    "replay": {"capacity": 5000, "warmup_steps": 600},
    "report": {"interval": 700},
    "eval": {"interval": 801, "episodes": 802, "final_episodes": 803},
    "checkpoint": {"interval": 901, "keep_last": 9, "replay": "none"},
    "population": {"pbt": {"interval": 902, "fraction": 0.3, "perturb": 1.5, "resample": 0.125,
                           "keys": ["noise.epsilon", "ddpg.tau"]}},
    "stop": {"seconds": 60, "eval_return": -150.5},
    "result": {"any": ["thing", 1, null]}})",
                                     "f");
  EXPECT_EQ(config.name, "x-1");
  EXPECT_EQ(config.seed, 5u);
  EXPECT_EQ(config.agents, 3);
  EXPECT_EQ(config.device, "cuda:1");
  EXPECT_EQ(config.precision, Precision::kTf32);
  EXPECT_EQ(config.plan, "grid");
  EXPECT_EQ(config.total_timesteps, 123456);
  EXPECT_EQ(config.env.id, "pendulum");
  EXPECT_EQ(config.env.num_envs, 8);
  EXPECT_EQ(config.env.max_episode_steps, 50);
  EXPECT_EQ(config.env.params.at("gravity"), 9.81);
  EXPECT_EQ(config.rollout.length, 2);
  EXPECT_EQ(config.rollout.policy_lag, 1);
  EXPECT_EQ(config.actor.hidden, (std::vector<int64_t>{400, 300}));
  EXPECT_EQ(config.actor.activation, Activation::kSilu);
  EXPECT_EQ(config.actor.init, Init::kPaper);
  EXPECT_TRUE(config.critic.hidden.empty());
  EXPECT_EQ(config.critic.activation, Activation::kTanh);
  EXPECT_EQ(config.critic.init, Init::kTorch);
  EXPECT_EQ(config.ddpg.gamma, 0.91);
  EXPECT_EQ(config.ddpg.tau, 0.02);
  EXPECT_EQ(config.ddpg.target_update_interval, 6);
  EXPECT_EQ(config.ddpg.batch_size, 33);
  EXPECT_EQ(config.ddpg.updates_per_step, 0.25);
  EXPECT_EQ(config.ddpg.loss, Loss::kHuber);
  EXPECT_EQ(config.ddpg.reward_scale, 0.125);
  EXPECT_EQ(config.optimizer.actor_lr, 1e-4);
  EXPECT_EQ(config.optimizer.critic_lr, 2e-4);
  EXPECT_EQ(config.optimizer.beta1, 0.81);
  EXPECT_EQ(config.optimizer.beta2, 0.82);
  EXPECT_EQ(config.optimizer.eps, 1e-7);
  EXPECT_EQ(config.optimizer.weight_decay, 0.01);
  EXPECT_EQ(config.optimizer.max_grad_norm, 0.5);
  EXPECT_EQ(config.noise.type, NoiseType::kOu);
  EXPECT_EQ(config.noise.sigma_ladder, 2.5);
  EXPECT_EQ(config.noise.ou_theta, 0.25);
  EXPECT_EQ(config.noise.ou_dt, 0.75);
  EXPECT_EQ(config.noise.sigma, 0.31);
  EXPECT_EQ(config.noise.sigma_final, 0.11);
  EXPECT_EQ(config.noise.decay_steps, 999);
  EXPECT_EQ(config.noise.epsilon, 0.03);
  EXPECT_EQ(config.replay.capacity, 5000);
  EXPECT_EQ(config.replay.warmup_steps, 600);
  EXPECT_EQ(config.report.interval, 700);
  EXPECT_EQ(config.eval.interval, 801);
  EXPECT_EQ(config.eval.episodes, 802);
  EXPECT_EQ(config.eval.final_episodes, 803);
  EXPECT_EQ(config.checkpoint.interval, 901);
  EXPECT_EQ(config.checkpoint.keep_last, 9);
  EXPECT_EQ(config.checkpoint.replay, ReplaySaving::kNone);
  EXPECT_EQ(config.population.pbt.interval, 902);
  EXPECT_EQ(config.population.pbt.fraction, 0.3);
  EXPECT_EQ(config.population.pbt.perturb, 1.5);
  EXPECT_EQ(config.population.pbt.resample, 0.125);
  EXPECT_EQ(config.population.pbt.keys, (std::vector<std::string>{"noise.epsilon", "ddpg.tau"}));
  EXPECT_EQ(config.stop.seconds, 60.0);
  EXPECT_EQ(config.stop.eval_return, -150.5);
  EXPECT_EQ(config.result.dump(), R"({"any":["thing",1,null]})");
}

TEST(Config, SeedsAreExactTo64Bits) {
  for (const char* seed :
       {"0", "1", "9007199254740993", "9223372036854775808", "18446744073709551615"}) {
    const Config config = parse_config(std::string("{\"seed\": ") + seed + "}", "f");
    EXPECT_EQ(std::to_string(config.seed), seed);
    EXPECT_EQ(to_json(config)["seed"].dump(), seed);
    EXPECT_EQ(parse_config("{}", "f", {std::string("seed=") + seed}).seed, config.seed);
  }
  expect_problem("{\"seed\": 18446744073709551616}",
                 "f:1:10: /seed: ", "is not in [0, 18446744073709551615]");
  expect_problem("{\"seed\": -1}", "f:1:10: /seed: -1 is not in [0, 18446744073709551615]");
  // However they are written, not rounded to a double's 53 bits.
  EXPECT_EQ(parse_config("{\"seed\": 1e18}", "f").seed, 1000000000000000000u);
  EXPECT_EQ(parse_config("{}", "f", {"seed=1e18"}).seed, 1000000000000000000u);
  EXPECT_EQ(parse_config("{\"seed\": 9007199254740993.0}", "f").seed, 9007199254740993u);
  EXPECT_EQ(parse_config("{\"seed\": 1.8446744073709551615E+19}", "f").seed, UINT64_MAX);
  expect_problem("{\"seed\": 9007199254740992.5}", "f:1:10: /seed: ", "is not an integer");
  expect_problem("{\"seed\": 18446744073709551616.0}", "f:1:10: /seed: ", "is not in [0, ");
  expect_problem("{\"seed\": -1e0}", "f:1:10: /seed: ", "is not in [0, ");
  expect_problem("{\"total_timesteps\": 1e300}", "f:1:21: /total_timesteps: ", "is not in [1, ");
}

TEST(Config, IntegersMayBeWrittenAsIntegralNumbers) {
  EXPECT_EQ(parse_config("{\"total_timesteps\": 3e4}", "f").total_timesteps, 30000);
  EXPECT_EQ(parse_config("{\"total_timesteps\": 30000.0}", "f").total_timesteps, 30000);
  EXPECT_EQ(parse_config("{\"seed\": 7.0}", "f").seed, 7u);
  expect_problem("{\"total_timesteps\": 30000.5}", "f:1:21: /total_timesteps: 30000.5 is not an");
}

TEST(Config, EveryMessageHasPlacePointerValueAndRange) {
  expect_problem("{\n  \"ddpg\": {\n    \"gama\": 0.9 } }",
                 "f:3:5: /ddpg/gama: unknown key; did you mean \"gamma\"?");
  expect_problem("{\n  \"ddpg\": {\n    \"gamma\": 1.5 } }",
                 "f:3:14: /ddpg/gamma: 1.5 is not in [0, 1]");
  expect_problem("{\"actor\": {\"hidden\": [64,\n 8193]}}",
                 "f:2:2: /actor/hidden/1: 8193 is not in [1, 8192]");
  expect_problem("{\"replay\": 3}", "f:1:12: /replay: 3 is the wrong type; allowed: an object");
  expect_problem("[1]", "f:1:1: ", "a config is an object");
  expect_problem("{\"ddpg\": {\"capacity\": 1}}",
                 "f:1:11: /ddpg/capacity: ", "did you mean \"replay.capacity\"?");
  expect_problem("{\"gamma\": 1}", "f:1:2: /gamma: ", "did you mean \"ddpg.gamma\"?");
  // A name from elsewhere is likelier than two slips in "mass".
  expect_problem("{\"env\": {\"loss\": 1}}", "f:1:10: /env/loss: ", "\"ddpg.loss\"?");
  expect_problem("{\"ddpg/gamma\": 1}", "f:1:2: /ddpg~1gamma: unknown key");
  expect_problem("{\"zzzzzzzzzz\": 1}", "f:1:2: /zzzzzzzzzz: unknown key; known here: name, seed");
}

TEST(Config, AWordThatIsNotKnownIsNamed) {
  expect_problem("{\"precision\": \"fp16\"}",
                 "f:1:15: /precision: \"fp16\" is not known; allowed: one of \"auto\"");
  expect_problem("{\"actor\": {\"activation\": \"rleu\"}}",
                 "f:1:26: /actor/activation: ", "did you mean \"relu\"?");
}

TEST(Config, AllProblemsComeAtOnce) {
  const std::vector<std::string> lines = problems_of(
      "{\"seed\": 99999999999999999999,\n"
      " \"name\": \"../x\", \"name\": \"y\",\n"
      " \"ddpg\": {\"gama\": 1, \"tau\": 0, \"batch_size\": \"128\"},\n"
      " \"actor\": {\"hidden\": [0, 1.5]}}",
      {"agents=0", "nonsense", "optimizer.actor_lr=1e999", "replay.warmup_steps=1e6"});
  const std::vector<std::string> begins = {
      "f:2:18: /name: duplicate key; it stands first at f:2:2",
      "override nonsense: not of the form path=value",
      "override optimizer.actor_lr=1e999: /optimizer/actor_lr: 1e999 is too large",
      "f:1:10: /seed: 99999999999999999999 is not in [0, ",
      "f:2:10: /name: \"../x\" is not allowed",
      "f:3:11: /ddpg/gama: unknown key",
      "f:3:29: /ddpg/tau: 0 is not in (0, 1]",
      "f:3:46: /ddpg/batch_size: \"128\" is the wrong type",
      "f:4:23: /actor/hidden/0: 0 is not in [1, 8192]",
      "f:4:26: /actor/hidden/1: 1.5 is not an integer",
      "override agents=0: /agents: 0 is not in [1, 65536]",
      "override replay.warmup_steps=1e6: /replay/warmup_steps: no update would ever run",
  };
  ASSERT_EQ(lines.size(), begins.size());
  for (size_t i = 0; i < lines.size(); ++i) {
    EXPECT_EQ(lines[i].substr(0, begins[i].size()), begins[i]) << lines[i];
  }
}

TEST(Config, SinglePrecisionMayNotReachAnOpenEnd) {
  expect_problem("{\"optimizer\": {\"eps\": 1e-60}}", "f:1:23: /optimizer/eps: 1e-60 becomes 0");
  expect_problem("{\"optimizer\": {\"beta2\": 0.999999999999}}",
                 "f:1:25: /optimizer/beta2: ", "becomes 1 in single precision");
}

TEST(Config, NamesAndDevices) {
  for (const char* name : {"", ".", "..", ".x", "a/b", "a b", "\xC3\xA9", "a\\n"}) {
    expect_problem(std::string("{\"name\": \"") + name + "\"}", "f:1:10: /name: ");
  }
  expect_problem("{\"name\": \"" + std::string(101, 'a') + "\"}", "f:1:10: /name: ");
  EXPECT_EQ(parse_config("{\"name\": \"A.b_c-9\"}", "f").name, "A.b_c-9");
  for (const char* device : {"gpu", "cuda:", "cuda:x", "cuda:-1", "cuda:1000", "CPU", ""}) {
    expect_problem(std::string("{\"device\": \"") + device + "\"}", "f:1:12: /device: ", "cuda:N");
  }
}

}  // namespace
}  // namespace pendula
