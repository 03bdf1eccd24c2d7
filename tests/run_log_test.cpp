// What a population's rows say where agents have diverged, by hand.
#include "host/run_log.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <cstdlib>
#include <ctime>
#include <fstream>

namespace pendula {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using nlohmann::ordered_json;

ordered_json evaluated(size_t agent, double mean, double std) {
  return {{"agent", agent},         {"time/total_timesteps", 800},  {"eval/mean_reward", mean},
          {"eval/std_reward", std}, {"eval/mean_ep_length", 100.0}, {"eval/episodes", 4}};
}

TEST(Summarise, FrozenAgentsAreLeftOutWhateverTheyReached) {
  const std::vector<ordered_json> rows = {evaluated(0, -1, 3), evaluated(1, -100, 1),
                                          evaluated(2, -5, 4)};
  const EvaluationSummary s = summarise(rows, {false, true, false});
  EXPECT_EQ(s.mean, -3);
  EXPECT_DOUBLE_EQ(s.std, std::sqrt((9.0 + 16.0 + 4.0 + 4.0) / 2));
  EXPECT_EQ(s.agents, 3u);
  EXPECT_EQ(s.diverged, 1u);
  EXPECT_EQ(s.across.quantiles.front(), -5);
  const EvaluationSummary none = summarise(rows, {true, true, true});
  EXPECT_TRUE(std::isnan(none.mean) && std::isnan(none.across.iqm));
  EXPECT_TRUE(evaluation_row(none)["eval/mean_reward"].is_null());
  EXPECT_EQ(evaluation_row(none)["eval/agents_diverged"], 3);
  EXPECT_THROW(summarise(rows, {true}), std::logic_error);
}

TEST(Summarise, AMeanThatIsNotFiniteCountsAsDiverged) {
  std::vector<ordered_json> rows = {evaluated(0, -1, 3), evaluated(1, 0, 0)};
  rows[1]["eval/mean_reward"] = nullptr;
  const EvaluationSummary s = summarise(rows, {false, false});
  EXPECT_EQ(s.mean, -1);
  EXPECT_EQ(s.diverged, 1u);
}

// Reports of one launch, in the middle of which an agent diverged: in iteration 50, which ends as
// the 51st completed.
TEST(RunLog, AnAgentIsLeftOutFromTheReportAfterItDiverged) {
  std::string name = (fs::temp_directory_path() / "pendula_log_XXXXXX").string();
  ASSERT_NE(::mkdtemp(name.data()), nullptr);
  Config config;
  config.agents = 2;
  config.population.pbt.interval = 800;
  {
    const RunDirectory run = RunDirectory::create(name, "log", 1, std::time(nullptr));
    RunLog log(run, config);
    std::vector<ReportRow> rows;
    for (const uint64_t iteration : {50, 51}) {
      for (uint64_t k = 0; k < 2; ++k) {
        ReportRow row{};
        row.agent = k;
        row.iteration = iteration;
        row.timesteps = 8 * iteration;
        row.row_episodes = 1;
        row.episode_return_sum = k == 0 ? -10 : -30;
        rows.push_back(row);
      }
    }
    std::vector<AgentCounters> counters(2);
    counters[1].fault = 1;
    counters[1].fault_iteration = 50;
    EXPECT_EQ(log.write_reports(rows, counters, {1.0, 0, 0}), -10.0);
    std::vector<json> written;
    std::ifstream in(run.metrics());
    for (std::string line; std::getline(in, line);) written.push_back(json::parse(line));
    ASSERT_EQ(written.size(), 2u);
    EXPECT_EQ(written[0]["rollout/ep_rew_mean"], -20);
    EXPECT_EQ(written[0]["train/agents_diverged"], 0);
    EXPECT_EQ(written[1]["rollout/ep_rew_mean"], -10);
    EXPECT_EQ(written[1]["train/agents_diverged"], 1);
    EXPECT_EQ(written[1]["train/agents"], 2);
    EXPECT_TRUE(fs::exists(run.agents()) && fs::exists(run.exploits()));
  }
  fs::remove_all(name);
}

}  // namespace
}  // namespace pendula
