// Rows of metrics.jsonl and eval.jsonl, and a writer that never stops training.
#include "host/metrics.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/spdlog.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmath>
#include <cstdlib>
#include <fstream>
#include <limits>
#include <sstream>

#include "tests/contains.h"

namespace pendula {
namespace {

namespace fs = std::filesystem;
using nlohmann::ordered_json;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

ReportRow example_row() {
  ReportRow row = {};
  row.agent = 2;
  row.timesteps = 6000;
  row.updates = 3000;
  row.row_updates = 4;
  row.row_episodes = 2;
  row.episode_return_sum = -500.5;
  row.episode_length_sum = 300;
  row.critic_loss_sum = 2;
  row.actor_loss_sum = 8;
  row.q_sum = -8;
  row.grad_norm_actor_sum = 1;
  row.grad_norm_critic_sum = 4;
  return row;
}

TEST(MetricsRow, HasEveryNameAndMeans) {
  const ordered_json expected = {
      {"time/total_timesteps", 6000},     {"time/updates", 3000},
      {"time/time_elapsed", 4.0},         {"time/fps", 1000.0},
      {"time/updates_per_second", 500.0}, {"rollout/ep_rew_mean", -250.25},
      {"rollout/ep_len_mean", 150.0},     {"train/critic_loss", 0.5},
      {"train/actor_loss", 2.0},          {"train/q_mean", -2.0},
      {"train/grad_norm_actor", 0.25},    {"train/grad_norm_critic", 1.0}};
  // Resumed at step 2000 after 1000 updates: rates count what this process did.
  EXPECT_EQ(metrics_row(example_row(), {4.0, 2000, 1000}).dump(), expected.dump());
}

TEST(MetricsRow, UnknownAndNonFiniteAreNull) {
  ReportRow row = example_row();
  row.row_episodes = 0;
  row.critic_loss_sum = kNan;
  row.q_sum = std::numeric_limits<double>::infinity();
  ordered_json json = ordered_json::parse(metrics_row(row, {0.0, 6000, 0}).dump());
  for (const char* name : {"rollout/ep_rew_mean", "rollout/ep_len_mean", "train/critic_loss",
                           "train/q_mean", "time/fps", "time/updates_per_second"}) {
    EXPECT_TRUE(json.at(name).is_null()) << name;
  }
  EXPECT_EQ(json["train/actor_loss"], 2.0);
  row.row_updates = 0;
  EXPECT_TRUE(metrics_row(row, {1.0, 0, 0}).at("train/actor_loss").is_null());
}

TEST(EvaluationRows, MeanAndPopulationDeviationPerAgent) {
  const Evaluation evaluation = {{1, 2, 3, 4, 10, 10, 10, 10}, {5, 5, 5, 7, 1, 1, 1, 1}};
  const auto rows = evaluation_rows(evaluation, 2, 777);
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows[0]["agent"], 0);
  EXPECT_EQ(rows[0]["time/total_timesteps"], 777);
  EXPECT_EQ(rows[0]["eval/mean_reward"], 2.5);
  EXPECT_DOUBLE_EQ(rows[0]["eval/std_reward"], std::sqrt(1.25));
  EXPECT_EQ(rows[0]["eval/mean_ep_length"], 5.5);
  EXPECT_EQ(rows[0]["eval/episodes"], 4);
  EXPECT_EQ(rows[1]["eval/std_reward"], 0.0);
  EXPECT_FALSE(evaluation_rows(evaluation, 1, 777)[0].contains("agent"));
  EXPECT_THROW(evaluation_rows(evaluation, 3, 777), std::logic_error);
  EXPECT_TRUE(evaluation_rows({{kNan}, {1}}, 1, 0)[0]["eval/std_reward"].is_null());
}

class MetricsWriterTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "pendula_metrics_XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    root_ = name;
    file_ = root_ / "metrics.jsonl";
    old_logger_ = spdlog::default_logger();
    spdlog::set_default_logger(std::make_shared<spdlog::logger>(
        "test", std::make_shared<spdlog::sinks::ostream_sink_mt>(log_)));
  }
  void TearDown() override {
    spdlog::set_default_logger(old_logger_);
    fs::remove_all(root_);
  }

  std::string content() {
    std::ifstream in(file_, std::ios::binary);
    std::ostringstream out;
    out << in.rdbuf();
    return out.str();
  }
  size_t warnings() {
    size_t count = 0;
    const std::string log = log_.str();
    for (size_t at = 0; (at = log.find("cannot write", at)) != std::string::npos; ++at) ++count;
    return count;
  }

  fs::path root_, file_;
  std::ostringstream log_;
  std::shared_ptr<spdlog::logger> old_logger_;
};

TEST_F(MetricsWriterTest, AppendsALineAtOnce) {
  MetricsWriter(file_).write({{"a", 1}});
  MetricsWriter writer(file_);
  writer.write({{"b", kNan}});
  EXPECT_EQ(content(), "{\"a\":1}\n{\"b\":null}\n");  // before the writer is closed
  EXPECT_FALSE(writer.failed());
}

TEST_F(MetricsWriterTest, DoesNotGlueARowToATornOne) {
  std::ofstream(file_) << "{\"a\":1}\n{\"b\":";
  MetricsWriter writer(file_);
  writer.write({{"c", 3}});
  writer.write({{"d", 4}});
  EXPECT_EQ(content(), "{\"a\":1}\n{\"b\":\n{\"c\":3}\n{\"d\":4}\n");
}

TEST_F(MetricsWriterTest, WarnsOnceWhereItCannotWrite) {
  for (const fs::path& path : {fs::path("/dev/full"), root_ / "none" / "metrics.jsonl"}) {
    log_.str("");
    MetricsWriter writer(path);
    for (int i = 0; i < 5; ++i) EXPECT_NO_THROW(writer.write({{"a", i}}));
    EXPECT_TRUE(writer.failed());
    EXPECT_EQ(warnings(), 1u) << log_.str();
    EXPECT_TRUE(contains(log_.str(), {path.string(), "training goes on"}));
  }
}

// A disk that fills up in the middle of a row and is freed later, in a child: the limit is a
// process's.
TEST_F(MetricsWriterTest, RowsComeBackWithTheSpace) {
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    ::signal(SIGXFSZ, SIG_IGN);
    MetricsWriter writer(file_);
    writer.write({{"a", 1}});
    rlimit limits;
    if (::getrlimit(RLIMIT_FSIZE, &limits) != 0) ::_exit(1);
    const rlim_t before = limits.rlim_cur;
    limits.rlim_cur = 10;  // "{"a":1}\n" has 8 bytes
    if (::setrlimit(RLIMIT_FSIZE, &limits) != 0) ::_exit(1);
    writer.write({{"b", 2}});
    writer.write({{"c", 3}});
    limits.rlim_cur = before;
    if (::setrlimit(RLIMIT_FSIZE, &limits) != 0) ::_exit(1);
    writer.write({{"d", 4}});
    ::_exit(writer.failed() ? 0 : 2);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
  EXPECT_EQ(content(), "{\"a\":1}\n{\"\n{\"d\":4}\n");
}

}  // namespace
}  // namespace pendula
