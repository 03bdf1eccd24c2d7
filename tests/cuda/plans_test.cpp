// The block plan and the cluster plan against the grid plan: the same programs in the same order,
// so the same bits; for one agent and for more than there are blocks; wherever a launch is cut.
#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>

#include "host/cuda/backend.h"
#include "host/error.h"
#include "host/training_state.h"
#include "tests/variants.h"

namespace pendula {
namespace {

// The simulator orders accesses to device memory of different blocks by the end of a launch and by
// the grid's barrier, not by a cluster's: here it looks at shared memory alone.
[[maybe_unused]] const int kRaceCheck = setenv("CUDASIM_RACECHECK", "1", 1);

Config small_config(const std::string& plan) {
  Config c;
  c.plan = plan;
  c.seed = 7;
  c.env.num_envs = 4;
  c.env.max_episode_steps = 12;
  c.actor.hidden = {16, 16};
  c.critic.hidden = {16, 16};
  c.ddpg.batch_size = 70;  // two parts
  c.ddpg.updates_per_step = 0.25;
  c.replay.capacity = 400;
  c.replay.warmup_steps = 16;
  c.report.interval = 20;
  c.precision = Precision::kFp32;
  return c;
}

std::unique_ptr<CudaBackend> start(const Config& c) {
  auto backend = std::make_unique<CudaBackend>(c, 0);
  backend->initialise();
  return backend;
}

std::vector<ReportRow> run_until(Backend& b, uint64_t until) {
  const std::atomic<bool> stop{false};
  std::vector<ReportRow> rows;
  RunResult r;
  do {
    r = b.run(until, stop);
    const auto more = b.take_reports();
    rows.insert(rows.end(), more.begin(), more.end());
  } while (r.reason == HaltReason::kTime);
  EXPECT_EQ(r.reason, HaltReason::kReached);
  EXPECT_EQ(r.iteration, until);
  return rows;
}

std::vector<char> state(const Backend& b) {
  std::vector<char> all(static_cast<size_t>(b.tensors().agents) * b.tensors().agent_bytes);
  b.read(0, all.size(), all.data());
  return all;
}

bool same(const std::vector<ReportRow>& a, const std::vector<ReportRow>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof a[0]) == 0;
}

// The bits of the grid plan, which takes the same products.
void expect_grids_bits(Config c, uint64_t iterations) {
  const std::string plan = c.plan;
  const auto b = start(c);
  ASSERT_EQ(b->device().meta.at("plan"), plan);
  c.plan = "grid";
  const auto grid = start(c);
  const auto want = run_until(*grid, iterations);
  const auto got = run_until(*b, iterations);
  EXPECT_EQ(state(*b), state(*grid));
  EXPECT_TRUE(same(got, want));
}

class Plans : public testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(Both, Plans, testing::Values("block", "cluster"));

TEST_P(Plans, GiveTheGridsBits) { expect_grids_bits(small_config(GetParam()), 24); }

TEST_P(Plans, WithClippingLagAndSlices) {
  Config c = small_config(GetParam());
  c.rollout.policy_lag = 1;
  c.rollout.length = 2;
  c.optimizer.max_grad_norm = 0.5;
  c.ddpg.updates_per_step = 9.0;  // 72 updates: two slices
  c.actor.activation = Activation::kTanh;
  c.critic.activation = Activation::kSilu;
  c.actor.hidden = {17};
  expect_grids_bits(c, 3);
}

TEST_P(Plans, MoreAgentsThanBlocks) {
  Config c = small_config(GetParam());
  c.agents = 40;
  c.ddpg.batch_size = 8;
  c.actor.hidden = c.critic.hidden = {8};
  expect_grids_bits(c, 8);
}

TEST_P(Plans, WhereALaunchIsCutNeverChangesABit) {
  Config c = small_config(GetParam());
  c.agents = 3;
  const auto whole = start(c), pieces = start(c);
  const auto want = run_until(*whole, 22);
  std::vector<ReportRow> got;
  uint64_t at = 0;
  for (uint64_t n : {1, 3, 7, 1, 10}) {
    const auto rows = run_until(*pieces, at += n);
    got.insert(got.end(), rows.begin(), rows.end());
  }
  EXPECT_EQ(state(*whole), state(*pieces));
  EXPECT_TRUE(same(got, want));
}

TEST_P(Plans, AStopFindsAllAgentsAtTheSamePlace) {
  for (int agents : {3, 40}) {
    Config c = small_config(GetParam());
    c.agents = agents;
    c.ddpg.batch_size = 4;
    c.actor.hidden = c.critic.hidden = {4};
    const auto b = start(c);
    const std::atomic<bool> stop{true};
    const RunResult r = b->run(1u << 30, stop);
    EXPECT_EQ(r.reason, HaltReason::kStopFlag);
    EXPECT_GE(r.iteration, 1u);
    for (int k = 0; k < agents; ++k) {
      EXPECT_EQ(read_counters(*b, k).iteration, r.iteration) << k;
    }
    run_until(*b, r.iteration + 1);
  }
}

TEST_P(Plans, AFullReportRingEndsALaunch) {
  Config c = small_config(GetParam());
  c.report.interval = 4;  // every iteration
  c.replay.warmup_steps = 400;
  const auto b = start(c);
  EXPECT_EQ(run_until(*b, 260).size(), 260u);  // four more than the ring holds
}

// One update of each; tiles_test.cpp has fewer agents and more updates.
TEST(Plan, EachOfAThousandAgentsIsTheAgentAlone) {
  Config c = small_config("block");
  c.agents = 1000;
  c.actor.hidden = c.critic.hidden = {4};
  c.ddpg.batch_size = 4;
  c.replay.capacity = 16;
  c.replay.warmup_steps = 4;
  const auto all = start(c);
  run_until(*all, 2);
  const uint64_t bytes = all->tensors().agent_bytes;
  const std::vector<char> states = state(*all);
  for (const uint64_t k : {0, 499, 999}) {
    Config one = c;
    one.agents = 1;
    one.seed = c.seed + k;
    const auto alone = start(one);
    run_until(*alone, 2);
    EXPECT_EQ(read_counters(*alone, 0).updates, 1u);
    EXPECT_EQ(std::memcmp(states.data() + k * bytes, state(*alone).data(), bytes), 0) << k;
  }
}

TEST(Plan, WideNetworksInAClusterAndNotInABlock) {
  Config c = small_config("cluster");
  c.actor.hidden = {300, 100};
  c.critic.hidden = {256, 256};
  expect_grids_bits(c, 6);
  c.plan = "block";
  try {
    start(c);
    FAIL() << "2 MB in 227 KB";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ExitCode::kUsage);
    EXPECT_NE(std::string(e.what()).find("shared memory"), std::string::npos) << e.what();
  }
}

}  // namespace
}  // namespace pendula
