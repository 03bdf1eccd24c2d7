// Bits on the GPU: a run that is put away and taken up again at any point, through memory as a
// checkpoint does it, equals the uninterrupted one; an agent of a population equals that agent
// alone.
#include <gtest/gtest.h>

#include <cstring>
#include <memory>

#include "host/cuda/backend.h"
#include "tests/variants.h"

namespace pendula {
namespace {

constexpr uint64_t kIterations = 40;

// Warm-up ends at iteration 8; the ring of 20 rows wraps at 20.
Config small_config() {
  Config c;
  c.seed = 11;
  c.env.num_envs = 4;
  c.env.max_episode_steps = 9;
  c.actor.hidden = {16};
  c.critic.hidden = {16};
  c.ddpg.batch_size = 16;
  c.ddpg.updates_per_step = 0.25;
  c.replay.capacity = 80;
  c.replay.warmup_steps = 32;
  return c;
}

void run_until(Backend& b, uint64_t until) {
  const std::atomic<bool> stop{false};
  RunResult r;
  do {
    r = b.run(until, stop);
  } while (r.iteration < until && r.reason == HaltReason::kTime);
  ASSERT_EQ(r.iteration, until);
}

std::vector<char> bytes_of(const Backend& b, uint64_t first, uint64_t count) {
  std::vector<char> all(count);
  b.read(first, count, all.data());
  return all;
}
std::vector<char> state(const Backend& b) {
  return bytes_of(b, 0, static_cast<uint64_t>(b.tensors().agents) * b.tensors().agent_bytes);
}

// Each environment, noise and option of the algorithm.
class CudaResumeOf : public testing::TestWithParam<Variant> {
 protected:
  static Config config() {
    Config c = small_config();
    GetParam().apply(c);
    return c;
  }
};
INSTANTIATE_TEST_SUITE_P(Variants, CudaResumeOf, testing::ValuesIn(kVariants),
                         [](const auto& info) { return std::string(info.param.name); });

TEST_P(CudaResumeOf, AtTwentyPointsTheBitsAreThoseOfOneRun) {
  const Config c = config();
  CudaBackend whole(c, 0);
  whole.initialise();
  run_until(whole, kIterations);
  const std::vector<char> expected = state(whole);
  CudaBackend first(c, 0);
  first.initialise();
  for (uint64_t split = 1; split < kIterations; split += 2) {  // 20 of them
    run_until(first, split);
    const std::vector<char> saved = state(first);
    CudaBackend second(c, 0);
    second.write(0, saved.size(), saved.data());
    run_until(second, kIterations);
    EXPECT_TRUE(state(second) == expected) << "split at iteration " << split;
  }
}

// A stop that is always asked for cuts a launch after every slice of an iteration.
TEST(CudaResume, InTheMiddleOfAnIteration) {
  Config c = small_config();
  c.ddpg.updates_per_step = 17.5;  // 70 updates: two slices
  CudaBackend whole(c, 0);
  whole.initialise();
  run_until(whole, 12);
  CudaBackend cut(c, 0);
  cut.initialise();
  const std::atomic<bool> stop{true};
  uint64_t iteration = 0;
  for (int slices = 1; slices <= 2 * 12 && iteration < 12; ++slices) {
    iteration = cut.run(12, stop).iteration;
    const std::vector<char> saved = state(cut);
    cut.write(0, saved.size(), saved.data());
  }
  EXPECT_EQ(iteration, 12u);
  EXPECT_TRUE(state(cut) == state(whole));
}

TEST_P(CudaResumeOf, AnAgentInCompanyIsTheAgentAlone) {
  Config c = config();
  c.agents = 3;
  CudaBackend three(c, 0);
  three.initialise();
  run_until(three, kIterations);
  const uint64_t part = three.tensors().agent_bytes;
  for (uint64_t k = 0; k < 3; ++k) {
    Config alone = config();
    alone.seed += k;
    CudaBackend one(alone, 0);
    one.initialise();
    run_until(one, kIterations);
    ASSERT_EQ(one.tensors().agent_bytes, part);
    EXPECT_TRUE(bytes_of(three, k * part, part) == state(one)) << "agent " << k;
  }
}

}  // namespace
}  // namespace pendula
