// Config files: those that cannot be read, those that we ship, docs/config.md, and the verbs
// `pendula config show|check|diff`.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <random>

#include "host/cmd_config.h"
#include "host/config_docs.h"
#include "host/config_io.h"
#include "tests/config_testing.h"

namespace pendula {
namespace {

namespace fs = std::filesystem;

// The root of the source tree: this file is tests/config_files_test.cpp in it.
fs::path source_root() { return fs::path(__FILE__).parent_path().parent_path(); }

std::string slurp(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

// A file of its own for each test, removed afterwards.
class ConfigFile : public testing::Test {
 protected:
  void SetUp() override {
    folder_ =
        fs::temp_directory_path() /
        ("pendula_" + std::string(testing::UnitTest::GetInstance()->current_test_info()->name()) +
         std::to_string(std::random_device{}()));
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  std::string write(const std::string& name, const std::string& text) {
    const fs::path path = folder_ / name;
    std::ofstream(path, std::ios::binary) << text;
    return path.string();
  }
  fs::path folder_;
};

TEST_F(ConfigFile, FilesThatCannotBeRead) {
  const auto code_of = [](const std::string& path) {
    try {
      load_config(path);
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find(path), std::string::npos);
      return error.code();
    }
    return ExitCode::kDone;
  };
  EXPECT_EQ(code_of((folder_ / "missing.json").string()), ExitCode::kFiles);
  EXPECT_EQ(code_of(folder_.string()), ExitCode::kFiles);
  EXPECT_EQ(code_of(write("huge.json", std::string((16 << 20) + 1, ' '))), ExitCode::kFiles);
  EXPECT_EQ(code_of(write("empty.json", "")), ExitCode::kUsage);
  EXPECT_EQ(code_of(write("good.json", "{}")), ExitCode::kDone);
}

TEST_F(ConfigFile, ShowPrintsOnlyJsonThatReadsBack) {
  const std::string path = write("a.json", "{\"env\": {\"num_envs\": 48}}");
  std::ostringstream out, err;
  EXPECT_EQ(config_show(path, {"ddpg.gamma=0.9"}, false, out, err), 0);
  EXPECT_NE(err.str().find("rounded"), std::string::npos);
  const Config again = parse_config(out.str(), "shown");
  EXPECT_EQ(again.ddpg.gamma, 0.9);
  EXPECT_EQ(to_json(again).dump(2) + "\n", out.str());
  std::ostringstream quiet_out, quiet_err;
  config_show(path, {"ddpg.gamma=0.9"}, true, quiet_out, quiet_err);
  EXPECT_EQ(quiet_out.str(), out.str());
  EXPECT_EQ(quiet_err.str(), "");
}

TEST_F(ConfigFile, CheckTellsOfEveryFile) {
  const std::string good = write("good.json", "{\"report\": {\"interval\": 1600}}");
  const std::string bad = write("bad.json", "{\"seed\": -1, \"x\": 2}");
  std::ostringstream out, err;
  EXPECT_EQ(config_check({good, bad, "missing.json"}, {}, false, false, out, err), 2);
  EXPECT_EQ(out.str(), good + ": ok\n");
  EXPECT_NE(err.str().find(bad + ":1:10: /seed: -1"), std::string::npos);
  EXPECT_NE(err.str().find(bad + ":1:14: /x: unknown"), std::string::npos);
  EXPECT_NE(err.str().find("missing.json: no such file"), std::string::npos);
  std::ostringstream json_out;
  const std::string twice = write("twice.json", "{\"seed\": 1, \"seed\": 1}");
  EXPECT_EQ(config_check({"missing.json", good, bad, twice}, {}, true, false, json_out, err), 6);
  const auto files = nlohmann::json::parse(json_out.str())["files"];
  EXPECT_EQ(files[0]["ok"], false);
  ASSERT_EQ(files[0]["problems"].size(), 1u);
  EXPECT_EQ(files[0]["problems"][0]["kind"], "file");
  EXPECT_EQ(files[1]["ok"], true);
  EXPECT_EQ(files[1]["problems"], nlohmann::json::array());
  ASSERT_EQ(files[2]["problems"].size(), 2u);
  EXPECT_EQ(files[2]["problems"][0],
            (nlohmann::json{{"kind", "value"},
                            {"place", bad + ":1:10"},
                            {"pointer", "/seed"},
                            {"text", "-1 is not in [0, 18446744073709551615]"}}));
  EXPECT_EQ(files[3]["problems"][0]["kind"], "json");
  // A relation, and its message, are told apart from what is wrong by itself.
  std::ostringstream relation_out;
  EXPECT_EQ(config_check({good}, {"total_timesteps=1"}, true, false, relation_out, err), 2);
  const auto relation = nlohmann::json::parse(relation_out.str())["files"][0]["problems"][0];
  EXPECT_EQ(relation["kind"], "relation");
  EXPECT_EQ(relation["pointer"], "/total_timesteps");
}

TEST_F(ConfigFile, DiffPrintsOneLinePerKey) {
  const std::string a = write("a.json", "{\"seed\": 1}");
  const std::string b =
      write("b.json", "{\"seed\": 2, \"ddpg\": {\"gamma\": 0.98}, \"stop\": {\"seconds\": 5}}");
  std::ostringstream out, json_out, same;
  EXPECT_EQ(config_diff(a, b, false, out), 0);
  EXPECT_EQ(out.str(), "seed: 1 -> 2\nddpg.gamma: 0.99 -> 0.98\nstop.seconds: null -> 5.0\n");
  EXPECT_EQ(config_diff(a, b, true, json_out), 0);
  EXPECT_EQ(nlohmann::json::parse(json_out.str())["ddpg.gamma"][1], 0.98);
  config_diff(a, a, false, same);
  EXPECT_EQ(same.str(), "");
}

TEST(Config, TheShippedConfigsAreGood) {
  int count = 0;
  for (const auto& entry : fs::directory_iterator(source_root() / "configs")) {
    if (entry.path().extension() != ".json") continue;
    ++count;
    EXPECT_NO_THROW(load_config(entry.path().string())) << entry.path();
  }
  EXPECT_GE(count, 1);
}

TEST(Config, TheDocsPageIsTheTable) {
  EXPECT_TRUE(slurp(source_root() / "docs" / "config.md") == config_markdown())
      << "make docs/config.md anew from config_markdown()";
}

}  // namespace
}  // namespace pendula
