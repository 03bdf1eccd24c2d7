// What a training run leaves in its directory and says while it runs.
#include <algorithm>
#include <regex>
#include <set>
#include <sstream>

#include "tests/cli_testing.h"
#include "tests/contains.h"

namespace pendula {
namespace {

namespace fs = std::filesystem;

using CliRunTest = CliTest;
using Names = std::vector<std::string>;

Names keys_of(const nlohmann::json& object) {
  Names keys;
  for (const auto& [key, value] : object.items()) keys.push_back(key);
  return keys;
}

TEST_F(CliRunTest, DirectoryHoldsWhatTheDesignSays) {
  const fs::path run_dir = train({"--run-dir", "deep/er"});
  EXPECT_EQ(entries(run_dir), (Names{".lock", "best", "checkpoints", "config.json", "eval.jsonl",
                                     "meta.json", "metrics.jsonl", "result.json"}));
  EXPECT_TRUE(std::regex_match(run_dir.filename().string(),
                               std::regex(R"(\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d_s1(_\d+)?)")));
  EXPECT_EQ(run_dir.parent_path(), path("deep/er/tiny"));
  EXPECT_EQ(latest("deep/er"), run_dir);
  EXPECT_EQ(entries(run_dir / "checkpoints"), (Names{"step_000000003600", "step_000000004000"}));
  EXPECT_EQ(entries(run_dir / "best"), (Names{"manifest.json", "state.safetensors"}));

  const nlohmann::json meta = read_json(run_dir / "meta.json");
  for (const char* key : {"version", "commit", "compiler", "flags", "simd_level", "device"}) {
    EXPECT_TRUE(meta.contains(key) && meta[key].is_string() && meta[key] != "") << key;
  }
  EXPECT_EQ(meta["device"], "cpu");
}

TEST_F(CliRunTest, MetricsHaveTheNamesThatPeopleGrepFor) {
  const fs::path run_dir = train({});
  const Names names = {"rollout/ep_len_mean",     "rollout/ep_rew_mean",    "time/fps",
                       "time/time_elapsed",       "time/total_timesteps",   "time/updates",
                       "time/updates_per_second", "train/actor_loss",       "train/critic_loss",
                       "train/grad_norm_actor",   "train/grad_norm_critic", "train/q_mean"};
  const auto rows = read_rows(run_dir / "metrics.jsonl");
  ASSERT_EQ(rows.size(), 10u);
  for (size_t i = 0; i < rows.size(); ++i) {
    EXPECT_EQ(keys_of(rows[i]), names);
    const int64_t steps = 400 * static_cast<int64_t>(i + 1);
    EXPECT_EQ(rows[i]["time/total_timesteps"], steps);
    EXPECT_EQ(rows[i]["time/updates"], (steps - 400) / 2);
    EXPECT_EQ(rows[i]["train/critic_loss"].is_null(), i == 0) << "the warm-up has no updates";
    // Eight environments in step: episodes of 200 end at 1,600 and 3,200 steps.
    EXPECT_EQ(rows[i]["rollout/ep_len_mean"],
              steps % 1600 == 0 ? nlohmann::json(200.0) : nlohmann::json());
    EXPECT_GT(rows[i]["time/fps"], 0.0);
  }
  const auto evaluations = read_rows(run_dir / "eval.jsonl");
  ASSERT_EQ(evaluations.size(), 5u);  // at 800, 1600, 2400, 3200 and the last
  for (const auto& row : evaluations) {
    EXPECT_EQ(keys_of(row), (Names{"eval/episodes", "eval/mean_ep_length", "eval/mean_reward",
                                   "eval/std_reward", "time/total_timesteps"}));
  }
  EXPECT_EQ(evaluations.back()["eval/episodes"], 32);

  const nlohmann::json result = read_json(run_dir / "result.json");
  EXPECT_EQ(result["eval/mean_reward"], evaluations.back()["eval/mean_reward"]);
  EXPECT_EQ(result["eval/std_reward"], evaluations.back()["eval/std_reward"]);
  EXPECT_EQ(result["time/total_timesteps"], 4000);
  EXPECT_EQ(result["time/updates"], 1800);
  EXPECT_GT(result["time/evaluation"], 0.0);
  EXPECT_GT(result["time/time_elapsed"], result["time/evaluation"]);
  EXPECT_EQ(result["stopped_by"], "total_timesteps");
}

TEST_F(CliRunTest, TheConfigInTheDirectoryRepeatsTheRun) {
  const fs::path run_dir = train({"ddpg.gamma=0.5", "env.gravity=9.81"});
  fs::copy_file(run_dir / "config.json", path("again.json"));
  const Output o = run({"train", "again.json", "--run-dir", "again"});
  ASSERT_EQ(o.code, 0) << o.err;
  expect_equal_runs(run_dir, latest("again"));
  EXPECT_EQ(read_json(run_dir / "config.json")["ddpg"]["gamma"], 0.5);
}

TEST_F(CliRunTest, NamesThatAreTakenGetANumber) {
  std::set<fs::path> runs;
  for (int i = 0; i < 4; ++i) runs.insert(train({"total_timesteps=800", "eval.interval=0"}));
  EXPECT_EQ(runs.size(), 4u);
}

TEST_F(CliRunTest, BestIsTheBestEvaluation) {
  const fs::path run_dir = train({"total_timesteps=12000"});
  double best = -1e9;
  nlohmann::json best_row;
  for (const auto& row : read_rows(run_dir / "eval.jsonl")) {
    if (row["eval/mean_reward"] <= best) continue;
    best = row["eval/mean_reward"];
    best_row = row;
  }
  const int64_t episodes = best_row["eval/episodes"];
  const Output o = run({"eval", "latest@best", "--json", "--episodes", std::to_string(episodes)});
  ASSERT_EQ(o.code, 0) << o.err;
  const auto evaluated = nlohmann::json::parse(o.out);
  EXPECT_EQ(evaluated["eval/mean_reward"], best);
  EXPECT_EQ(evaluated["time/total_timesteps"], best_row["time/total_timesteps"]);
}

TEST_F(CliRunTest, StopsEarlyWhereToldTo) {
  const fs::path good = train({"stop.eval_return=-1e6", "total_timesteps=100000"});
  EXPECT_EQ(read_json(good / "result.json")["stopped_by"], "stop.eval_return");
  EXPECT_EQ(read_json(good / "result.json")["time/total_timesteps"], 800);
  // One episode is not enough: all of the final evaluation must reach it as well.
  const fs::path sure = train(
      {"stop.eval_return=-1000", "eval.interval=80", "eval.episodes=1", "total_timesteps=20000"});
  const nlohmann::json result = read_json(sure / "result.json");
  EXPECT_EQ(result["stopped_by"], "stop.eval_return");
  EXPECT_GE(result["eval/mean_reward"].get<double>(), -1000.0);
  int refuted = 0;
  int64_t reached = -1;  // the step of the last evaluation of one episode that reached it
  for (const auto& row : read_rows(sure / "eval.jsonl")) {
    const int64_t step = row["time/total_timesteps"];
    const bool enough = row["eval/mean_reward"].get<double>() >= -1000.0;
    if (row["eval/episodes"] == 1) {
      if (enough) reached = step;
    } else {
      EXPECT_EQ(step, reached) << "only where one episode reached it";
      refuted += enough ? 0 : 1;
    }
  }
  EXPECT_GT(refuted, 0);
  const fs::path late = train({"stop.seconds=0.2", "total_timesteps=1000000000"});
  EXPECT_EQ(read_json(late / "result.json")["stopped_by"], "stop.seconds");
}

TEST_F(CliRunTest, NarrationIsOnStderrAndQuietHasNone) {
  const Output o = run({"train", "tiny.json", "eval.interval=801"});
  EXPECT_EQ(o.code, 0);
  EXPECT_TRUE(contains(o.err, {"note: eval.interval: 801 is rounded up to 808",
                               "training tiny on "
                               "cpu",
                               ", run runs/tiny/", "100%  4,000/4,000"}));
  EXPECT_TRUE(std::regex_match(
      o.out, std::regex("eval/mean_reward -\\d+\\.\\d\\d \\+- \\d+\\.\\d\\d over 32 episodes, "
                        "4000 steps in \\d+\\.\\d\\d s\nruns/tiny/[^\n]+\n")))
      << o.out;
  // Nothing is said twice.
  std::set<std::string> lines;
  std::istringstream text(o.err);
  for (std::string line; std::getline(text, line);) EXPECT_TRUE(lines.insert(line).second) << line;

  const Output quiet = run({"train", "tiny.json", "eval.interval=801", "--quiet", "--json"});
  EXPECT_EQ(quiet.err, "");
  const auto result = nlohmann::json::parse(quiet.out);
  EXPECT_TRUE(result.contains("run") && result.contains("eval/mean_reward"));
}

TEST_F(CliRunTest, ATerminalHasOneLineRewritten) {
  Child child{{"train", "tiny.json", "total_timesteps=40000"}};
  child.err_is_terminal = true;
  child.environment = {{"TERM", "xterm"}, {"NO_COLOR", ""}};
  const Output colour = run(child);
  EXPECT_EQ(colour.code, 0);
  EXPECT_TRUE(contains(colour.err, {"\r", "\x1b[1m100%\x1b[0m", "40,000/40,000"}));
  const std::string display = colour.err.substr(colour.err.find(", run "));
  EXPECT_EQ(std::count(display.begin(), display.end(), '\n'), 2) << display;  // the run's, its own
  child.environment = {{"TERM", "xterm"}, {"NO_COLOR", "1"}};
  const Output plain = run(child);
  EXPECT_TRUE(contains(plain.err, {"\r", "100%  40,000/40,000"}));
  EXPECT_EQ(plain.err.find('\x1b'), std::string::npos);
}

}  // namespace
}  // namespace pendula
