// Run directories: their names, what RUN means on the command line, one writer at a time, and what
// resuming takes back.
#include "host/run_directory.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "host/agent_records.h"
#include "host/checkpoint.h"
#include "host/error.h"
#include "tests/contains.h"

namespace pendula {
namespace {

namespace fs = std::filesystem;

class NoArena : public ArenaAccess {
 public:
  void read(uint64_t, uint64_t, void*) const override {}
  void write(uint64_t, uint64_t, const void*) override {}
};

void save_empty(const fs::path& dir, int64_t timesteps) {
  save_checkpoint(dir, TensorTable{{}, 1, 0}, NoArena(), true, {{kTimestepsKey, timesteps}});
}

std::string slurp(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

void spit(const fs::path& path, const std::string& text) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << text;
}

template <class Call>
std::string error_of(Call call, ExitCode code = ExitCode::kFiles) {
  try {
    call();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code);
    return error.what();
  }
  ADD_FAILURE() << "nothing was thrown";
  return "";
}

class RunDirectoryTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "pendula_runs_XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    root_ = name;
    parent_ = root_ / "runs";
    std::tm local = {};
    local.tm_year = 2024 - 1900;
    local.tm_mon = 1;
    local.tm_mday = 29;
    local.tm_hour = 13;
    local.tm_min = 4;
    local.tm_sec = 5;
    local.tm_isdst = -1;
    now_ = std::mktime(&local);
  }
  void TearDown() override { fs::remove_all(root_); }

  RunDirectory create() {
    RunDirectory run = RunDirectory::create(parent_, "pendulum", 7, now_);
    run.write_config({{"name", "pendulum"}});
    return run;
  }

  ResolvedRun resolve(const std::string& run) { return resolve_run(run, parent_); }
  std::string unresolved(const std::string& run) {
    return error_of([&] { resolve(run); });
  }

  fs::path root_, parent_;
  std::time_t now_;
};

TEST_F(RunDirectoryTest, NamesFollowTimeAndSeedAndNeverCollide) {
  const RunDirectory a = create(), b = create(), c = create();
  const fs::path base = parent_ / "pendulum" / "2024-02-29_13-04-05_s7";
  EXPECT_EQ(a.path(), base);
  EXPECT_EQ(b.path(), base.string() + "_2");
  EXPECT_EQ(c.path(), base.string() + "_3");
  EXPECT_EQ(a.checkpoint(1500), base / "checkpoints" / "step_000000001500");
  EXPECT_EQ(slurp(base / "config.json"), "{\n  \"name\": \"pendulum\"\n}\n");
}

TEST_F(RunDirectoryTest, LatestPointsToTheNewestAndSurvivesAMove) {
  const RunDirectory a = create();
  save_empty(a.checkpoint(10), 10);
  EXPECT_EQ(resolve("latest").run_dir, a.path());
  const RunDirectory b = create();
  save_empty(b.checkpoint(20), 20);
  EXPECT_EQ(resolve("latest").run_dir, b.path());
  EXPECT_EQ(fs::read_symlink(parent_ / "latest"), fs::path("pendulum") / b.path().filename());
  EXPECT_EQ(std::distance(fs::directory_iterator(parent_), {}), 2);  // pendulum, latest

  fs::rename(parent_, root_ / "moved");
  parent_ = root_ / "moved";
  EXPECT_EQ(resolve("latest").run_dir, parent_ / "pendulum" / b.path().filename());
}

TEST_F(RunDirectoryTest, ALatestThatCannotBeReplacedDoesNotStopTheRun) {
  fs::create_directories(parent_ / "latest" / "something");
  const RunDirectory a = create();
  EXPECT_TRUE(fs::exists(a.path() / "config.json"));
  EXPECT_EQ(std::distance(fs::directory_iterator(parent_), {}), 2);
}

TEST_F(RunDirectoryTest, NamesThatLeadElsewhereAreRefused) {
  for (const char* name : {"", "..", ".hidden", "a/b", "latest", "a@b", "a\nb"}) {
    const auto make = [&] { RunDirectory::create(parent_, name, 1, now_); };
    EXPECT_TRUE(contains(error_of(make, ExitCode::kUsage), {"\"name\""})) << name;
  }
  EXPECT_FALSE(fs::exists(parent_));
}

TEST_F(RunDirectoryTest, AParentThatIsAFileIsASentence) {
  spit(root_ / "file", "x");
  parent_ = root_ / "file";
  EXPECT_TRUE(contains(error_of([&] { create(); }), {"cannot create", "--run-dir"}));
}

TEST_F(RunDirectoryTest, ResolvesStepsBestAndPaths) {
  const RunDirectory run = create();
  const std::string path = run.path().string();
  EXPECT_TRUE(contains(unresolved(path), {"no checkpoint"}));
  for (int64_t step : {20000, 10000}) save_empty(run.checkpoint(step), step);
  EXPECT_TRUE(contains(unresolved("latest@best"), {"best", "there are @10000, @20000"}));
  save_empty(run.best(), 10000);

  EXPECT_EQ(resolve("latest").checkpoint, run.checkpoint(20000));
  EXPECT_EQ(resolve("latest@10000").checkpoint, run.checkpoint(10000));
  EXPECT_EQ(resolve("latest@best").checkpoint, run.best());
  EXPECT_EQ(resolve(path + "@10000").checkpoint, run.checkpoint(10000));
  EXPECT_EQ(resolve(path + "/@best").checkpoint, run.best());
  EXPECT_EQ(resolve(path + "/").run_dir, run.path());
  EXPECT_EQ(resolve((parent_ / "latest").string()).checkpoint,
            parent_ / "latest/checkpoints/step_000000020000");
  EXPECT_EQ(resolve(run.checkpoint(10000).string() + "/").run_dir, run.path());
  EXPECT_EQ(resolve(run.best().string()).run_dir, run.path());
}

TEST_F(RunDirectoryTest, UnresolvableSaysWhatThereIs) {
  EXPECT_TRUE(contains(unresolved("latest"), {"there is no", "latest"}));
  const RunDirectory run = create();
  save_empty(run.checkpoint(10000), 10000);
  save_empty(run.best(), 10000);
  EXPECT_TRUE(contains(unresolved("latest@20000"), {"step 20000", "there are @best, @10000"}));
  EXPECT_TRUE(contains(unresolved("latest@bset"), {"neither @best nor @STEP", "@10000"}));
  EXPECT_TRUE(contains(unresolved("latest@"), {"nothing stands behind"}));
  EXPECT_TRUE(contains(unresolved("latest@99999999999999999999"), {"neither"}));
  EXPECT_TRUE(contains(unresolved(""), {"name a run"}));
  EXPECT_TRUE(contains(unresolved("no/such"), {"no such directory"}));
  EXPECT_TRUE(contains(unresolved((parent_ / "pendulum").string()),
                       {"no config.json", run.path().string()}));
  fs::remove_all(run.path());
  EXPECT_TRUE(contains(unresolved("latest"), {"points to"}));
}

TEST_F(RunDirectoryTest, OneProcessAtATime) {
  fs::path path;
  {
    const RunDirectory run = create();
    path = run.path();
    EXPECT_TRUE(contains(error_of([&] { RunDirectory::open(path); }),
                         {"in use by another process", std::to_string(::getpid())}));
  }
  const RunDirectory again = RunDirectory::open(path);  // free as soon as the owner is gone
  EXPECT_TRUE(contains(error_of([&] { RunDirectory::open(root_); }), {"not a run directory"}));
}

TEST_F(RunDirectoryTest, AKilledOwnerLeavesNoLock) {
  fs::path path = create().path();
  int ready[2];
  ASSERT_EQ(::pipe(ready), 0);
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    const RunDirectory run = RunDirectory::open(path);
    if (::write(ready[1], "x", 1) != 1) ::_exit(1);
    ::pause();
  }
  char byte;
  ASSERT_EQ(::read(ready[0], &byte, 1), 1);
  EXPECT_TRUE(contains(error_of([&] { RunDirectory::open(path); }), {std::to_string(child)}));
  ::kill(child, SIGKILL);
  ASSERT_EQ(::waitpid(child, nullptr, 0), child);
  EXPECT_NO_THROW(RunDirectory::open(path));
  ::close(ready[0]);
  ::close(ready[1]);
}

TEST_F(RunDirectoryTest, OpenClearsUpAfterAKilledSave) {
  fs::path path;
  {
    const RunDirectory run = create();
    path = run.path();
    save_empty(run.best(), 10);
    fs::rename(run.best(), path / ".old-best");
    fs::create_directory(path / "checkpoints" / ".tmp-step_000000000010-1");
    spit(path / ".tmp-result.json-1", "{");
  }
  const RunDirectory run = RunDirectory::open(path);
  EXPECT_TRUE(is_checkpoint(run.best()));
  EXPECT_FALSE(fs::exists(path / ".old-best"));
  EXPECT_FALSE(fs::exists(path / ".tmp-result.json-1"));
  EXPECT_TRUE(fs::is_empty(path / "checkpoints"));
}

std::string row(int64_t timesteps) {
  return "{\"time/total_timesteps\":" + std::to_string(timesteps) + ",\"train/q_mean\":null}\n";
}

TEST_F(RunDirectoryTest, RewindTakesBackWhatCameLater) {
  const RunDirectory run = create();
  for (int64_t step : {1000, 2000, 3000}) save_empty(run.checkpoint(step), step);
  save_empty(run.best(), 2000);
  run.write_result({{"eval/mean_reward", -150.0}});
  spit(run.metrics(), row(500) + row(1000) + row(2000) + row(2500) + row(3000));
  spit(run.evaluations(), row(1000) + row(2000) + row(3000));
  spit(run.exploits(), row(1000) + row(2000) + row(3000));
  for (const uint64_t step : {1000, 2000, 3000}) {
    ReportRow report{};
    report.timesteps = step;
    AgentRecordsWriter(run.agents()).write({report_record(report, false)});
  }
  const auto records = [&] { return (fs::file_size(run.agents()) - kAgentHeaderBytes) / 128; };

  run.rewind(2000);
  EXPECT_EQ(records(), 2u);
  EXPECT_EQ(slurp(run.exploits()), row(1000) + row(2000));
  EXPECT_FALSE(fs::exists(run.path() / "result.json"));
  EXPECT_EQ(list_checkpoints(run.path()).size(), 2u);
  EXPECT_TRUE(is_checkpoint(run.best()));
  EXPECT_EQ(slurp(run.metrics()), row(500) + row(1000) + row(2000));
  EXPECT_EQ(slurp(run.evaluations()), row(1000) + row(2000));

  run.rewind_events(2000);  // what the run does once it stands there
  EXPECT_EQ(records(), 2u) << "reports are no such thing";
  EXPECT_EQ(slurp(run.exploits()), row(1000));
  EXPECT_EQ(slurp(run.evaluations()), row(1000));
  EXPECT_EQ(slurp(run.metrics()), row(500) + row(1000) + row(2000));

  run.rewind(1000);  // the best of a future that did not happen goes too
  EXPECT_FALSE(is_checkpoint(run.best()));
  EXPECT_EQ(slurp(run.metrics()), row(500) + row(1000));
  EXPECT_EQ(list_checkpoints(run.path()).size(), 1u);
}

TEST_F(RunDirectoryTest, CutRowsToleratesTornAndForeignLines) {
  const fs::path file = root_ / "metrics.jsonl";
  cut_rows(file, 10);  // nothing there, nothing made
  EXPECT_FALSE(fs::exists(file));
  const std::string whole = row(10) + row(20);
  for (size_t cut = row(10).size(); cut < whole.size(); ++cut) {
    spit(file, whole.substr(0, cut));
    cut_rows(file, 100);
    ASSERT_EQ(slurp(file), row(10)) << "torn after " << cut << " bytes";
  }
  spit(file, "[]\n\n{\"a\":1}\n" + row(5) + "{\"time/to\n" + row(10) + row(11));
  cut_rows(file, 10);
  EXPECT_EQ(slurp(file), row(5) + row(10));
  EXPECT_EQ(std::distance(fs::directory_iterator(root_), {}), 1);  // no temporary stays
}

}  // namespace
}  // namespace pendula
