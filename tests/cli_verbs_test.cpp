// eval, config, envs, doctor, --version and --help: results on stdout, narration on stderr.
#include "host/simd.h"
#include "tests/cli_testing.h"
#include "tests/contains.h"

namespace pendula {
namespace {

namespace fs = std::filesystem;

class CliVerbsTest : public CliTest {
 protected:
  // The JSON object that a verb prints; fails where anything else stands around it.
  nlohmann::json object_of(const std::vector<std::string>& args) const {
    const Output o = run(args);
    EXPECT_EQ(o.code, 0) << o.err;
    const auto value = nlohmann::json::parse(o.out, nullptr, false);
    EXPECT_TRUE(value.is_object()) << o.out;
    return value;
  }
};

TEST_F(CliVerbsTest, EvalRepeatsTheResult) {
  const fs::path run_dir = train({});
  const auto result = read_json(run_dir / "result.json");
  const auto evaluated = object_of({"eval", "latest", "--json", "--threads", "2"});
  for (const char* key : {"eval/mean_reward", "eval/std_reward", "eval/mean_ep_length",
                          "eval/episodes", "time/total_timesteps"}) {
    EXPECT_EQ(evaluated[key], result[key]) << key;
  }
  EXPECT_EQ(evaluated["device"], "cpu");
  EXPECT_EQ(path(evaluated["run"]), run_dir);
  // By its directory, with a slash, from the text; a checkpoint of its own.
  EXPECT_EQ(object_of({"eval", run_dir.string() + "/", "--json"})["eval/mean_reward"],
            result["eval/mean_reward"]);
  const auto earlier = object_of({"eval", "latest@3600", "--json", "--episodes", "5"});
  EXPECT_EQ(earlier["time/total_timesteps"], 3600);
  EXPECT_EQ(earlier["eval/episodes"], 5);
  const Output text = run({"eval", "latest"});
  EXPECT_TRUE(contains(text.out, {"eval/mean_reward -",
                                  " over 32 episodes of 200.0 steps, at step "
                                  "4000\n"}));
  EXPECT_EQ(text.err, "");
}

TEST_F(CliVerbsTest, EvalOfAPopulationHasARowPerAgent) {
  const fs::path run_dir = train({"--seeds", "2"});
  const auto evaluated = object_of({"eval", "latest", "--json"});
  const auto result = read_json(run_dir / "result.json");
  ASSERT_EQ(evaluated["agents"].size(), 2u);
  EXPECT_EQ(evaluated["agents"], result["agents"]);
  EXPECT_TRUE(contains(run({"eval", "latest"}).out, {"agent 0: eval/mean_reward", "agent 1: "}));
}

TEST_F(CliVerbsTest, ConfigShowIsTheResolvedConfigAlone) {
  const Output o = run({"config", "show", "tiny.json", "ddpg.gamma=0.98", "eval.interval=801"});
  EXPECT_EQ(o.code, 0);
  const auto config = nlohmann::json::parse(o.out);
  EXPECT_EQ(config["ddpg"]["gamma"], 0.98);
  EXPECT_EQ(config["ddpg"]["tau"], 0.005) << "defaults are filled in";
  EXPECT_EQ(config["env"]["gravity"], 10.0);
  EXPECT_TRUE(contains(o.err, {"note: eval.interval: 801 is rounded up to 808"}));
  spit(path("shown.json"), o.out);
  EXPECT_EQ(run({"config", "show", "shown.json", "--quiet"}).out, o.out);
  EXPECT_EQ(run({"config", "show", "shown.json", "--quiet"}).err, "");
}

TEST_F(CliVerbsTest, ConfigCheckLooksAtAllFiles) {
  spit(path("bad.json"), "{ \"sed\": 3 }");
  const Output good = run({"config", "check", "tiny.json"});
  EXPECT_EQ(good.code, 0);
  EXPECT_EQ(good.out, "tiny.json: ok\n");
  const Output o = run({"config", "check", "bad.json", "tiny.json", "--json"});
  EXPECT_EQ(o.code, 2);
  const auto files = nlohmann::json::parse(o.out)["files"];
  EXPECT_EQ(files[0]["ok"], false);
  const auto& problem = files[0]["problems"][0];
  EXPECT_EQ(problem["kind"], "value");
  EXPECT_EQ(problem["place"], "bad.json:1:3");
  EXPECT_EQ(problem["pointer"], "/sed");
  EXPECT_TRUE(contains(problem["text"], {"did you mean \"seed\"?"}));
  EXPECT_EQ(files[1]["ok"], true);
  EXPECT_EQ(run({"config", "check", "bad.json", "tiny.json"}).code, 2);
  EXPECT_EQ(run({"config", "check", "absent.json"}).code, 6);
}

TEST_F(CliVerbsTest, ConfigDiffNamesTheKeys) {
  nlohmann::json other = nlohmann::json::parse(kTinyConfig);
  other["ddpg"]["gamma"] = 0.5;
  spit(path("other.json"), other.dump());
  EXPECT_EQ(run({"config", "diff", "tiny.json", "other.json"}).out, "ddpg.gamma: 0.99 -> 0.5\n");
  EXPECT_EQ(object_of({"config", "diff", "tiny.json", "other.json", "--json"}),
            nlohmann::json::parse(R"({"ddpg.gamma": [0.99, 0.5]})"));
  EXPECT_EQ(run({"config", "diff", "tiny.json", "tiny.json"}).out, "");
}

TEST_F(CliVerbsTest, EnvsListsParametersWithUnits) {
  const auto envs = object_of({"envs", "--json"})["environments"];
  ASSERT_FALSE(envs.empty());
  EXPECT_EQ(envs[0]["id"], "pendulum");
  EXPECT_EQ(envs[0]["params"]["gravity"]["unit"], "m/s^2");
  EXPECT_EQ(envs[0]["state"], (nlohmann::json{"theta", "theta_dot"}));
  EXPECT_TRUE(contains(run({"envs"}).out, {"pendulum: ", "env.gravity"}));
}

TEST_F(CliVerbsTest, DoctorSaysWhatIsMissing) {
  Child child{{"doctor", "--json", "--plan", "tiny.json", "replay.capacity=4000000000"}};
  child.environment = {{"PENDULA_CUDA_PLUGIN", "absent.so"}};
  const Output o = run(child);
  ASSERT_EQ(o.code, 0) << o.err;
  const auto doctor = nlohmann::json::parse(o.out);
  EXPECT_EQ(doctor["cuda"]["available"], false);
  EXPECT_TRUE(contains(doctor["cuda"]["says"], {"absent.so, which does not exist"}));
  EXPECT_EQ(doctor["device"], "cpu");
  EXPECT_EQ(doctor["plan"]["ring_rows"], 500000000);
  EXPECT_GT(doctor["plan"]["bytes"]["arena"], int64_t{64} * 1000 * 1000 * 1000);
  for (const char* program :
       {"rollout", "critic_gradient", "actor_gradient", "optimizer", "evaluate"}) {
    EXPECT_GT(doctor["plan"]["shared_memory"][program], 1000) << program;  // bytes of a block
  }
}

// Without a GPU the plan is that of an H200, and nothing that nobody measured is a number.
TEST_F(CliVerbsTest, DoctorTellsThePlan) {
  const auto plan_of = [&](std::vector<std::string> args) {
    args.insert(args.begin(), {"doctor", "--json", "--plan", "tiny.json"});
    Child child{args};
    child.environment = {{"PENDULA_CUDA_PLUGIN", "absent.so"}};
    return nlohmann::json::parse(run(child).out)["plan"];
  };
  const std::vector<std::string> pendulum = {"device=auto", "actor.hidden=[64,64]",
                                             "critic.hidden=[64,64]", "ddpg.batch_size=128"};
  const auto with = [&](std::initializer_list<const char*> more) {
    std::vector<std::string> all = pendulum;
    all.insert(all.end(), more.begin(), more.end());
    return plan_of(all);
  };
  const auto one = with({});
  EXPECT_EQ(one["gpu"]["assumed"], true);
  EXPECT_EQ(one["gpu"]["plan"], "block");
  EXPECT_EQ(one["gpu"]["blocks"], 1);
  EXPECT_EQ(one["gpu"]["rounds"], 1);
  EXPECT_GT(one["gpu"]["shared_bytes"], 100 << 10);  // 9,026 parameters, 4 times
  EXPECT_LE(one["gpu"]["shared_bytes"], 227 << 10);
  EXPECT_EQ(one["gpu"]["residency"], "networks, targets and moments, as tiles");
  EXPECT_EQ(one["cpu"]["layout"], "one agent over workers");
  EXPECT_EQ(one["update"]["flop"], 86528.0 * 128.0);  // docs/performance.md
  EXPECT_EQ(one["update"]["limit_updates_per_second"], "not measured");

  const auto many = with({"agents=1000"});
  EXPECT_EQ(many["gpu"]["blocks"], 132);
  EXPECT_EQ(many["gpu"]["rounds"], 8);  // 1000 / 132, rounded up
  EXPECT_GE(many["gpu"]["turn_iterations"], 50);
  EXPECT_EQ(many["cpu"]["layout"], "agents over workers");
  const int workers = many["cpu"]["workers"];
  EXPECT_EQ(many["cpu"]["rounds"], (1000 + workers - 1) / workers);
  const auto batches = with({"agents=2", "ddpg.batch_size=[32,256]"});
  EXPECT_EQ(batches["batch_size"], 256) << "the largest of any agent";
  EXPECT_EQ(batches["update"]["flop"], 86528.0 * 256.0);
  const double agent = many["bytes"]["agent"], arena = many["bytes"]["arena"];
  EXPECT_GT(arena, 1000.0 * agent);

  const auto wide = with({"actor.hidden=[256,256]", "critic.hidden=[256,256]"});
  EXPECT_EQ(wide["gpu"]["plan"], "cluster");
  EXPECT_EQ(wide["gpu"]["clusters"], 1);
  EXPECT_EQ(wide["gpu"]["blocks"], wide["gpu"]["cluster_blocks"]);
  EXPECT_TRUE(contains(wide["gpu"]["why"], {"block: ", "do not fit into"}));
  const auto grid = with({"plan=grid", "agents=3"});
  EXPECT_EQ(grid["gpu"]["plan"], "grid");
  EXPECT_EQ(grid["gpu"]["blocks"]["gradient"], 3 * 2);  // two tiles of 64 rows each
  EXPECT_EQ(grid["gpu"]["products"], "tf32 passes of 64 rows, acting in warps");
  EXPECT_EQ(grid["gpu"]["rollouts_beside_updates"], false);
  EXPECT_EQ(with({"plan=grid", "rollout.policy_lag=1"})["gpu"]["rollouts_beside_updates"], true);
  const auto bf16 = with({"precision=bf16", "env.num_envs=300", "replay.capacity=3000",
                          "actor.hidden=[1000,500,200]", "critic.hidden=[1000,500,200]"});
  EXPECT_EQ(bf16["gpu"]["plan"], "grid");
  EXPECT_EQ(bf16["gpu"]["products"], "bf16 passes of 32 rows, acting in blocks of 64");
  EXPECT_EQ(bf16["gpu"]["blocks"]["rollout"], 5);
  const auto tanh = with({"plan=grid", "actor.activation=tanh"});
  EXPECT_EQ(tanh["gpu"]["products"], "programs");
  EXPECT_TRUE(contains(tanh["gpu"]["why"], {"no tuned products: ", "relu"}));
  EXPECT_FALSE(with({"device=cpu"}).contains("gpu"));

  Child child{{"doctor", "--plan", "tiny.json", "device=auto", "agents=200"}};
  child.environment = {{"PENDULA_CUDA_PLUGIN", "absent.so"}};
  EXPECT_TRUE(contains(
      run(child).out, {"CUDA: ", "plan of tiny.json: 200 agents, actor 2x16",
                       "on an H200 (assumed: no GPU here): block plan, 132 blocks with ",
                       "agents in 2 rounds, turns of ", "on this CPU: ", "agents over workers, in ",
                       "one update: ", "is not measured", "300 rows of replay, "}));
  child.args = {"doctor",      "--plan",     "tiny.json",
                "device=auto", "plan=block", "actor.hidden=[256,256]"};
  const Output refused = run(child);
  EXPECT_EQ(refused.code, 2);
  EXPECT_TRUE(contains(refused.err, {"\"plan\": \"block\" cannot be had", "use \"auto\""}));
}

TEST_F(CliVerbsTest, VersionIsOneLineOrOneObject) {
  const std::string line = run({"--version"}).out;
  EXPECT_EQ(line.find("pendula "), 0u);
  EXPECT_EQ(line.find('\n'), line.size() - 1);
  const auto version = object_of({"--version", "--json"});
  for (const char* key : {"version", "commit", "compiler", "flags", "simd_level"}) {
    EXPECT_TRUE(version[key].is_string()) << key;
  }
  // The levels of instructions in the binary, and the one that this processor gets.
  const auto doctor = object_of({"doctor", "--json"});
  for (const nlohmann::json& j : {version, doctor["cpu"]}) {
    EXPECT_EQ(j["simd_levels"], nlohmann::json(simd_levels()));
    EXPECT_EQ(j["simd_level"], choose_simd_level("auto"));
  }
  for (const std::string& text : {line, run({"doctor"}).out}) {
    EXPECT_TRUE(contains(
        text, {"compiled for sse2 avx2 avx512, this processor gets " + choose_simd_level("auto")}));
  }
}

TEST_F(CliVerbsTest, HelpBeginsWithExamples) {
  for (const std::vector<std::string>& verb : {std::vector<std::string>{},
                                               {"train"},
                                               {"sweep"},
                                               {"eval"},
                                               {"play"},
                                               {"config"},
                                               {"config", "show"},
                                               {"config", "check"},
                                               {"config", "diff"},
                                               {"config", "schema"},
                                               {"envs"},
                                               {"doctor"}}) {
    std::vector<std::string> args = verb;
    args.push_back("--help");
    const Output o = run(args);
    EXPECT_EQ(o.code, 0);
    EXPECT_EQ(o.out.find("Examples:\n  pendula "), 0u) << o.out;
    EXPECT_TRUE(contains(o.out, {"Usage: pendula", "--help"}));
    if (!verb.empty() && verb != std::vector<std::string>{"config"}) {
      EXPECT_TRUE(contains(o.out, {"--json", "--quiet", "pendula " + verb[0]}));
    }
    EXPECT_EQ(o.err, "");
  }
}

TEST_F(CliVerbsTest, QuietTakesYesOrNoInEveryVerb) {
  for (std::vector<std::string> args : {std::vector<std::string>{"train"},
                                        {"sweep"},
                                        {"eval", "latest"},
                                        {"play", "pendulum"},
                                        {"config", "schema"},
                                        {"envs"},
                                        {"envs", "check", "pendulum"},
                                        {"doctor"},
                                        {"bench"}}) {
    args.push_back("--quiet=foo");
    const Output o = run(args);
    EXPECT_EQ(o.code, 2) << args[0];
    EXPECT_TRUE(contains(o.err, {"--quiet = foo", "See `pendula " + args[0] + " --help`"}));
    EXPECT_EQ(o.out, "");
  }
}

}  // namespace
}  // namespace pendula
