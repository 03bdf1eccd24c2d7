// agents.npy: its bytes, torn writes, full disks, and what a resume takes back.
#include "host/agent_records.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <sstream>

#include "host/error.h"
#include "tests/contains.h"

namespace pendula {
namespace {

namespace fs = std::filesystem;

constexpr size_t kHeader = 1024, kRecord = 128;

class AgentRecordsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "pendula_agents_XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    root_ = name;
    file_ = root_ / "agents.npy";
  }
  void TearDown() override { fs::remove_all(root_); }

  std::string content() const {
    std::ifstream in(file_, std::ios::binary);
    std::ostringstream out;
    out << in.rdbuf();
    return out.str();
  }
  void put(const std::string& bytes) const {
    std::ofstream(file_, std::ios::binary | std::ios::trunc) << bytes;
  }
  // Steps of each record that the header counts, evaluations as negative numbers. Fails where the
  // file holds less.
  std::vector<int64_t> steps() const {
    const std::string bytes = content();
    const size_t at = bytes.find("'shape': (");
    if (at == std::string::npos) return {};
    const size_t count = std::stoull(bytes.substr(at + 10));
    EXPECT_GE(bytes.size(), kHeader + count * kRecord);
    std::vector<int64_t> all;
    for (size_t i = 0; i < count; ++i) {
      AgentRecord record;
      std::memcpy(static_cast<void*>(&record), bytes.data() + kHeader + i * kRecord, kRecord);
      const int64_t step = static_cast<int64_t>(record.timesteps);
      all.push_back(std::string(record.kind) == "eval" ? -step : step);
    }
    return all;
  }

  fs::path root_, file_;
};

std::vector<AgentRecord> reports(uint64_t timesteps, uint64_t agents = 2) {
  std::vector<AgentRecord> all;
  for (uint64_t k = 0; k < agents; ++k) {
    ReportRow row{};
    row.agent = k;
    row.timesteps = timesteps;
    all.push_back(report_record(row, false));
  }
  return all;
}

std::vector<AgentRecord> evaluations(uint64_t timesteps) {
  std::vector<AgentRecord> all;
  for (uint64_t k = 0; k < 2; ++k) {
    all.push_back(evaluation_record({{"agent", k},
                                     {"time/total_timesteps", timesteps},
                                     {"eval/mean_reward", -1.5},
                                     {"eval/std_reward", nullptr},
                                     {"eval/mean_ep_length", 200.0},
                                     {"eval/episodes", 4}},
                                    77, k == 1));
  }
  return all;
}

using Steps = std::vector<int64_t>;

TEST_F(AgentRecordsTest, BytesAreThoseOfNumPy) {
  AgentRecordsWriter writer(file_);
  ReportRow row{};
  row.agent = 3;
  row.timesteps = 800;
  row.updates = 400;
  row.row_updates = 4;
  row.critic_loss_sum = 2;
  writer.write({report_record(row, true)});
  const std::string bytes = content();  // before the writer is closed
  ASSERT_EQ(bytes.size(), kHeader + kRecord);
  EXPECT_EQ(bytes.substr(0, 10), std::string("\x93NUMPY\x01\x00\xf6\x03", 10));
  EXPECT_EQ(bytes.substr(10, 74),
            "{'descr': [('kind', '|S8'), ('agent', '<u8'), ('time/total_timesteps', '<u");
  EXPECT_NE(bytes.find("'fortran_order': False, 'shape': (1,), }"), std::string::npos);
  EXPECT_EQ(bytes[kHeader - 1], '\n');
  EXPECT_EQ(bytes.substr(kHeader, 8), std::string("report\0\0", 8));
  const auto word = [&](size_t column) {
    uint64_t value;
    std::memcpy(&value, bytes.data() + kHeader + 8 * column, 8);
    return value;
  };
  const auto number = [&](size_t column) {
    double value;
    std::memcpy(&value, bytes.data() + kHeader + 8 * column, 8);
    return value;
  };
  EXPECT_EQ(word(1), 3u);
  EXPECT_EQ(word(2), 800u);
  EXPECT_EQ(word(3), 400u);
  EXPECT_EQ(word(4), 1u);
  EXPECT_TRUE(std::isnan(number(5))) << "no episode ended";
  EXPECT_EQ(number(7), 0.5);
  EXPECT_TRUE(std::isnan(number(12))) << "no evaluation";
  EXPECT_EQ(word(15), 0u);
}

TEST_F(AgentRecordsTest, AppendsToWhatIsThere) {
  AgentRecordsWriter(file_).write(reports(10));
  AgentRecordsWriter writer(file_);
  writer.write(evaluations(10));
  writer.write(reports(20));
  EXPECT_EQ(steps(), (Steps{10, 10, -10, -10, 20, 20}));
  EXPECT_FALSE(writer.failed());
}

// A kill at any byte of the second write, and in the middle of the header of a new file.
TEST_F(AgentRecordsTest, WhatAKillToreIsCut) {
  AgentRecordsWriter(file_).write(reports(10));
  const std::string before = content();
  AgentRecordsWriter(file_).write(reports(20));
  const std::string after = content();
  for (size_t bytes = before.size(); bytes <= after.size(); bytes += 31) {
    put(before + after.substr(before.size(), bytes - before.size()));  // appended, not counted
    EXPECT_EQ(steps(), (Steps{10, 10}));
    AgentRecordsWriter(file_).write(reports(30));
    ASSERT_EQ(steps(), (Steps{10, 10, 30, 30})) << bytes;
    EXPECT_EQ(content().size(), kHeader + 4 * kRecord);
  }
  put(after.substr(0, after.size() - 1));  // a disk that lost the end of what was counted
  AgentRecordsWriter(file_).write(reports(30));
  EXPECT_EQ(steps(), (Steps{10, 10, 20, 30, 30}));
  for (const size_t bytes : {0u, 1u, 9u, 500u, 1023u}) {
    put(after.substr(0, bytes));
    AgentRecordsWriter(file_).write(reports(30));
    EXPECT_EQ(steps(), (Steps{30, 30})) << bytes;
  }
}

TEST_F(AgentRecordsTest, CutsBackToACheckpoint) {
  cut_agent_records(file_, 10, 10);  // nothing there, nothing made
  EXPECT_FALSE(fs::exists(file_));
  const auto fill = [&] {
    fs::remove(file_);
    AgentRecordsWriter writer(file_);
    for (const uint64_t at : {10, 20, 30}) {
      writer.write(reports(at));
      writer.write(evaluations(at));
    }
  };
  fill();
  cut_agent_records(file_, 20, 20);
  EXPECT_EQ(steps(), (Steps{10, 10, -10, -10, 20, 20, -20, -20}));
  EXPECT_EQ(content().size(), kHeader + 8 * kRecord);
  cut_agent_records(file_, 20, 19);  // that evaluation is to be repeated
  EXPECT_EQ(steps(), (Steps{10, 10, -10, -10, 20, 20}));
  cut_agent_records(file_, 0, 0);
  EXPECT_EQ(steps(), Steps{});
  AgentRecordsWriter(file_).write(reports(5));
  EXPECT_EQ(steps(), (Steps{5, 5}));
  fill();
  const std::string whole = content();
  put(whole + "torn");
  cut_agent_records(file_, 100, 100);
  EXPECT_EQ(content(), whole);
}

TEST_F(AgentRecordsTest, AnotherVersionsFileIsLeftAlone) {
  AgentRecordsWriter(file_).write(reports(10));
  std::string other = content();
  other.replace(other.find("critic_loss"), 11, "critic_lose");
  put(other);
  AgentRecordsWriter writer(file_);
  writer.write(reports(20));
  EXPECT_TRUE(writer.failed());
  EXPECT_EQ(content(), other);
  try {
    cut_agent_records(file_, 10, 10);
    FAIL() << "nothing was thrown";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kFiles);
    EXPECT_TRUE(contains(error.what(), {file_.string(), "other records", "move it away"}));
  }
}

TEST_F(AgentRecordsTest, AFailureDoesNotStopTheRun) {
  for (const fs::path& path : {fs::path("/dev/full"), root_ / "none" / "agents.npy"}) {
    AgentRecordsWriter writer(path);
    for (int i = 0; i < 3; ++i) EXPECT_NO_THROW(writer.write(reports(10)));
    EXPECT_TRUE(writer.failed());
  }
}

// A disk that fills up in the middle of a write and is freed later, in a child: the limit is a
// process's.
TEST_F(AgentRecordsTest, RecordsComeBackWithTheSpace) {
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    ::signal(SIGXFSZ, SIG_IGN);
    AgentRecordsWriter writer(file_);
    writer.write(reports(10));
    rlimit limits;
    if (::getrlimit(RLIMIT_FSIZE, &limits) != 0) ::_exit(1);
    const rlim_t before = limits.rlim_cur;
    limits.rlim_cur = kHeader + 3 * kRecord + 7;
    if (::setrlimit(RLIMIT_FSIZE, &limits) != 0) ::_exit(1);
    writer.write(reports(20));
    writer.write(reports(30));
    limits.rlim_cur = before;
    if (::setrlimit(RLIMIT_FSIZE, &limits) != 0) ::_exit(1);
    writer.write(reports(40));
    ::_exit(writer.failed() ? 0 : 2);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
  EXPECT_EQ(steps(), (Steps{10, 10, 40, 40}));
}

}  // namespace
}  // namespace pendula
