// Ctrl-C, kill and kill -9 at any moment: what is saved, and that going on gives the bits of a run
// that nobody stopped.
#include <signal.h>

#include <future>
#include <random>
#include <thread>

#include "tests/cli_testing.h"
#include "tests/contains.h"

namespace pendula {
namespace {

namespace fs = std::filesystem;
using std::chrono_literals::operator""ms;

const char* const kEndless = "total_timesteps=1000000000";

class CliSignalsTest : public CliTest {
 protected:
  Output interrupt(std::vector<std::string> args, std::vector<std::pair<double, int>> signals,
                   const std::string& await = ", run ") const {
    Child child{std::move(args)};
    child.signals = std::move(signals);
    child.await = await;
    return run(child);
  }
};

TEST_F(CliSignalsTest, SavesSaysHowToGoOnAndLeaves) {
  for (const auto& [number, code] : {std::pair(SIGINT, 130), std::pair(SIGTERM, 143)}) {
    const Output o = interrupt({"train", "tiny.json", kEndless}, {{0.2, number}});
    EXPECT_EQ(o.code, code) << o.err;
    EXPECT_LT(o.after_signal, 5.0);
    EXPECT_EQ(o.out, "");
    EXPECT_TRUE(contains(o.err, {"stopped and saved at step ",
                                 "Go on with:\n  pendula train "
                                 "--resume runs/tiny/"}));
    EXPECT_FALSE(fs::exists(latest() / "result.json"));
    const auto manifest = slurp(newest_checkpoint(latest()) / "manifest.json");
    EXPECT_TRUE(contains(manifest, {"time/total_timesteps"}));
  }
}

TEST_F(CliSignalsTest, QuietIsQuiet) {
  Child child{{"train", "tiny.json", kEndless, "--quiet"}};
  child.signals = {{0.5, SIGINT}};
  child.await = "";
  const Output o = run(child);
  EXPECT_EQ(o.code, 130);
  EXPECT_EQ(o.err, "");
}

// The process is stopped while they are sent, so that it finds both when it goes on; which of them
// it takes for the first is the system's business.
TEST_F(CliSignalsTest, TheSecondLeavesAtOnce) {
  const Output o = interrupt({"train", "tiny.json", kEndless, "eval.episodes=4000000",
                              "env.max_episode_steps=10000", "report.interval=8"},
                             {{0.5, SIGSTOP}, {0.0, SIGINT}, {0.0, SIGTERM}, {0.0, SIGCONT}});
  EXPECT_TRUE(o.code == 130 || o.code == 143) << o.code;
  EXPECT_EQ(o.signals, 4u);
  EXPECT_EQ(o.err.find("stopped and saved"), std::string::npos) << o.err;
  EXPECT_LT(o.after_signal, 5.0);
}

// Slower than the tiny run, so that signals meet all of its moments.
const std::vector<std::string> kSlower = {"total_timesteps=16000", "ddpg.updates_per_step=1",
                                          "actor.hidden=[32,32]", "critic.hidden=[32,32]"};

// Iterations of 64 slices, in which stops fall nearly always.
const std::vector<std::string> kLongIterations = {
    "total_timesteps=5120", "rollout.length=64",   "ddpg.updates_per_step=8",
    "eval.interval=1024",   "report.interval=512", "checkpoint.interval=1536"};

TEST_F(CliSignalsTest, StoppedAndResumedManyTimesEqualsUninterrupted) {
  for (const auto& overrides : {kSlower, kLongIterations}) {
    const fs::path whole = train(overrides);
    const std::string parent = "cut_" + overrides[0].substr(overrides[0].find('=') + 1);
    std::vector<std::string> args = {"train", "tiny.json", "--run-dir", parent};
    args.insert(args.end(), overrides.begin(), overrides.end());
    std::mt19937 random(7);
    int stops = 0;
    Output o = interrupt(args, {{0.02, SIGINT}});
    while (o.code == 130 && stops < 200) {
      ++stops;
      const double moment = std::uniform_real_distribution<double>(0.0, 0.15)(random);
      o = interrupt({"train", "--resume", "latest", "--run-dir", parent}, {{moment, SIGINT}});
    }
    ASSERT_EQ(o.code, 0) << o.err;
    EXPECT_GE(stops, 2);
    expect_equal_runs(whole, latest(parent));
    EXPECT_EQ(read_json(whole / "result.json")["eval/mean_reward"],
              read_json(latest(parent) / "result.json")["eval/mean_reward"]);
  }
}

TEST_F(CliSignalsTest, KilledAndResumedManyTimesEqualsUninterrupted) {
  const fs::path whole = train(kSlower);
  std::vector<std::string> args = {"train", "tiny.json", "--run-dir", "cut"};
  args.insert(args.end(), kSlower.begin(), kSlower.end());
  // Until there is a checkpoint; then at moments that often hit the saving itself.
  Output o = interrupt(args, {{0.01, SIGKILL}}, "1,600/16,000");
  ASSERT_EQ(o.code, 128 + SIGKILL) << o.err;
  std::mt19937 random(11);
  int kills = 1;
  while (o.code == 128 + SIGKILL && kills < 12) {
    const auto newest = newest_checkpoint(latest("cut")).filename();
    const double moment = std::uniform_real_distribution<double>(0.0, 0.2)(random);
    o = interrupt({"train", "--resume", "latest", "--run-dir", "cut"}, {{moment, SIGKILL}});
    EXPECT_GE(newest_checkpoint(latest("cut")).filename(), newest) << "a checkpoint was lost";
    ++kills;
  }
  if (o.code != 0) o = run({"train", "--resume", "latest", "--run-dir", "cut"});
  ASSERT_EQ(o.code, 0) << o.err;
  EXPECT_GE(kills, 2);
  expect_equal_runs(whole, latest("cut"));
  EXPECT_EQ(entries(whole / "checkpoints"), entries(latest("cut") / "checkpoints"));
  for (const std::string& name : entries(latest("cut"))) {
    EXPECT_TRUE(name[0] != '.' || name == ".lock") << name << " was left behind";
  }
}

TEST_F(CliSignalsTest, ARunInUseIsNotResumed) {
  auto ended = std::async(std::launch::async, [&] {
    return interrupt({"train", "tiny.json", kEndless}, {{1.5, SIGINT}}, "1,600/1,000");
  });
  while (entries(path("runs/latest/checkpoints")).size() < 2) std::this_thread::sleep_for(10ms);
  const Output second = run({"train", "--resume", "latest"});
  EXPECT_EQ(second.code, 6);
  EXPECT_TRUE(contains(second.err, {"in use by another process", "process "}));
  EXPECT_EQ(ended.get().code, 130);
}

}  // namespace
}  // namespace pendula
