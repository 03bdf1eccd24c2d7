// Runs that meet a NaN, a full disk or a directory that goes away under them.
#include <signal.h>
#include <sys/mount.h>

#include <future>
#include <thread>

#include "tests/cli_testing.h"
#include "tests/contains.h"

namespace pendula {
namespace {

namespace fs = std::filesystem;
using std::chrono_literals::operator""ms;

using CliFailuresTest = CliTest;

// Sixteen layers with the largest step: the product of their weights is beyond a float's range
// within a few updates.
const std::vector<std::string> kDiverging = {
    "critic.hidden=[16,16,16,16,16,16,16,16,16,16,16,16,16,16,16,16]", "optimizer.critic_lr=10",
    "ddpg.reward_scale=1000000", "optimizer.max_grad_norm=null"};

std::vector<std::string> diverging(std::vector<std::string> more) {
  std::vector<std::string> args = {"train", "tiny.json"};
  args.insert(args.end(), kDiverging.begin(), kDiverging.end());
  args.insert(args.end(), more.begin(), more.end());
  return args;
}

size_t times(const std::string& text, const std::string& piece) {
  size_t n = 0;
  for (size_t at = text.find(piece); at != std::string::npos; at = text.find(piece, at + 1)) ++n;
  return n;
}

TEST_F(CliFailuresTest, ADivergedRunIsFiveAndSaysWhere) {
  const Output o = run(diverging({"checkpoint.interval=200"}));
  EXPECT_EQ(o.code, 5) << o.err;
  EXPECT_EQ(o.out, "");
  EXPECT_TRUE(
      contains(o.err, {"agent 0 diverged and was frozen: a NaN or an Inf, first seen in the ",
                       "at iteration 50 (step 400), update ", "update ", "the run diverged",
                       "lower the learning rates",
                       "The last good checkpoint is "
                       "runs/tiny/",
                       "checkpoints/step_000000000400\n"}));
  EXPECT_FALSE(fs::exists(latest() / "result.json"));
  // The warm-up ends at step 400, so the good checkpoint is that of a run that does not diverge.
  const fs::path good = train({"total_timesteps=408", "checkpoint.interval=200", kDiverging[0]});
  EXPECT_EQ(read_tensors(latest("runs") / "checkpoints/step_000000000400/state.safetensors")
                .at("agents.actor.layers.0.weight"),
            read_tensors(good / "checkpoints/step_000000000400/state.safetensors")
                .at("agents.actor.layers.0.weight"));
}

TEST_F(CliFailuresTest, ADivergedRunWithoutACheckpointSaysSo) {
  const Output o = run(diverging({"checkpoint.interval=0", "eval.interval=0"}));
  EXPECT_EQ(o.code, 5) << o.err;
  EXPECT_TRUE(contains(o.err, {"This run has no checkpoint."}));
}

TEST_F(CliFailuresTest, AFullDiskIsSaidOnceAndIsSixAtTheEnd) {
  Child child{{"train", "tiny.json"}};
  child.file_limit = 8192;  // bytes: the metrics fit, no checkpoint does
  const Output o = run(child);
  EXPECT_EQ(o.code, 6) << o.err;
  EXPECT_EQ(times(o.err, "training goes on"), 1u) << o.err;
  EXPECT_TRUE(contains(
      o.err, {"File too large", "ulimit -f", "100%  4,000/4,000",
              "the run came to its end, but could not be saved", "This run has no checkpoint."}));
  EXPECT_TRUE(contains(o.out, {"eval/mean_reward -", "4000 steps"})) << "the result is still told";
  EXPECT_EQ(read_rows(latest() / "metrics.jsonl").size(), 10u);
  EXPECT_FALSE(fs::exists(latest() / "result.json"));
  EXPECT_EQ(entries(latest() / "checkpoints"), std::vector<std::string>{}) << "rubbish was left";
}

TEST_F(CliFailuresTest, AFullDiskWhenStoppedIsSixToo) {
  Child child{{"train", "tiny.json", "total_timesteps=1000000000", "report.interval=1000000"}};
  child.file_limit = 8192;
  child.signals = {{0.2, SIGINT}};
  const Output o = run(child);
  EXPECT_EQ(o.code, 6) << o.err;
  EXPECT_TRUE(contains(o.err, {"stopped at step ", ", but could not be saved: "}));
}

// A small filesystem of its own, where this user may mount one.
class SmallDisk {
 public:
  explicit SmallDisk(const fs::path& dir) : dir_(dir) {
    fs::create_directory(dir);
    mounted_ = ::mount("pendula_test", dir.c_str(), "tmpfs", 0, "size=1m") == 0;
  }
  ~SmallDisk() {
    if (!mounted_) return;
    EXPECT_EQ(::umount2(dir_.c_str(), MNT_DETACH), 0);
  }
  bool mounted() const { return mounted_; }

 private:
  fs::path dir_;
  bool mounted_;
};

TEST_F(CliFailuresTest, ADiskThatFillsUpKeepsTheEarlierCheckpoint) {
  const SmallDisk disk(path("disk"));
  if (!disk.mounted()) GTEST_SKIP() << "mounting a filesystem needs root";
  const fs::path run_dir = train({"total_timesteps=1200", "--run-dir", "disk"});
  spit(path("disk/ballast"), std::string(2 << 20, 'x'));  // as much as fits
  const Output o = run({"train", "--resume", run_dir.string(), "total_timesteps=4000"});
  EXPECT_EQ(o.code, 6) << o.err;
  EXPECT_TRUE(contains(o.err, {"No space left on device"}));
  EXPECT_TRUE(fs::exists(run_dir / "checkpoints/step_000000001200/manifest.json"));
  fs::remove(path("disk/ballast"));
  EXPECT_EQ(run({"train", "--resume", run_dir.string(), "total_timesteps=4000"}).code, 0);
  expect_equal_runs(train({}), run_dir);
}

// As root nothing is read-only; a file in the place of a directory refuses even root.
TEST_F(CliFailuresTest, ADirectoryThatGoesAwayIsSaidOnceAndIsSixAtTheEnd) {
  Child child{{"train", "tiny.json", "total_timesteps=60000"}};
  auto ended = std::async(std::launch::async, [&] { return run(child); });
  while (!fs::exists(path("runs/latest/best/manifest.json"))) std::this_thread::sleep_for(2ms);
  fs::rename(path("runs/latest/checkpoints"), path("moved"));
  spit(path("runs/latest/checkpoints"), "");
  const Output o = ended.get();
  EXPECT_EQ(o.code, 6) << o.err;
  EXPECT_EQ(times(o.err, "training goes on"), 1u) << o.err;
  EXPECT_TRUE(contains(o.err, {"Not a directory", "could not be saved"}));
}

}  // namespace
}  // namespace pendula
