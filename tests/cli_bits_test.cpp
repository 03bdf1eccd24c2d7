// Equal config, equal bits: for every number of threads, and for an agent alone or among others.
#include "tests/cli_testing.h"

namespace pendula {
namespace {

namespace fs = std::filesystem;

using CliBitsTest = CliTest;

// Several tiles of environments and of the batch, so that threads have something to share.
const std::vector<std::string> kShared = {"env.num_envs=200",           "ddpg.batch_size=300",
                                          "ddpg.updates_per_step=0.05", "replay.capacity=2000",
                                          "optimizer.max_grad_norm=1",  "rollout.policy_lag=1",
                                          "noise.epsilon=0.1",          "total_timesteps=8000"};

TEST_F(CliBitsTest, ThreadsChangeNothing) {
  std::vector<fs::path> runs;
  for (const char* threads : {"1", "2", "3", "8"}) {
    std::vector<std::string> args = kShared;
    args.insert(args.end(), {"--threads", threads});
    runs.push_back(train(args));
    expect_equal_runs(runs.front(), runs.back());
  }
  std::vector<std::string> other = kShared;
  other.push_back("seed=2");
  EXPECT_NE(slurp(newest_checkpoint(train(other)) / "state.safetensors"),
            slurp(newest_checkpoint(runs.front()) / "state.safetensors"));
}

TEST_F(CliBitsTest, AnAgentAmongOthersIsThatAgentAlone) {
  const fs::path together = train({"--seeds", "3", "seed=5"});
  const auto records = read_records(together / "agents.npy");
  const auto result = read_json(together / "result.json");
  double mean = 0;
  for (size_t k = 0; k < 3; ++k) {
    const fs::path alone = train({"seed=" + std::to_string(5 + k)});
    for (const char* file : {"state.safetensors", "replay.safetensors"}) {
      const auto all = read_tensors(newest_checkpoint(together) / file);
      const auto one = read_tensors(newest_checkpoint(alone) / file);
      ASSERT_EQ(all.size(), one.size());
      EXPECT_GE(all.size(), file[0] == 's' ? 40u : 2u);
      for (const auto& [name, bytes] : one) {
        EXPECT_EQ(all.at(name).substr(k * bytes.size(), bytes.size()), bytes) << name;
        EXPECT_EQ(all.at(name).size(), 3 * bytes.size()) << name;
      }
    }
    // What the agent's records say of each key of the rows that it writes alone.
    const auto expect_rows = [&](const char* kind, const std::vector<nlohmann::json>& rows) {
      size_t n = 0;
      for (const nlohmann::json& record : records) {
        if (record["agent"] != k || record["kind"] != kind) continue;
        ASSERT_LT(n, rows.size());
        for (const auto& [key, value] : rows[n].items()) EXPECT_EQ(record.at(key), value) << key;
        ++n;
      }
      EXPECT_EQ(n, rows.size());
    };
    expect_rows("report", timeless(read_rows(alone / "metrics.jsonl")));
    expect_rows("eval", read_rows(alone / "eval.jsonl"));
    EXPECT_FALSE(fs::exists(alone / "agents.npy"));
    const double alone_mean = read_json(alone / "result.json")["eval/mean_reward"];
    EXPECT_EQ(result["agents"][k]["eval/mean_reward"], alone_mean);
    mean += alone_mean / 3;
  }
  EXPECT_DOUBLE_EQ(result["eval/mean_reward"], mean);
  // Which member is the best is not asked: best/ is the population at its best mean.
  EXPECT_TRUE(fs::exists(together / "best" / "manifest.json"));
}

}  // namespace
}  // namespace pendula
