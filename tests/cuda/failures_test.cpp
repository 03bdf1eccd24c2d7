// What a person sees when the GPU, its driver or its memory fails: a sentence and the right exit
// code, never a crash. Each case is a process of its own (this program with --train), in which the
// simulator makes one call fail; on a real GPU only the cases that need no simulator run.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "host/cuda_loader.h"
#include "host/error.h"

namespace pendula {
namespace {

// A short run through the plug-in. wide: networks that spill beyond shared memory.
int train(bool wide) {
  Config c;
  c.plan = "grid";  // one kernel for each program: many launches
  c.env.num_envs = 4;
  c.actor.hidden = wide ? std::vector<int64_t>{600, 300} : std::vector<int64_t>{16};
  c.critic.hidden = {16};
  c.ddpg.batch_size = 32;
  c.ddpg.updates_per_step = 0.25;
  c.env.max_episode_steps = 10;
  c.replay.capacity = 400;
  c.replay.warmup_steps = 4;
  try {
    const std::unique_ptr<Backend> b = make_cuda_backend(c, 0);
    b->initialise();
    const std::atomic<bool> stop{false};
    b->run(2, stop);
    b->evaluate(3);
    b->faults();
  } catch (const Error& e) {
    std::fprintf(stderr, "%s\n", e.what());
    return static_cast<int>(e.code());
  }
  return 0;
}

// Every probe of `pendula bench machine` once, through the plug-in.
int probe() {
  try {
    for (const Probe& p : load_cuda_probes(0, true)) p.call();
  } catch (const Error& e) {
    std::fprintf(stderr, "%s\n", e.what());
    return static_cast<int>(e.code());
  }
  return 0;
}

struct Outcome {
  int exit_code;  // or 1000 + signal
  std::string words;
};

Outcome run_with(const std::vector<std::pair<std::string, std::string>>& variables,
                 const char* mode = "--train") {
  int ends[2];
  EXPECT_EQ(pipe(ends), 0);
  const pid_t child = fork();
  if (child == 0) {
    for (const auto& [name, value] : variables) setenv(name.c_str(), value.c_str(), 1);
    dup2(ends[1], STDOUT_FILENO);
    dup2(ends[1], STDERR_FILENO);
    close(ends[0]);
    execl("/proc/self/exe", "failures_test", mode, static_cast<char*>(nullptr));
    _exit(127);
  }
  close(ends[1]);
  Outcome o;
  char buffer[4096];
  for (ssize_t n; (n = read(ends[0], buffer, sizeof buffer)) > 0;) {
    o.words.append(buffer, static_cast<size_t>(n));
  }
  close(ends[0]);
  int status = 0;
  waitpid(child, &status, 0);
  o.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
  return o;
}

bool simulated() {
  const char* preload = std::getenv("LD_PRELOAD");
  return preload != nullptr && std::strstr(preload, "libcudart") != nullptr;
}

void expect(const Outcome& o, ExitCode code, const std::string& words) {
  EXPECT_EQ(o.exit_code, static_cast<int>(code)) << o.words;
  EXPECT_NE(o.words.find(words), std::string::npos) << o.words;
}

// Makes the n-th call fail for n = 1, 2, ... until a run has fewer calls; every failure must end
// with `code` and the words. Expects at least `at_least` such calls.
void fail_each(const std::string& variable, ExitCode code, const std::string& words, int at_least,
               const char* mode, int step = 1) {
  if (!simulated()) GTEST_SKIP() << "needs the simulator to make a call fail";
  constexpr int kMost = 400;
  int n = 1;
  for (; n < kMost; n += n < 4 ? 1 : step) {
    SCOPED_TRACE(variable + "=" + std::to_string(n));
    const Outcome o = run_with({{variable, std::to_string(n)}}, mode);
    if (o.exit_code == 0) break;
    expect(o, code, words);
  }
  EXPECT_GT(n, at_least);
  EXPECT_LT(n, kMost);
}

TEST(CudaFailures, NothingFails) {
  const Outcome o = run_with({});
  EXPECT_EQ(o.exit_code, 0);
  EXPECT_EQ(o.words, "");
}
TEST(CudaFailures, EachAllocation) {
  fail_each("CUDASIM_FAIL_MALLOC", ExitCode::kMemory, "out of", 3, "--train-wide");
}
TEST(CudaFailures, EachLaunch) {
  fail_each("CUDASIM_FAIL_LAUNCH", ExitCode::kDevice, "reported an error", 100, "--train", 23);
}
TEST(CudaFailures, EachCopy) {
  fail_each("CUDASIM_FAIL_MEMCPY", ExitCode::kDevice, "cudaMemcpyAsync", 3, "--train");
}
TEST(CudaFailures, EachSynchronisation) {
  fail_each("CUDASIM_FAIL_SYNC", ExitCode::kDevice, "cuda", 1, "--train");
}
TEST(CudaFailures, EachAllocationOfTheProbes) {
  fail_each("CUDASIM_FAIL_MALLOC", ExitCode::kMemory, "end what else uses this GPU", 10, "--probes",
            3);
}
TEST(CudaFailures, EachLaunchOfTheProbes) {  // plain, cluster, cooperative and graph launches
  fail_each("CUDASIM_FAIL_LAUNCH", ExitCode::kDevice, "reported an error", 60, "--probes", 9);
}
TEST(CudaFailures, ErrorsThatStay) {  // cudaErrorIllegalAddress: every later call fails, too
  if (!simulated()) GTEST_SKIP() << "needs the simulator";
  for (const char* variable : {"CUDASIM_FAIL_LAUNCH", "CUDASIM_FAIL_SYNC", "CUDASIM_FAIL_MEMCPY"}) {
    const Outcome o = run_with({{variable, "2:700"}});
    expect(o, ExitCode::kDevice, "cudaErrorIllegalAddress");
    const size_t first = o.words.find("cudaErrorIllegalAddress");  // and said once
    EXPECT_EQ(o.words.find("cudaErrorIllegalAddress", first + 1), std::string::npos) << o.words;
  }
}
TEST(CudaFailures, NoDevice) {
  if (!simulated()) GTEST_SKIP() << "needs the simulator";
  expect(run_with({{"CUDASIM_DEVICES", "0"}}), ExitCode::kDevice, "sees no NVIDIA GPU");
}
TEST(CudaFailures, DriverTooOldOrMissing) {
  if (!simulated()) GTEST_SKIP() << "needs the simulator";
  expect(run_with({{"CUDASIM_DRIVER", "insufficient"}}), ExitCode::kDevice, "driver");
}
TEST(CudaFailures, MemoryOfTheDeviceIsTooSmall) {
  if (!simulated()) GTEST_SKIP() << "needs the simulator";
  expect(run_with({{"CUDASIM_MEMORY", "1M"}}, "--train-wide"), ExitCode::kMemory,
         "replay.capacity");
}
TEST(CudaFailures, PluginMissing) {
  expect(run_with({{"PENDULA_CUDA_PLUGIN", "/nowhere/libpendula_cuda.so"}}), ExitCode::kDevice,
         "does not exist");
}
TEST(CudaFailures, PluginIsSomethingElse) {
  expect(run_with({{"PENDULA_CUDA_PLUGIN", "/etc/passwd"}}), ExitCode::kDevice, "cannot be opened");
}

}  // namespace
}  // namespace pendula

int main(int argc, char** argv) {
  setenv("PENDULA_CUDA_PLUGIN", PENDULA_CUDA_PLUGIN_FILE, 0);
  if (argc > 1 && std::strcmp(argv[1], "--train") == 0) return pendula::train(false);
  if (argc > 1 && std::strcmp(argv[1], "--train-wide") == 0) return pendula::train(true);
  if (argc > 1 && std::strcmp(argv[1], "--probes") == 0) return pendula::probe();
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
