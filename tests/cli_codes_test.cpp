// Exit codes of the binary and the sentences that come with them. See cli_signals_test.cpp for 130
// and 143, cli_failures_test.cpp for 5 and full disks.
#include <unistd.h>

#include "host/simd.h"
#include "tests/cli_testing.h"
#include "tests/contains.h"

namespace pendula {
namespace {

namespace fs = std::filesystem;

class CliCodesTest : public CliTest {
 protected:
  // Ends with `code`, says the pieces on stderr, nothing on stdout, and makes no run directory.
  void expect_refused(const std::vector<std::string>& args, int code,
                      std::initializer_list<std::string> pieces) const {
    const std::vector<std::string> before = entries(path("."));
    const Output o = run(args);
    EXPECT_EQ(o.code, code) << o.err;
    EXPECT_TRUE(contains(o.err, pieces));
    EXPECT_EQ(o.out, "");
    EXPECT_EQ(o.err.back(), '\n');
    EXPECT_EQ(entries(path(".")), before) << "it made something";
  }
};

TEST_F(CliCodesTest, UsageIsTwo) {
  expect_refused({"trian", "tiny.json"}, 2, {"\"trian\"", "did you mean \"train\"?", "--help"});
  expect_refused({"tiny.json"}, 2, {"there is no verb \"tiny.json\""});
  expect_refused({"train", "tiny.json", "--foo"}, 2, {"--foo", "pendula train --help"});
  expect_refused({"train", "tiny.json", "--threads", "0"}, 2, {"--threads"});
  expect_refused({"train", "tiny.json", "--seeds", "0"}, 2, {"--seeds"});
  expect_refused({"train"}, 2, {"needs a CONFIG", "--resume"});
  expect_refused({"train", "tiny.json", "other.json"}, 2, {"one CONFIG only", "\"other.json\""});
  expect_refused({"train", "--resume", "latest", "--init-from", "latest"}, 2, {"one of them"});
  expect_refused({"play", "pendulum"}, 2, {"--agent zero"});
  expect_refused({"play", "latest", "--agent", "best"}, 2, {"--agent"});
  expect_refused({"eval"}, 2, {"RUN"});
  expect_refused({"config", "show"}, 2, {"needs a CONFIG"});
  expect_refused({"config", "diff", "tiny.json"}, 2, {"two configs"});
}

TEST_F(CliCodesTest, WithoutAVerbTheHelpIsShown) {
  const Output o = run(Child{});
  EXPECT_EQ(o.code, 2);
  EXPECT_TRUE(contains(o.err, {"Examples:", "pendula train configs/pendulum.json"}));
}

TEST_F(CliCodesTest, AllProblemsOfAConfigAtOnce) {
  spit(path("bad.json"), "{ \"sed\": 3,\n  \"ddpg\": { \"gama\": 0.9, \"tau\": 7 } }\n");
  expect_refused({"train", "bad.json", "replay.capacity=-1"}, 2,
                 {"bad.json:1:3", "did you mean \"seed\"?", "bad.json:2:13",
                  "did you mean \"gamma\"?", "bad.json:2:", "/ddpg/tau: 7", "/replay/capacity"});
  expect_refused({"train", "tiny.json", "ddpg.gama=0.9"}, 2,
                 {"override ddpg.gama=0.9", "did you mean \"gamma\"?"});
  spit(path("torn.json"), "{ \"seed\": ");
  expect_refused({"train", "torn.json"}, 2, {"torn.json:1:"});
  expect_refused({"train", "tiny.json", "--device", "gpu"}, 2, {"device=gpu", "\"cuda\""});
}

TEST_F(CliCodesTest, DeviceIsThree) {
  const auto refused = [&](const char* plugin, const char* why) {
    Child child{{"train", "tiny.json", "--device", "cuda"}};
    child.environment = {{"PENDULA_CUDA_PLUGIN", plugin}};
    const Output o = run(child);
    EXPECT_EQ(o.code, 3);
    EXPECT_TRUE(contains(o.err, {"pendula: no GPU can be used: ", why}));
    EXPECT_FALSE(fs::exists(path("runs")));
  };
  refused("absent.so", "PENDULA_CUDA_PLUGIN names absent.so, which does not exist");
  refused("tiny.json", "cannot be opened");
}

TEST_F(CliCodesTest, ALevelThatTheProcessorLacksIsThree) {
  for (const std::string& level : simd_levels()) {
    const Output o = run({"train", "tiny.json", "simd=" + level, "--run-dir", level});
    if (has_simd_level(level)) {
      EXPECT_EQ(o.code, 0) << o.err;
      EXPECT_TRUE(contains(o.err, {"training tiny on cpu (" + level + ", "}));
      EXPECT_EQ(read_json(latest(level) / "meta.json")["simd_level"], level);
      continue;
    }
    EXPECT_EQ(o.code, 3);
    EXPECT_TRUE(contains(o.err, {"\"simd\": \"" + level +
                                 "\" needs instructions that this processor "
                                 "does not have; say \"auto\", which means \"" +
                                 choose_simd_level("auto") + "\" here"}));
    EXPECT_FALSE(fs::exists(path(level)));
    // A run that was made elsewhere can be looked at.
    const fs::path made_here = train({"--run-dir", "elsewhere"});
    nlohmann::json config = read_json(made_here / "config.json");
    config["simd"] = level;
    spit(made_here / "config.json", config.dump());
    EXPECT_EQ(run({"eval", made_here.string()}).code, 0);
    EXPECT_EQ(run({"play", made_here.string()}).code, 0);
    const Output resumed = run({"train", "--resume", made_here.string(), "total_timesteps=4400"});
    EXPECT_EQ(resumed.code, 3);
    EXPECT_TRUE(contains(resumed.err, {"\"simd\": \"" + level, "say \"auto\""}));
  }
  expect_refused({"train", "tiny.json", "simd=avx"}, 2, {"simd=avx", "\"avx2\""});
}

// A run that a GPU trained can be looked at without one, and is not trained on there.
TEST_F(CliCodesTest, PrecisionsOfAGpu) {
  for (const std::string precision : {"tf32", "bf16"}) {
    expect_refused({"train", "tiny.json", "device=cpu", "precision=" + precision}, 2,
                   {"\"" + precision + "\" needs a GPU", "say \"auto\" or \"fp32\""});
    const fs::path run_dir = train({"--run-dir", precision});
    nlohmann::json config = read_json(run_dir / "config.json");
    config["precision"] = precision;
    spit(run_dir / "config.json", config.dump());
    EXPECT_EQ(run({"eval", run_dir.string(), "--device", "cpu"}).code, 0);
  }
}

TEST_F(CliCodesTest, MemoryIsFourBeforeAnythingIsMade) {
  const std::initializer_list<std::string> says = {"out of memory", "MiB", "MiB are available; "};
  expect_refused({"train", "tiny.json", "replay.capacity=1000000000000", "agents=1000"}, 4, says);
  expect_refused({"train", "tiny.json", "agents=65536", "replay.capacity=1000000000000",
                  "actor.hidden=[8192,8192]"},
                 4, says);
  // Twice what the machine has: the system would grant it, and kill the process later.
  const int64_t bytes = ::sysconf(_SC_PHYS_PAGES) * ::sysconf(_SC_PAGESIZE);
  expect_refused({"train", "tiny.json", "replay.capacity=" + std::to_string(bytes / 16 * 2)}, 4,
                 says);
}

TEST_F(CliCodesTest, FilesIsSix) {
  expect_refused({"train", "absent.json"}, 6, {"absent.json: no such file"});
  expect_refused({"train", "."}, 6, {"directory"});
  expect_refused({"train", "tiny.json", "--run-dir", "tiny.json"}, 6, {"tiny.json", "--run-dir"});
  expect_refused({"train", "tiny.json", "--init-from", "latest"}, 6, {"there is no runs/latest"});
  expect_refused({"train", "--resume", "latest"}, 6, {"there is no runs/latest", "train first"});
  expect_refused({"eval", "nowhere"}, 6, {"there is no such directory"});
  expect_refused({"play", "pendulums"}, 6, {"cannot find the run pendulums"});
  expect_refused({"play", "pendulum", "--agent", "zero", "--csv", "no/such.csv"}, 6,
                 {"no/such.csv"});
}

TEST_F(CliCodesTest, UnknownRunsAreToldWhatThereIs) {
  const fs::path run_dir = train({});
  const auto says = [&](const std::string& name, std::initializer_list<std::string> pieces) {
    const Output o = run({"eval", name});
    EXPECT_EQ(o.code, 6);
    EXPECT_TRUE(contains(o.err, pieces));
  };
  says("latest@7", {"@best, @3600, @4000"});
  says("latest@newest", {"neither @best nor @STEP"});
  says("runs/tiny", {run_dir.filename().string()});
  says("runs/tiny/2001-01-01_00-00-00_s1", {"no such directory"});
}

TEST_F(CliCodesTest, ADamagedCheckpointIsRefused) {
  const fs::path run_dir = train({});
  const fs::path file = newest_checkpoint(run_dir) / "state.safetensors";
  std::string bytes = slurp(file);
  bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 1);
  spit(file, bytes);
  const std::string metrics = slurp(run_dir / "metrics.jsonl");
  for (const std::vector<std::string>& args :
       {std::vector<std::string>{"eval", "latest"},
        {"play", "latest"},
        {"train", "--resume", "latest", "total_timesteps=8000"},
        {"train", "tiny.json", "--run-dir", "others", "--init-from", run_dir.string()}}) {
    const Output o = run(args);
    EXPECT_EQ(o.code, 6) << args[0];
    EXPECT_TRUE(contains(o.err, {"state.safetensors", "damaged"}));
  }
  EXPECT_EQ(slurp(run_dir / "metrics.jsonl"), metrics) << "a refused resume changed the run";
  EXPECT_TRUE(fs::exists(run_dir / "result.json"));
  EXPECT_FALSE(fs::exists(path("others")));
  EXPECT_EQ(run({"eval", "latest@3600"}).code, 0);
}

// Results that nobody gets are a failure, not silence; the run itself is whole.
TEST_F(CliCodesTest, StandardOutputThatCannotBeWrittenIsSix) {
  train({});
  for (const std::vector<std::string>& args :
       {std::vector<std::string>{"train", "tiny.json", "--quiet"},
        {"eval", "latest"},
        {"eval", "latest", "--json"},
        {"play", "latest"},
        {"play", "latest", "--csv", "-"},
        {"config", "show", "tiny.json"},
        {"config", "check", "tiny.json"},
        {"envs"},
        {"doctor"},
        {"--version"},
        {"--help"},
        {"train", "--help"}}) {
    Child full{args}, closed{args};
    full.out_to = "/dev/full";
    closed.close_out = true;
    for (const Child& child : {full, closed}) {
      const Output o = run(child);
      EXPECT_EQ(o.code, 6) << args[0] << ' ' << child.out_to;
      EXPECT_TRUE(contains(o.err, {"cannot write to standard output"}));
    }
  }
  EXPECT_TRUE(fs::exists(latest() / "result.json"));
  // With stdout closed, no file of the run may have got its number.
  EXPECT_EQ(read_rows(latest() / "metrics.jsonl").size(), 10u);
}

}  // namespace
}  // namespace pendula
