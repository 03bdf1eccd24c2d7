// A process killed while saving, or a disk that is full, never costs the checkpoint that was there
// before.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <random>

#include "host/checkpoint.h"
#include "host/error.h"
#include "tests/checkpoint_testing.h"
#include "tests/contains.h"

namespace pendula {
namespace {

namespace fs = std::filesystem;

using CheckpointKilledTest = CheckpointTest;

TEST_F(CheckpointKilledTest, ReplacesAnOlderCheckpointWithAndWithoutExchange) {
  save();
  arena_.fill(7);
  save(false);  // the replay file of the older one must not stay
  EXPECT_EQ(entries(dir_), 2u);
  EXPECT_EQ(entries(dir_.parent_path()), 1u);

  const fs::path complete = root_ / "checkpoints" / ".tmp-new";
  for (bool exchange : {true, false}) {
    fs::create_directory(complete);
    spit(complete / "mark", exchange ? "a" : "b");
    replace_directory(complete, dir_, exchange);
    EXPECT_EQ(slurp(dir_ / "mark"), exchange ? "a" : "b");
    EXPECT_EQ(entries(dir_.parent_path()), 1u);
  }
}

TEST_F(CheckpointKilledTest, KilledBetweenTwoRenamesTheOldOneIsFoundAndComesBack) {
  save();
  fs::rename(dir_, dir_.parent_path() / (".old-" + dir_.filename().string()));
  VectorArena loaded(arena_.bytes().size());
  EXPECT_TRUE(load_checkpoint(dir_, table_, loaded).exact);
  recover_checkpoints(dir_.parent_path());
  EXPECT_TRUE(fs::exists(dir_ / "manifest.json"));
  EXPECT_EQ(entries(dir_.parent_path()), 1u);
}

TEST_F(CheckpointKilledTest, KilledWhileSavingThePreviousCheckpointLoads) {
  save();
  std::mt19937 random(5);
  int killed_midway = 0;
  for (int round = 0; round < 30; ++round) {
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      for (uint32_t i = 0;; ++i) {
        // Every tensor of one save is filled with one seed, so that a mixture of two is seen.
        arena_.fill(i % 8);
        save_checkpoint(dir_, table_, arena_, true, {{kTimestepsKey, i % 8}});
      }
    }
    ::usleep(1000 + random() % 20000);
    ::kill(child, SIGKILL);
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status)) << "the child failed by itself";
    killed_midway += entries(dir_.parent_path()) > 1;

    VectorArena loaded(arena_.bytes().size()), expected(arena_.bytes().size());
    const LoadedCheckpoint result = load_checkpoint(dir_, table_, loaded);
    const bool first = result.info.contains("config");
    expected.fill(first ? 1 : result.info[kTimestepsKey].get<uint32_t>());
    ASSERT_EQ(tensor_bytes(table_, loaded, true), tensor_bytes(table_, expected, true));
  }
  EXPECT_GT(killed_midway, 5) << "the kills hardly ever met a save: the test proves little";
  arena_.fill(1);
  save();
  EXPECT_EQ(entries(dir_.parent_path()), 1u);  // what the killed ones left is gone
}

// A full disk: the kernel refuses writes beyond a limit, in a child so that the limit ends with it.
TEST_F(CheckpointKilledTest, FullDiskLeavesTheOldCheckpointAndNoTemporary) {
  save();
  for (rlim_t limit : {0, 100, 2000, 7000}) {
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      ::signal(SIGXFSZ, SIG_IGN);
      const rlimit limits{limit, limit};
      if (::setrlimit(RLIMIT_FSIZE, &limits) != 0) ::_exit(10);
      try {
        arena_.fill(9);
        save();
        ::_exit(11);
      } catch (const Error& error) {
        const std::string what = error.what();
        const bool good = error.code() == ExitCode::kFiles &&
                          what.find("File too large") != std::string::npos &&
                          what.find(".safetensors") != std::string::npos;
        ::_exit(good ? 0 : 12);
      }
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFEXITED(status));
    EXPECT_EQ(WEXITSTATUS(status), 0) << "limit " << limit;
    EXPECT_EQ(entries(dir_.parent_path()), 1u);
    VectorArena loaded(arena_.bytes().size());
    load_checkpoint(dir_, table_, loaded);
    EXPECT_EQ(tensor_bytes(table_, loaded, true), tensor_bytes(table_, arena_, true));
  }
}

}  // namespace
}  // namespace pendula
