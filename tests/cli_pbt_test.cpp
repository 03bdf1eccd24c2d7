// Population-based training from the command line: its records, and that neither threads nor cuts
// change a bit of it.
#include <signal.h>

#include <cmath>
#include <cstring>

#include "host/checkpoint.h"
#include "host/config_io.h"
#include "host/play.h"
#include "tests/cli_testing.h"
#include "tests/contains.h"

namespace pendula {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

class CliPbtTest : public CliTest {
 protected:
  // Episodes end at 1,600, 3,200, ... steps: with an interval of 800 every other exploit finds
  // none.
  fs::path train_population(const std::vector<std::string>& more) const {
    std::vector<std::string> args = {"--seeds", "6", "population.pbt.interval=800"};
    args.insert(args.end(), {"checkpoint.interval=800", "checkpoint.keep_last=100"});
    args.insert(args.end(), more.begin(), more.end());
    return train(args);
  }
};

TEST_F(CliPbtTest, TheWorstCopiesTheBestOfItsTime) {
  const fs::path run_dir = train_population(
      {"total_timesteps=6400", "eval.interval=0", "checkpoint.interval=0"});  // no other stops
  const auto records = read_records(run_dir / "agents.npy");
  const auto rows = read_rows(run_dir / "pbt.jsonl");
  ASSERT_EQ(rows.size(), 3u) << "at 1600, 3200 and 4800; nothing goes on after the end";
  for (size_t i = 0; i < rows.size(); ++i) {
    const int64_t step = 1600 * static_cast<int64_t>(i + 1);
    EXPECT_EQ(rows[i]["time/total_timesteps"], step);
    size_t best = 0, worst = 0;
    std::vector<double> returns;  // the report of this step has the same episodes
    for (const json& r : records) {
      if (r["kind"] != "report" || r["time/total_timesteps"] != step) continue;
      returns.push_back(r["rollout/ep_rew_mean"]);
      if (returns.back() > returns[best]) best = returns.size() - 1;
      if (returns.back() < returns[worst]) worst = returns.size() - 1;
    }
    ASSERT_EQ(returns.size(), 6u);
    EXPECT_EQ(rows[i]["from"], best) << step;
    EXPECT_EQ(rows[i]["to"], worst) << step;
    EXPECT_EQ(rows[i]["from_return"], returns[best]);
    EXPECT_EQ(rows[i]["to_return"], returns[worst]);
  }
  const double rate = rows[0]["optimizer.actor_lr"];
  EXPECT_NEAR(std::abs(std::log(rate / 1e-3)), std::log(1.2), 1e-12);
  const auto hyper =
      read_tensors(newest_checkpoint(run_dir) / "state.safetensors").at("agents.hyper.actor_lr");
  double stored;
  const size_t last = rows.back()["to"];
  std::memcpy(&stored, hyper.data() + 8 * last, 8);
  EXPECT_EQ(stored, rows.back()["optimizer.actor_lr"]);
}

TEST_F(CliPbtTest, ThreadsChangeNothing) {
  const fs::path one = train_population({"--threads", "1"});
  for (const char* threads : {"2", "3"}) {
    expect_equal_runs(one, train_population({"--threads", threads}));
  }
  const fs::path other = train_population({"population.pbt.interval=0"});
  EXPECT_FALSE(fs::exists(other / "pbt.jsonl"));
  EXPECT_NE(slurp(newest_checkpoint(one) / "state.safetensors"),
            slurp(newest_checkpoint(other) / "state.safetensors"));
}

TEST_F(CliPbtTest, AResumeAcrossAnExploitIsTheSameRun) {
  const fs::path whole = train_population({"total_timesteps=6400"});
  const fs::path again = train_population({"total_timesteps=6400", "--run-dir", "again"});
  for (const char* step : {"3200", "2400", "1600"}) {  // at an exploit, before one, at the first
    const Output o = run({"train", "--resume", again.string() + "@" + step});
    ASSERT_EQ(o.code, 0) << o.err;
    expect_equal_runs(whole, again);
  }
  const fs::path grown = train_population({"total_timesteps=3200", "--run-dir", "grown"});
  const Output o = run({"train", "--resume", grown.string(), "total_timesteps=6400"});
  ASSERT_EQ(o.code, 0) << o.err;
  EXPECT_EQ(slurp(grown / "pbt.jsonl"), slurp(whole / "pbt.jsonl"));
  expect_equal_checkpoints(newest_checkpoint(whole), newest_checkpoint(grown));
}

TEST_F(CliPbtTest, SignalsAnywhereChangeNothing) {
  const std::vector<std::string> args = {"total_timesteps=24000", "checkpoint.interval=0"};
  const fs::path whole = train_population(args);
  Child child{{"train", "tiny.json", "--seeds", "6", "population.pbt.interval=800",
               "checkpoint.keep_last=100", "--run-dir", "cut"}};
  child.args.insert(child.args.end(), args.begin(), args.end());
  child.signals = {{0.02, SIGINT}};
  int cuts = 0;
  Output o = run(child);
  for (; o.code == 130 && cuts < 40; ++cuts) {
    child.args = {"train", "--resume", latest("cut").string()};
    child.signals[0].first = 0.02 + 0.013 * cuts;
    o = run(child);
  }
  ASSERT_EQ(o.code, 0) << o.err;
  EXPECT_GE(cuts, 2);
  const fs::path cut = latest("cut");
  EXPECT_EQ(slurp(cut / "pbt.jsonl"), slurp(whole / "pbt.jsonl"));
  expect_equal_checkpoints(newest_checkpoint(whole), newest_checkpoint(cut));
}

TEST_F(CliPbtTest, ADivergedAgentIsRevived) {
  const fs::path run_dir = train_population({"total_timesteps=2400"});
  const auto backend = make_cpu_backend(load_config((run_dir / "config.json").string(), {}), 1);
  const fs::path checkpoint = newest_checkpoint(run_dir);
  const LoadedCheckpoint loaded = load_checkpoint(checkpoint, backend->tensors(), *backend);
  for (const TensorSpec& t : backend->tensors().tensors) {
    if (t.name != "agents.critic.layers.0.weight") continue;
    const float nan = std::nanf("");
    backend->write(2 * backend->tensors().agent_bytes + t.offset, sizeof nan, &nan);
  }
  save_checkpoint(checkpoint, backend->tensors(), *backend, true, loaded.info);

  const Output o = run({"train", "--resume", "latest", "total_timesteps=6400"});
  ASSERT_EQ(o.code, 0) << o.err;
  EXPECT_TRUE(contains(o.err, {"agent 2 diverged and was frozen", "1 of 6 agents diverged"}));
  bool revived = false;
  for (const json& row : read_rows(run_dir / "pbt.jsonl")) {
    if (row["to"] != 2 || !row.value("revived", false)) continue;
    revived = true;
    EXPECT_EQ(row["time/total_timesteps"], 3200);
    EXPECT_TRUE(row["to_return"].is_null());
  }
  EXPECT_TRUE(revived);
  for (const json& row : read_rows(run_dir / "eval.jsonl")) {
    const int64_t step = row["time/total_timesteps"];
    EXPECT_EQ(row["eval/agents_diverged"], step > 2400 && step <= 3200 ? 1 : 0) << step;
  }
  EXPECT_TRUE(read_json(run_dir / "result.json")["agents"][2]["eval/mean_reward"].is_number());
}

TEST_F(CliPbtTest, OneAgentHasNobodyToCopy) {
  const Output o = run({"train", "tiny.json", "population.pbt.interval=800"});
  EXPECT_EQ(o.code, 2);
  EXPECT_TRUE(
      contains(o.err, {"population.pbt.interval=800", "more than one agent", "raise agents"}));
  const Output twice =
      run({"train", "tiny.json", "population.pbt.keys=[\"ddpg.tau\",\"ddpg.tau\"]"});
  EXPECT_EQ(twice.code, 2);
  EXPECT_TRUE(contains(twice.err, {"/population/pbt/keys/1", "\"ddpg.tau\" stands there twice"}));
}

}  // namespace
}  // namespace pendula
