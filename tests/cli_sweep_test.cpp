// `pendula sweep`: what it trains, ranks and writes, what it refuses, and how it goes on.
#include <cmath>
#include <limits>

#include "host/sweep_results.h"
#include "tests/cli_testing.h"
#include "tests/contains.h"

namespace pendula {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

TEST(SweepResults, TheAreaIsTheMeanOverTheSteps) {
  const std::vector<EvaluationPoint> points = {{100, {-4, 1}}, {300, {-2, kNan}}, {700, {0, 5}}};
  EXPECT_EQ(area_under_curve(points, 0), (200 * -3.0 + 400 * -1.0) / 600);
  EXPECT_TRUE(std::isnan(area_under_curve(points, 1)));
  EXPECT_EQ(area_under_curve({{100, {-4}}}, 0), -4);
}

TEST(SweepResults, TheUnknownAndTheDivergedRankLast) {
  const std::vector<SweptAgent> agents = {
      {-5, 1, false}, {kNan, kNan, false}, {-1, 2, true}, {-3, 3, false}, {-5, 9, false}};
  EXPECT_EQ(ranking(agents, &SweptAgent::final_return), (std::vector<int64_t>{3, 0, 4, 1, 2}));
  EXPECT_EQ(ranking(agents, &SweptAgent::area), (std::vector<int64_t>{4, 3, 0, 1, 2}));
  const std::vector<SweptAgent> none = {{kNan, 1, false}, {-1, 1, true}};
  EXPECT_EQ((SweepResults{{}, none, ranking(none, &SweptAgent::final_return), {}}).best(), -1);
  EXPECT_EQ((SweepResults{{}, agents, ranking(agents, &SweptAgent::final_return), {}}).best(), 3);
}

class CliSweepTest : public CliTest {
 protected:
  const std::vector<std::string> kSweep = {"sweep",
                                           "tiny.json",
                                           "agents=5",
                                           "total_timesteps=2000",
                                           "ddpg.batch_size=[32,8,100,64,33]",
                                           R"(optimizer.actor_lr={"log_uniform": [1e-4, 1e-2]})",
                                           R"(noise.sigma={"uniform": [0.1, 0.5]})"};

  std::vector<std::string> with(std::vector<std::string> more) const {
    std::vector<std::string> all = kSweep;
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }
};

TEST_F(CliSweepTest, RanksTheAgentsAndWritesTheConfigOfTheBest) {
  const Output o = run(with({"--top", "3"}));
  ASSERT_EQ(o.code, 0) << o.err;
  const fs::path run_dir = latest();
  const json sweep = read_json(run_dir / "sweep.json");
  const json result = read_json(run_dir / "result.json");
  EXPECT_EQ(sweep["keys"], (json{"ddpg.batch_size", "optimizer.actor_lr", "noise.sigma"}));
  ASSERT_EQ(sweep["agents"].size(), 5u);
  double highest = -1e9;
  for (size_t k = 0; k < 5; ++k) {
    const json& agent = sweep["agents"][k];
    EXPECT_EQ(agent["agent"], k);
    EXPECT_EQ(agent["seed"], 1 + k);
    EXPECT_EQ(agent["diverged"], false);
    EXPECT_EQ(agent["values"]["ddpg.batch_size"], (json{32, 8, 100, 64, 33})[k]);
    EXPECT_EQ(agent["eval/mean_reward"], result["agents"][k]["eval/mean_reward"]);
    const double area = agent["area_under_curve"];  // between the curve's ends, somewhere
    EXPECT_TRUE(area < 0 && area > -2000) << area;
    highest = std::max(highest, agent["eval/mean_reward"].get<double>());
  }
  const size_t best = sweep["best"];
  EXPECT_EQ(sweep["agents"][best]["eval/mean_reward"], highest);
  EXPECT_TRUE(contains(o.out, {"best 3 of 5 agents by final return", "by area under the curve",
                               "optimizer.actor_lr", "best.json\n", run_dir.filename().string()}));
  EXPECT_EQ(o.out.find("rank last"), std::string::npos);

  // The config of the best trains to what the best reached.
  const json config = read_json(run_dir / "best.json");
  EXPECT_EQ(config["name"], "tiny-best");
  EXPECT_EQ(config["agents"], 1);
  EXPECT_EQ(config["seed"], 1 + best);
  EXPECT_EQ(config["optimizer"]["actor_lr"], sweep["agents"][best]["values"]["optimizer.actor_lr"]);
  const Output alone = run({"train", (run_dir / "best.json").string(), "--json", "--quiet"});
  ASSERT_EQ(alone.code, 0) << alone.err;
  EXPECT_EQ(json::parse(alone.out)["eval/mean_reward"], highest);
}

TEST_F(CliSweepTest, GoesOnWhereItWasStopped) {
  ASSERT_EQ(run(with({"--run-dir", "whole", "--quiet"})).code, 0);
  Child child{with({"total_timesteps=200000", "--run-dir", "cut"})};
  child.signals = {{0.3, 2}};
  const Output stopped = run(child);
  ASSERT_EQ(stopped.code, 130) << stopped.err;
  EXPECT_TRUE(contains(stopped.err, {"pendula sweep --resume cut/"}));
  EXPECT_FALSE(fs::exists(latest("cut") / "sweep.json"));

  // A run that ended before all of its steps goes on; one that is done is ranked again.
  const json shorter = read_json(latest("whole") / "sweep.json");
  ASSERT_EQ(run(with({"total_timesteps=1200", "--run-dir", "parts", "--quiet"})).code, 0);
  const Output resumed = run({"sweep", "--resume", "latest", "total_timesteps=2000", "--run-dir",
                              "parts", "--quiet", "--json"});
  ASSERT_EQ(resumed.code, 0) << resumed.err;
  json printed = json::parse(resumed.out);
  EXPECT_EQ(path(printed["run"]), latest("parts"));
  printed.erase("run");
  EXPECT_EQ(printed, read_json(latest("parts") / "sweep.json"));
  for (size_t k = 0; k < 5; ++k) {  // one evaluation more, that of the shorter run's end
    EXPECT_EQ(printed["agents"][k]["eval/mean_reward"], shorter["agents"][k]["eval/mean_reward"]);
    EXPECT_EQ(printed["agents"][k]["values"], shorter["agents"][k]["values"]);
  }
  fs::remove(latest("parts") / "sweep.json");
  const Output again = run({"sweep", "--resume", "latest", "--run-dir", "parts", "--quiet"});
  EXPECT_EQ(again.code, 0) << again.err;
  EXPECT_EQ(read_json(latest("parts") / "sweep.json"), printed);
}

// A step size of 10 in nine layers: the critic's gradient is beyond single precision at once. What
// such an agent is left with may well look better than the others.
TEST_F(CliSweepTest, AgentsThatDivergeAreNamedAndRankLast) {
  const Output o = run({"sweep", "tiny.json", "agents=4", "total_timesteps=2000", "--quiet",
                        "critic.hidden=[16,16,16,16,16,16,16,16]", "ddpg.tau=1",
                        "optimizer.critic_lr=[1e-3,10,1e-3,10]"});
  ASSERT_EQ(o.code, 0) << o.err;
  EXPECT_TRUE(contains(o.err, {"agent 1 diverged and was frozen", "agent 3 diverged"}));
  EXPECT_TRUE(contains(o.out, {"2 of 4 agents diverged and rank last: 1, 3\n"}));
  const json sweep = read_json(latest() / "sweep.json");
  for (size_t k = 0; k < 4; ++k) EXPECT_EQ(sweep["agents"][k]["diverged"], k % 2 == 1) << k;
  EXPECT_TRUE(sweep["best"] == 0 || sweep["best"] == 2) << sweep["best"];
}

TEST_F(CliSweepTest, RefusesWhatIsNoSweep) {
  const Output seeds = run({"sweep", "tiny.json", "--agents", "3", "seed=[4,5,6]"});
  EXPECT_EQ(seeds.code, 2);
  EXPECT_TRUE(contains(seeds.err, {"nothing but the seed differs", "train CONFIG --seeds N"}));
  const Output one = run({"sweep", "tiny.json", R"(ddpg.tau={"uniform": [0.1, 0.2]})"});
  EXPECT_EQ(one.code, 2);
  EXPECT_TRUE(contains(one.err, {"a sweep of one agent", "--agents N"}));
  const Output none = run({"sweep"});
  EXPECT_EQ(none.code, 2);
  EXPECT_TRUE(contains(none.err, {"sweep needs a CONFIG"}));
  EXPECT_FALSE(fs::exists(path("runs")));
  // A run goes on with the values that it has.
  ASSERT_EQ(run(with({"total_timesteps=1000", "--quiet"})).code, 0);
  const Output other =
      run({"sweep", "--resume", "latest", R"(noise.sigma={"uniform": [0.1, 0.6]})"});
  EXPECT_EQ(other.code, 2);
  EXPECT_TRUE(contains(other.err, {"noise.sigma: {\"uniform\":[0.1,0.5]} -> "}));
  EXPECT_EQ(run({"sweep", "--resume", "latest", "--agents", "6"}).code, 2);
}

}  // namespace
}  // namespace pendula
