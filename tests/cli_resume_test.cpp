// Going on with a run, and starting one from another's networks.
#include "tests/cli_testing.h"
#include "tests/contains.h"

namespace pendula {
namespace {

namespace fs = std::filesystem;

using CliResumeTest = CliTest;

TEST_F(CliResumeTest, AFinishedRunGoesOnToALargerTotal) {
  const fs::path whole = train({"total_timesteps=8000"});
  const fs::path grown = train({"--run-dir", "grown"});
  // A second process of the same total has nothing to do.
  const std::string result = slurp(grown / "result.json");
  const Output idle = run({"train", "--resume", grown.string(), "--json"});
  EXPECT_EQ(idle.code, 0);
  EXPECT_TRUE(contains(idle.err, {"has finished; raise total_timesteps"}));
  EXPECT_EQ(slurp(grown / "result.json"), result);
  EXPECT_EQ(nlohmann::json::parse(idle.out)["time/total_timesteps"], 4000);

  const Output o = run({"train", "--resume", grown.string(), "total_timesteps=8000"});
  ASSERT_EQ(o.code, 0) << o.err;
  expect_equal_runs(whole, grown);
  EXPECT_EQ(read_json(grown / "config.json")["total_timesteps"], 8000);
  EXPECT_EQ(read_json(grown / "result.json")["eval/mean_reward"],
            read_json(whole / "result.json")["eval/mean_reward"]);

  const Output back = run({"train", "--resume", grown.string(), "total_timesteps=4000"});
  EXPECT_EQ(back.code, 2);
  EXPECT_TRUE(contains(back.err, {"is at step 8000, beyond a total_timesteps of 4000"}));
}

TEST_F(CliResumeTest, AnEarlierCheckpointGivesTheSameEnd) {
  const fs::path whole = train({});
  const fs::path again = train({"--run-dir", "again"});
  const Output o = run({"train", "--resume", again.string() + "@3600"});
  ASSERT_EQ(o.code, 0) << o.err;
  expect_equal_runs(whole, again);
}

TEST_F(CliResumeTest, WhatMakesTheExperimentMayNotChange) {
  const fs::path run_dir = train({});
  const std::string config = slurp(run_dir / "config.json");
  const auto refused = [&](std::vector<std::string> args, std::initializer_list<std::string> says) {
    args.insert(args.begin(), {"train", "--resume", "latest", "total_timesteps=8000"});
    const Output o = run(args);
    EXPECT_EQ(o.code, 2) << args.back();
    EXPECT_TRUE(contains(o.err, {"a resumed run goes on as it was", "--init-from"}));
    EXPECT_TRUE(contains(o.err, says));
    EXPECT_EQ(o.err.find("\n\n"), std::string::npos) << o.err;
  };
  refused({"ddpg.gamma=0.9"}, {"ddpg.gamma: 0.99 -> 0.9"});
  refused({"seed=2", "env.num_envs=4"}, {"seed: 1 -> 2", "env.num_envs: 8 -> 4"});
  refused({"--seeds", "2"}, {"agents: 1 -> 2"});
  refused({"report.interval=8"}, {"report.interval"});
  refused({"replay.capacity=1000"}, {"replay.capacity"});
  EXPECT_EQ(slurp(run_dir / "config.json"), config);
  const Output o = run({"train", "--resume", "latest", "total_timesteps=4400", "eval.episodes=8",
                        "checkpoint.keep_last=1", "stop.seconds=100", "--device", "cpu"});
  EXPECT_EQ(o.code, 0) << o.err;
}

TEST_F(CliResumeTest, ARunKeepsItsLevelOfInstructions) {
  const fs::path whole = train({"simd=sse2", "total_timesteps=8000"});
  const fs::path grown = train({"simd=sse2", "--run-dir", "grown"});
  EXPECT_EQ(read_json(grown / "meta.json")["simd_level"], "sse2");
  const std::vector<std::string> more = {"train", "--resume", grown.string(), "simd=auto",
                                         "total_timesteps=8000"};
  Output o = run(more);
  ASSERT_EQ(o.code, 0) << o.err;
  EXPECT_EQ(o.err.find("goes on with"), std::string::npos) << o.err;
  expect_equal_runs(whole, grown);
  EXPECT_EQ(read_json(grown / "meta.json")["simd_level"], "sse2");
  EXPECT_EQ(read_json(grown / "config.json")["simd"], "auto") << "as the override says";
  // What is only looked at has the run's level too.
  o = run({"eval", grown.string(), "--json"});
  EXPECT_EQ(nlohmann::json::parse(o.out)["eval/mean_reward"],
            read_json(whole / "result.json")["eval/mean_reward"]);
}

TEST_F(CliResumeTest, ALevelThatIsNotToBeHadIsSaid) {
  const fs::path run_dir = train({});
  const std::string here = read_json(run_dir / "meta.json")["simd_level"];
  const auto trained_with = [&](const std::string& level) {
    nlohmann::json meta = read_json(run_dir / "meta.json");
    meta["simd_level"] = level;
    spit(run_dir / "meta.json", meta.dump());
  };
  trained_with("avx1024");
  Output o = run({"train", "--resume", "latest", "total_timesteps=4400"});
  EXPECT_EQ(o.code, 0) << o.err;
  EXPECT_TRUE(contains(o.err, {"trained with avx1024 instructions and goes on with " + here +
                                   ", as this processor lacks them",
                               "not equal"}));
  EXPECT_EQ(read_json(run_dir / "meta.json")["simd_level"], here);
  // Another level on purpose is said too, and a run that does not say its level is taken as it is.
  o = run({"train", "--resume", "latest", "total_timesteps=4800", "simd=sse2"});
  EXPECT_EQ(o.code, 0) << o.err;
  if (here != "sse2") {
    EXPECT_TRUE(contains(o.err, {"trained with " + here + " instructions and goes on with sse2:"}));
  }
  fs::remove(run_dir / "meta.json");
  o = run({"train", "--resume", "latest", "total_timesteps=5200", "simd=auto"});
  EXPECT_EQ(o.code, 0) << o.err;
  EXPECT_EQ(o.err.find("goes on with"), std::string::npos) << o.err;
}

// Column `key` of the rows beyond `from` environment steps.
std::vector<nlohmann::json> column(const fs::path& file, const char* key, int64_t from) {
  std::vector<nlohmann::json> values;
  for (const auto& row : read_rows(file)) {
    if (row["time/total_timesteps"] > from) values.push_back(row[key]);
  }
  return values;
}

TEST_F(CliResumeTest, WithoutTheReplayTheRingIsFilledFirst) {
  const fs::path run_dir = train({"checkpoint.replay=none", "replay.warmup_steps=800"});
  EXPECT_EQ(entries(newest_checkpoint(run_dir)),
            (std::vector<std::string>{"manifest.json", "state.safetensors"}));
  const Output o = run({"train", "--resume", "latest", "total_timesteps=6400"});
  ASSERT_EQ(o.code, 0) << o.err;
  EXPECT_TRUE(contains(o.err, {"has no replay ring", "filled anew for 800 steps",
                               "will not equal that of an uninterrupted run"}));
  // 0.5 updates per step from step 800 on, none from 4,000 to 4,800.
  EXPECT_EQ(column(run_dir / "metrics.jsonl", "time/updates", 3600),
            (std::vector<nlohmann::json>{1600, 1600, 1600, 1800, 2000, 2200, 2400}));
  const auto losses = column(run_dir / "metrics.jsonl", "train/critic_loss", 4000);
  EXPECT_TRUE(losses[0].is_null() && losses[1].is_null());
  for (size_t i = 2; i < losses.size(); ++i) EXPECT_TRUE(losses[i].is_number());
}

TEST_F(CliResumeTest, InitFromTakesTheNetworksAlone) {
  const fs::path first = train({});
  const std::vector<std::string> args = {"--init-from",
                                         first.string(),
                                         "seed=9",
                                         "total_timesteps=800",
                                         "optimizer.actor_lr=1e-30",
                                         "optimizer.critic_lr=1e-30",
                                         "ddpg.tau=1e-30"};
  const auto before = read_tensors(newest_checkpoint(first) / "state.safetensors");
  const auto after = read_tensors(newest_checkpoint(train(args)) / "state.safetensors");
  int networks = 0, others = 0;
  for (const auto& [name, bytes] : before) {
    if (name.find("agents.actor.") != 0 && name.find("agents.critic.") != 0 &&
        name.find("_target.") == std::string::npos) {
      continue;
    }
    const bool moment = name.find(".adam_") != std::string::npos;
    EXPECT_EQ(after.at(name) == bytes, !moment) << name;
    ++(moment ? others : networks);
  }
  EXPECT_EQ(networks, 4 * 6);  // actor, critic and their targets: three weights and biases
  EXPECT_EQ(others, 2 * 2 * 6);
}

TEST_F(CliResumeTest, InitFromStartsWithEmptyMoments) {
  const fs::path first = train({});
  // The checkpoint after the first iteration, long before the first update.
  const Output o = run({"train", "tiny.json", "--init-from", first.string(), "seed=9",
                        "total_timesteps=408", "replay.warmup_steps=400", "--run-dir", "second",
                        "checkpoint.interval=8", "checkpoint.keep_last=100"});
  ASSERT_EQ(o.code, 0) << o.err;
  const auto then = read_tensors(newest_checkpoint(first) / "state.safetensors");
  const auto now =
      read_tensors(latest("second") / "checkpoints/step_000000000008" / "state.safetensors");
  for (const auto& [name, bytes] : now) {
    if (name.find(".adam_") != std::string::npos) {
      EXPECT_EQ(bytes, std::string(bytes.size(), '\0')) << name;
    } else if (name.find("agents.actor.") == 0 || name.find("agents.critic_target.") == 0) {
      EXPECT_EQ(bytes, then.at(name)) << name;
    }
  }
  EXPECT_NE(now.at("agents.env.state"), then.at("agents.env.state"));
}

TEST_F(CliResumeTest, InitFromAnotherArchitectureIsRefused) {
  const fs::path first = train({});
  const Output o = run({"train", "tiny.json", "--init-from", first.string(), "actor.hidden=[8]",
                        "--run-dir", "second"});
  EXPECT_EQ(o.code, 6);
  EXPECT_TRUE(contains(o.err, {"agents.actor.layers.0.weight is F32 (1, 16, 3)", "(1, 8, 3)"}));
  EXPECT_FALSE(fs::exists(path("second")));
}

}  // namespace
}  // namespace pendula
