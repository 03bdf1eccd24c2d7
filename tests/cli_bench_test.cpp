// `pendula bench` as a person calls it: rows, reports, comparisons, errors. Sizes are the smallest;
// no test looks at a speed.
#include <cmath>

#include "tests/cli_testing.h"
#include "tests/contains.h"

namespace pendula {
namespace {

class CliBenchTest : public CliTest {
 protected:
  std::vector<std::string> lines(const std::vector<std::string>& args) const {
    const Output o = run(args);
    EXPECT_EQ(o.code, 0) << o.err;
    std::vector<std::string> all;
    std::istringstream text(o.out);
    for (std::string line; std::getline(text, line);) all.push_back(line);
    return all;
  }
  void expect_refused(const std::vector<std::string>& args, int code,
                      std::initializer_list<std::string> pieces) const {
    const Output o = run(args);
    EXPECT_EQ(o.code, code) << o.err;
    EXPECT_TRUE(contains(o.err, pieces));
    EXPECT_EQ(o.out, "");
  }
};

TEST_F(CliBenchTest, ListNamesTheRowsAndTheirLimits) {
  const auto rows = lines({"bench", "update", "--list", "--device", "cpu", "--threads", "1",
                           "--filter", "network=2x64,batch=100"});
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows[0], "machine cpu sgemm m=100 n=64 k=64 threads=1 precision=fp32 flop_per_second");
  EXPECT_TRUE(contains(
      rows[1], {"update cpu", "network=2x64 batch=100", "threads=1", "updates_per_second"}));
  // Without a filter every suite has rows.
  std::string all;
  for (const std::string& row : lines({"bench", "--list", "--device", "cpu"})) all += row + "\n";
  EXPECT_TRUE(contains(all, {"machine cpu fma", "env cpu pendulum num_envs=65536", "\nrollout cpu",
                             "\ntrain cpu", "network=400-300", "\nsmall-batch cpu pendulum"}));
}

// On a CPU a row for each number of threads, and none for a plan.
TEST_F(CliBenchTest, APopulationHasItsTotalAndEachAgentsShare) {
  const auto rows = lines({"bench", "population", "--list", "--device", "cpu", "--threads", "1,2",
                           "--filter", "network=2x64,agents=64"});
  ASSERT_EQ(rows.size(), 2u + 4u);  // SGEMM on one thread and on two
  const std::string name = "population cpu pendulum network=2x64 batch=128 agents=64 threads=";
  for (size_t i = 0; i < 2; ++i) {
    const std::string keys = name + std::to_string(i + 1) + " precision=fp32 updates_per_second";
    EXPECT_EQ(rows[2 + 2 * i], keys);
    EXPECT_EQ(rows[3 + 2 * i], keys + "_per_agent");
  }
}

// Every suite, really run: each row is there and finite, each limit comes from a row of the report.
TEST_F(CliBenchTest, ATinyRunOfEverySuite) {
  const Output o = run({"bench", "--tiny", "--device", "cpu", "--threads", "1", "--repeats", "2",
                        "--json", "a.json", "--quiet"});
  ASSERT_EQ(o.code, 0) << o.err;
  EXPECT_TRUE(contains(o.out, {"cpu: ", "commit: ", "machine, cpu", "updates_per_second"}));
  const nlohmann::json report = read_json(path("a.json"));
  for (const char* key : {"cpu", "cores", "simd_level", "cpu_mhz_before", "cpu_mhz_after",
                          "load_average", "openblas", "commit", "compiler", "flags", "date"}) {
    EXPECT_TRUE(report["machine"].contains(key)) << key;
    EXPECT_FALSE(report["machine"][key].is_null()) << key;
  }
  const size_t listed =
      lines({"bench", "--tiny", "--device", "cpu", "--threads", "1", "--list"}).size();
  EXPECT_EQ(report["rows"].size(), listed);
  const bool openblas =
      report["machine"]["openblas"].get<std::string>().rfind("not measured", 0) != 0;
  std::map<std::string, int> suites;
  for (const nlohmann::json& row : report["rows"]) {
    ++suites[row["suite"]];
    if (row["case"] == "sgemm" && !openblas) {
      EXPECT_TRUE(row.contains("not_measured")) << row;
      continue;
    }
    EXPECT_EQ(row["repeats"], 2) << row;
    for (const char* key : {"median", "min", "max"}) {
      ASSERT_TRUE(row[key].is_number()) << row;
      EXPECT_GT(row[key].get<double>(), 0.0) << row;
      EXPECT_TRUE(std::isfinite(row[key].get<double>())) << row;
    }
    if (row["metric"] == "updates_per_second") {  // of a batch of 32 or 8
      const double samples = row["samples_per_second"].get<double>() / row["median"].get<double>();
      EXPECT_EQ(samples, row["batch"].get<double>()) << row;
      EXPECT_GT(row["flop_per_second"].get<double>(), 0.0) << row;
    }
    if (row["suite"] == "race") {
      EXPECT_EQ(row["returns"].size(), 2u) << row;
      EXPECT_LT(row["returns"][0],
                row["case"] == "fixed" || row["case"] == "pendulum" ? 0.0 : 500.0);
      EXPECT_EQ(row["unsolved"], row["case"] == "fixed" ? 0 : 2) << row;
      continue;
    }
    if (row["suite"] == "machine" || (row["suite"] != "env" && !openblas)) continue;
    EXPECT_GT(row["limit"].get<double>(), 0.0) << row;
    EXPECT_NEAR(row["percent_of_limit"].get<double>(),
                100.0 * row["median"].get<double>() / row["limit"].get<double>(), 1e-9);
  }
  EXPECT_EQ(suites.size(), 8u);
}

TEST_F(CliBenchTest, JsonAloneOnStandardOutput) {
  const Output o = run({"bench", "env", "--tiny", "--device", "cpu", "--threads", "1", "--repeats",
                        "1", "--filter", "rollout_length=4", "--json", "-"});
  ASSERT_EQ(o.code, 0) << o.err;
  const auto report = nlohmann::json::parse(o.out, nullptr, false);
  ASSERT_TRUE(report.is_object()) << o.out;
  ASSERT_EQ(report["rows"].size(), 2u);  // with the row that its limit comes from
  EXPECT_EQ(report["rows"][0]["case"], "triad_memory");
  EXPECT_EQ(report["rows"][1]["rollout_length"], 4);
  EXPECT_TRUE(contains(o.err, {"bench: env"}));
}

TEST_F(CliBenchTest, CompareEndsWithOneForARegression) {
  const auto report = [](double median) {
    return nlohmann::json{{"machine", {{"cpu", "X"}}},
                          {"rows",
                           {{{"suite", "update"},
                             {"backend", "cpu"},
                             {"batch", 100},
                             {"metric", "updates_per_second"},
                             {"median", median},
                             {"spread", 0.01}}}}}
        .dump();
  };
  spit(path("a.json"), report(100.0));
  spit(path("b.json"), report(90.0));
  const Output slower = run({"bench", "--compare", "a.json", "b.json"});
  EXPECT_EQ(slower.code, 1) << slower.err;
  EXPECT_TRUE(
      contains(slower.out, {"update cpu batch=100", "0.900", "2.0%", "SLOWER", "1 slower"}));
  EXPECT_EQ(run({"bench", "--compare", "a.json", "a.json"}).code, 0);
  EXPECT_EQ(run({"bench", "--compare", "b.json", "a.json"}).code, 0);
  spit(path("other.json"), R"({"machine": {"cpu": "Y"}, "rows": []})");
  expect_refused({"bench", "--compare", "a.json", "other.json"}, 2, {"no measured row in common"});
  spit(path("torn.json"), report(100.0).substr(0, 50));
  expect_refused({"bench", "--compare", "a.json", "torn.json"}, 2, {"torn.json is no report"});
  expect_refused({"bench", "--compare", "a.json", "absent.json"}, 6, {"absent.json"});
  expect_refused({"bench", "--compare", "a.json"}, 2, {"--compare"});
  expect_refused({"bench", "env", "--compare", "a.json", "b.json"}, 2, {"measures nothing"});
}

TEST_F(CliBenchTest, CompareOfReportsThatAreNoneOrOfOtherMachines) {
  const auto report = [](const nlohmann::json& rows, const char* cpu) {
    return nlohmann::json{{"machine", {{"cpu", cpu}}}, {"rows", rows}}.dump();
  };
  const nlohmann::json good = {
      {"suite", "update"}, {"metric", "updates_per_second"}, {"median", 9.0}, {"spread", 0.01}};
  nlohmann::json none = good, number = good;
  none["median"] = nullptr;
  number["metric"] = 5;
  spit(path("a.json"), report(nlohmann::json::array({good}), "X"));
  spit(path("y.json"), report(nlohmann::json::array({good}), "Y"));
  spit(path("none.json"), report(nlohmann::json::array({none}), "X"));
  spit(path("number.json"), report(nlohmann::json::array({number}), "X"));
  spit(path("twice.json"), report(nlohmann::json::array({good, good}), "X"));
  Output o = run({"bench", "--compare", "a.json", "y.json"});
  EXPECT_EQ(o.code, 0);
  EXPECT_TRUE(contains(o.out, {"not the same cpu: \"X\" and \"Y\""}));
  o = run({"bench", "--compare", "a.json", "none.json"});
  EXPECT_EQ(o.code, 1);
  EXPECT_TRUE(contains(o.out, {"NOT FINITE", " 0 slower", "1 rows have no median"}));
  expect_refused({"bench", "--compare", "a.json", "number.json"}, 2, {"number.json is no report"});
  expect_refused({"bench", "--compare", "a.json", "twice.json"}, 2, {"twice.json", "twice"});
}

// What is done when a signal comes is reported, the rest says that it is not.
TEST_F(CliBenchTest, ASignalEndsTheMeasurementAndKeepsWhatIsDone) {
  Child child{{"bench", "update", "env", "--tiny", "--device", "cpu", "--threads", "1", "--repeats",
               "1", "--seconds", "0.5", "--json", "a.json"}};
  child.await = "bench: env";  // behind `update`, and a second long at least
  child.signals = {{0.2, SIGINT}};
  const Output o = run(child);
  EXPECT_EQ(o.code, 130) << o.err;
  int done = 0, stopped = 0;
  const nlohmann::json report = read_json(path("a.json"));
  for (const nlohmann::json& row : report["rows"]) {
    if (row["suite"] == "update") done += row.contains("median") ? 1 : 0;
    if (row["suite"] == "env") stopped += row.value("not_measured", "").rfind("stopped", 0) == 0;
  }
  EXPECT_GT(done, 0);
  EXPECT_GT(stopped, 0);
}

// Whole trainings: times without evaluation are shorter, and the seeds are 1 and 2 whatever was
// measured of them.
TEST_F(CliBenchTest, ARaceTellsTimesBesideReturns) {
  const std::vector<std::string> race = {
      "bench",     "race", "--tiny",  "--device", "cpu",           "--threads", "1",
      "--repeats", "2",    "--quiet", "--filter", "case=pendulum", "--json"};
  const auto with = [&](std::vector<std::string> more) {
    std::vector<std::string> all = race;
    all.insert(all.end(), more.begin(), more.end());
    return all;
  };
  ASSERT_EQ(run(with({"a.json"})).code, 0);
  ASSERT_EQ(run(with({"b.json", "--filter", "metric=steps_until_solved"})).code, 0);
  const nlohmann::json a = read_json(path("a.json"))["rows"], b = read_json(path("b.json"))["rows"];
  ASSERT_EQ(a.size(), 3u);
  EXPECT_EQ(a[0]["metric"], "seconds_until_solved");
  EXPECT_EQ(a[1]["metric"], "seconds_until_solved_with_evaluation");
  EXPECT_LT(a[0]["max"], a[1]["max"]);
  EXPECT_EQ(a[2]["min"], a[2]["max"]);  // in vain: the whole length
  EXPECT_NE(a[0]["returns"][0], a[0]["returns"][1]);
  ASSERT_EQ(b.size(), 1u);
  for (const char* key : {"median", "returns"}) EXPECT_EQ(b[0][key], a[2][key]);
}

TEST_F(CliBenchTest, ASignalEndsARaceAndItsTraining) {
  std::filesystem::create_directory(path("folder"));
  Child child{{"bench", "race", "--device", "cpu", "--threads", "1", "--filter", "case=cartpole",
               "--repeats", "1000", "--json", "a.json"}};
  child.environment = {{"TMPDIR", path("folder").string()}};
  child.await = "bench: race cartpole";
  child.signals = {{0.3, SIGTERM}};
  const Output o = run(child);
  EXPECT_EQ(o.code, 143) << o.err;
  const nlohmann::json rows = read_json(path("a.json"))["rows"];
  ASSERT_EQ(rows.size(), 3u);
  for (const nlohmann::json& row : rows) {
    EXPECT_EQ(row["not_measured"], "stopped before all seeds were done");
  }
  EXPECT_TRUE(std::filesystem::is_empty(path("folder")));
  // A training that cannot be: the others are reported.
  child.args = {"bench", "env",       "race", "--tiny", "--device",
                "cpu",   "--threads", "1",    "--json", "b.json"};
  child.environment = {{"TMPDIR", path("none").string()}};
  child.signals = {};
  EXPECT_EQ(run(child).code, 0);
  int measured = 0;
  const nlohmann::json report = read_json(path("b.json"));
  for (const nlohmann::json& row : report["rows"]) {
    if (row["suite"] == "race") {
      EXPECT_TRUE(contains(row["not_measured"].get<std::string>(), {"TMPDIR"}));
    } else {
      measured += row.contains("median") ? 1 : 0;
    }
  }
  EXPECT_GT(measured, 0);
}

// The report replaces a file, where a link points, and nothing that is not a file.
TEST_F(CliBenchTest, WhereTheReportGoes) {
  const std::vector<std::string> bench = {"bench",     "update", "--tiny",    "--device", "cpu",
                                          "--threads", "1",      "--repeats", "1",        "--json"};
  const auto with = [&](const std::string& file) {
    std::vector<std::string> all = bench;
    all.push_back(file);
    return all;
  };
  std::filesystem::create_directory(path("folder"));
  spit(path("file"), "x");
  expect_refused(with("folder"), 2, {"--json folder", "name a file"});
  expect_refused(with("/dev/null"), 2, {"--json /dev/null"});
  expect_refused(with("file/a.json"), 6, {"file/a.json"});
  expect_refused(with(std::string(300, 'a')), 6, {"name a shorter one"});
  expect_refused(with(""), 2, {"--json"});
  std::filesystem::create_symlink("file", path("link"));
  EXPECT_EQ(run(with("link")).code, 0);
  EXPECT_TRUE(std::filesystem::is_symlink(path("link")));
  EXPECT_TRUE(read_json(path("file")).contains("rows"));
}

TEST_F(CliBenchTest, ErrorsSayWhatThereIs) {
  expect_refused({"bench", "updat"}, 2,
                 {"no suite \"updat\"", "did you mean \"update\"?",
                  "machine, env, rollout, update, train, population, small-batch"});
  expect_refused({"bench", "--device", "gpu"}, 2, {"--device gpu", "\"cuda:N\""});
  expect_refused({"bench", "--device", "cpu", "--filter", "network=3x64"}, 2, {"2x64, 2x256"});
  expect_refused({"bench", "--device", "cpu", "--filter", "network"}, 2, {"KEY=VALUE"});
  expect_refused({"bench", "--threads", "0"}, 2, {"--threads"});
  expect_refused({"bench", "--repeats", "0"}, 2, {"--repeats"});
  expect_refused({"bench", "--seconds", "nan"}, 2, {"--seconds"});
  expect_refused({"bench", "--list", "--json", "a.json"}, 2, {"--json"});
  expect_refused({"bench", "--tiny", "--short"}, 2, {"--tiny"});
  EXPECT_EQ(run({"bench", "--threads", "1", "update", "--list", "--device", "cpu"}).code, 0);
  expect_refused({"bench", "env", "--tiny", "--device", "cpu", "--json", "absent/a.json"}, 6,
                 {"absent"});
  Child child{{"bench", "env", "--tiny", "--device", "cuda"}};
  child.environment = {{"PENDULA_CUDA_PLUGIN", "absent.so"}};
  const Output o = run(child);
  EXPECT_EQ(o.code, 3);
  EXPECT_TRUE(contains(o.err, {"no GPU can be used", "absent.so"}));
}

}  // namespace
}  // namespace pendula
