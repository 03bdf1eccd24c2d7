// What a run of several agents writes down over the agents, and how it goes on when some diverge.
#include <signal.h>

#include <algorithm>
#include <cmath>

#include "host/checkpoint.h"
#include "host/config_io.h"
#include "host/play.h"
#include "host/statistics_of_agents.h"
#include "tests/cli_testing.h"
#include "tests/contains.h"

namespace pendula {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

class CliPopulationTest : public CliTest {
 protected:
  // Agents of the newest checkpoint of the run whose critic becomes NaN.
  void poison(const fs::path& run_dir, const std::vector<uint64_t>& agents) const {
    const auto backend = make_cpu_backend(load_config((run_dir / "config.json").string(), {}), 1);
    const fs::path checkpoint = newest_checkpoint(run_dir);
    const LoadedCheckpoint loaded = load_checkpoint(checkpoint, backend->tensors(), *backend);
    for (const TensorSpec& t : backend->tensors().tensors) {
      if (t.name != "agents.critic.layers.0.weight") continue;
      const float nan = std::nanf("");
      for (const uint64_t k : agents) {
        backend->write(k * backend->tensors().agent_bytes + t.offset, sizeof nan, &nan);
      }
    }
    save_checkpoint(checkpoint, backend->tensors(), *backend, true, loaded.info);
  }
};

size_t times(const std::string& text, const std::string& piece) {
  size_t n = 0;
  for (size_t at = text.find(piece); at != std::string::npos; at = text.find(piece, at + 1)) ++n;
  return n;
}

std::vector<json> of_kind(const std::vector<json>& records, const std::string& kind, int64_t step) {
  std::vector<json> some;
  for (const json& r : records) {
    if (r["kind"] == kind && r["time/total_timesteps"] == step) some.push_back(r);
  }
  return some;
}

std::vector<double> values_of(const std::vector<json>& records, const char* key) {
  std::vector<double> values;
  for (const json& r : records) {
    if (r["diverged"] == 0 && r.at(key).is_number()) values.push_back(r.at(key));
  }
  return values;
}

double mean_of(const std::vector<double>& values) {
  double sum = 0;
  for (const double v : values) sum += v;
  return sum / static_cast<double>(values.size());
}

// A row of eval.jsonl beside the agents' records of that evaluation.
void expect_summary(const json& row, const std::vector<json>& records) {
  const std::vector<double> means = values_of(records, "eval/mean_reward");
  ASSERT_FALSE(means.empty());
  EXPECT_DOUBLE_EQ(row["eval/mean_reward"], mean_of(means));
  EXPECT_EQ(row["eval/agents"], records.size());
  EXPECT_EQ(row["eval/agents_diverged"], records.size() - means.size());
  double variance = 0;
  const std::vector<double> deviations = values_of(records, "eval/std_reward");
  for (size_t i = 0; i < means.size(); ++i) {
    variance += std::pow(deviations[i], 2) + std::pow(means[i] - mean_of(means), 2);
  }
  const double n = static_cast<double>(means.size());
  EXPECT_DOUBLE_EQ(row["eval/std_reward"], std::sqrt(variance / n));
  const AgentStatistics s = statistics_of_agents(means);
  EXPECT_EQ(row["eval/iqm"], s.iqm);
  EXPECT_EQ(row["eval/iqm_ci_low"], s.iqm_ci_low);
  EXPECT_EQ(row["eval/iqm_ci_high"], s.iqm_ci_high);
  EXPECT_EQ(row["eval/quantiles"]["min"], *std::min_element(means.begin(), means.end()));
  EXPECT_EQ(row["eval/quantiles"]["50"], s.quantiles[3]);
  EXPECT_EQ(row["eval/quantiles"]["max"], *std::max_element(means.begin(), means.end()));
  EXPECT_EQ(row["eval/quantiles"].size(), 7u);
}

TEST_F(CliPopulationTest, ARowOverTheAgentsAndARecordOfEach) {
  const fs::path run_dir = train({"--seeds", "5"});
  const auto records = read_records(run_dir / "agents.npy");
  const auto evaluations = read_rows(run_dir / "eval.jsonl");
  const auto metrics = read_rows(run_dir / "metrics.jsonl");
  ASSERT_EQ(evaluations.size(), 5u);
  ASSERT_EQ(metrics.size(), 10u);
  EXPECT_EQ(records.size(), 5u * 15);
  for (const json& row : evaluations) {
    const auto mine = of_kind(records, "eval", row["time/total_timesteps"]);
    ASSERT_EQ(mine.size(), 5u);
    for (size_t k = 0; k < 5; ++k) EXPECT_EQ(mine[k]["agent"], k);
    expect_summary(row, mine);
  }
  for (const json& row : metrics) {
    const auto mine = of_kind(records, "report", row["time/total_timesteps"]);
    ASSERT_EQ(mine.size(), 5u);
    EXPECT_EQ(row["train/agents"], 5);
    EXPECT_EQ(row["train/agents_diverged"], 0);
    EXPECT_EQ(row["time/updates"], mine[0]["time/updates"]);
    for (const char* key : {"rollout/ep_rew_mean", "train/critic_loss", "train/grad_norm_actor"}) {
      const std::vector<double> values = values_of(mine, key);
      if (values.empty()) {
        EXPECT_TRUE(row[key].is_null()) << key;
      } else {
        EXPECT_DOUBLE_EQ(row[key], mean_of(values)) << key;
      }
    }
  }
  const json result = read_json(run_dir / "result.json");
  for (const char* key : {"eval/mean_reward", "eval/iqm", "eval/quantiles", "eval/agents"}) {
    EXPECT_EQ(result[key], evaluations.back()[key]) << key;
  }
  EXPECT_EQ(result["agents"].size(), 5u);
}

TEST_F(CliPopulationTest, AResumeTakesBackTheRecordsToo) {
  const fs::path whole = train({"--seeds", "3"});
  const fs::path again = train({"--seeds", "3", "--run-dir", "again"});
  const Output o = run({"train", "--resume", again.string() + "@3600"});
  ASSERT_EQ(o.code, 0) << o.err;
  expect_equal_runs(whole, again);
}

TEST_F(CliPopulationTest, AKilledRunLosesNoRecord) {
  const std::vector<std::string> args = {"--seeds", "3", "total_timesteps=12000"};
  const fs::path whole = train(args);
  Child child{{"train", "tiny.json", "--run-dir", "killed"}};
  child.args.insert(child.args.end(), args.begin(), args.end());
  child.await = "3,200/12,000";
  child.signals = {{0.0, SIGKILL}};
  ASSERT_EQ(run(child).code, 128 + SIGKILL);
  const fs::path killed = latest("killed");
  const Output o = run({"train", "--resume", killed.string()});
  ASSERT_EQ(o.code, 0) << o.err;
  expect_equal_runs(whole, killed);
}

TEST_F(CliPopulationTest, OneThatDivergesIsFrozenAndLeftOut) {
  const fs::path run_dir = train({"--seeds", "3"});
  poison(run_dir, {1});
  const Output o = run({"train", "--resume", "latest", "total_timesteps=8000"});
  ASSERT_EQ(o.code, 0) << o.err;
  EXPECT_EQ(times(o.err, "agent 1 diverged and was frozen: a NaN or an Inf"), 1u) << o.err;
  EXPECT_TRUE(contains(o.err, {"at iteration 500 (step 4000)", "1 of 3 agents diverged"}));
  EXPECT_EQ(o.err.find("agent 0 "), std::string::npos) << o.err;

  const auto records = read_records(run_dir / "agents.npy");
  for (const json& row : read_rows(run_dir / "eval.jsonl")) {
    const int64_t step = row["time/total_timesteps"];
    const auto mine = of_kind(records, "eval", step);
    ASSERT_EQ(mine.size(), 3u);
    for (size_t k = 0; k < 3; ++k) {
      EXPECT_EQ(mine[k]["diverged"], k == 1 && step > 4000 ? 1 : 0) << step;
    }
    EXPECT_EQ(row["eval/agents_diverged"], step > 4000 ? 1 : 0);
    expect_summary(row, mine);
  }
  for (const json& row : read_rows(run_dir / "metrics.jsonl")) {
    const int64_t step = row["time/total_timesteps"];
    EXPECT_EQ(row["train/agents_diverged"], step > 4000 ? 1 : 0) << step;
    EXPECT_EQ(row["train/critic_loss"].is_number(), step > 400) << step;
    EXPECT_EQ(row["time/updates"], (step - 400) / 2) << "those of the agents that go on";
  }
  const json result = read_json(run_dir / "result.json");
  EXPECT_EQ(result["eval/agents_diverged"], 1);
  EXPECT_EQ(result["agents"][1]["diverged"], true);
  EXPECT_FALSE(result["agents"][0].contains("diverged"));

  const Output evaluated = run({"eval", "latest", "--json"});
  const auto again = json::parse(evaluated.out);
  for (const char* key : {"eval/mean_reward", "eval/iqm_ci_low", "eval/agents_diverged"}) {
    EXPECT_EQ(again[key], result[key]) << key;
  }
  EXPECT_EQ(again["agents"], result["agents"]);
  EXPECT_TRUE(contains(run({"eval", "latest"}).out,
                       {"3 agents, 1 of them diverged and left out: eval/mean_reward -",
                        "eval/iqm -", "agent 1 (diverged): "}));

  const Output longer = run({"train", "--resume", "latest", "total_timesteps=8800"});
  ASSERT_EQ(longer.code, 0) << longer.err;
  EXPECT_EQ(times(longer.err, "diverged and was frozen"), 0u) << "it was said: " << longer.err;
  EXPECT_EQ(read_json(run_dir / "result.json")["eval/agents_diverged"], 1);
}

TEST_F(CliPopulationTest, TheOthersStillReachTheReturnThatStops) {
  const fs::path run_dir = train({"--seeds", "3", "total_timesteps=4400"});  // between evaluations
  poison(run_dir, {0, 2});
  const Output o =
      run({"train", "--resume", "latest", "total_timesteps=80000", "stop.eval_return=-1e6"});
  ASSERT_EQ(o.code, 0) << o.err;
  const json result = read_json(run_dir / "result.json");
  EXPECT_EQ(result["stopped_by"], "stop.eval_return");
  EXPECT_EQ(result["eval/agents_diverged"], 2);
  EXPECT_EQ(result["eval/mean_reward"], result["agents"][1]["eval/mean_reward"]);
  EXPECT_LT(result["time/total_timesteps"], 8000);
}

TEST_F(CliPopulationTest, FiveOnlyWhenAllHaveDiverged) {
  const fs::path run_dir = train({"--seeds", "12"});
  std::vector<uint64_t> all(12);
  for (size_t k = 0; k < all.size(); ++k) all[k] = k;
  poison(run_dir, all);
  const Output o = run({"train", "--resume", "latest", "total_timesteps=8000"});
  EXPECT_EQ(o.code, 5) << o.err;
  EXPECT_EQ(times(o.err, "diverged and was frozen"), 10u) << "not a line for each of thousands";
  EXPECT_TRUE(contains(o.err, {"2 more agents diverged; agents.npy says which",
                               "12 of 12 agents diverged", "the run diverged"}));
  EXPECT_FALSE(fs::exists(run_dir / "result.json"));
}

}  // namespace
}  // namespace pendula
