// Which plan a run gets on which GPU (host/device_plan.h).
#include "host/device_plan.h"

#include <gtest/gtest.h>

#include <tuple>
#include <vector>

#include "host/environments.h"
#include "host/error.h"
#include "host/planning.h"

namespace pendula {
namespace {

Config config_of(int64_t hidden, const std::string& plan = "auto") {
  Config c;
  c.plan = plan;
  c.actor.hidden = c.critic.hidden = {hidden, hidden};
  return c;
}

// A GPU that has at most `clusters` of at most `largest` blocks.
GpuLimits gpu(int capability, int kibibytes, int largest = 16, int clusters = 100) {
  return {132, static_cast<uint64_t>(kibibytes) << 10, capability,
          [=](const DevicePlan& p) { return p.setup.cluster <= largest ? clusters : 0; }};
}

DevicePlan plan_of(const Config& c, const GpuLimits& g) {
  return choose_device_plan(c, make_plan(c, *find_environment(c.env.id), sizeof(float)).plan, g);
}

TEST(DevicePlan, TilesAsLargeAsABlocksSharedMemory) {
  const std::tuple<int, int, int, bool> kinds[] = {{90, 227, 128, true},  {100, 227, 128, true},
                                                   {80, 163, 128, false}, {86, 99, 32, false},
                                                   {89, 99, 32, false},   {120, 99, 32, false}};
  for (const auto& [capability, kibibytes, rows, moments] : kinds) {
    const DevicePlan p = plan_of(config_of(64), gpu(capability, kibibytes));
    EXPECT_EQ(p.kind, PlanKind::kBlock) << capability;
    ASSERT_TRUE(p.tiles.has_value()) << capability;
    EXPECT_EQ(p.tiles->rows, rows) << capability;
    EXPECT_EQ(p.tiles->moments, moments) << capability;
    EXPECT_LE(p.shared_bytes + kTurnShared, static_cast<uint64_t>(kibibytes) << 10) << capability;
    EXPECT_EQ(p.spill_bytes(), 0u) << capability;
  }
}

TEST(DevicePlan, ColumnsOverAsManyBlocksAsTheyNeed) {
  const std::tuple<int64_t, int, bool> widths[] = {{1, 4, true},     {64, 4, true},
                                                   {65, 8, true},    {128, 8, true},
                                                   {129, 16, false}, {256, 16, false}};
  for (const auto& [hidden, blocks, moments] : widths) {
    const DevicePlan p = plan_of(config_of(hidden, "cluster"), gpu(90, 227));
    EXPECT_EQ(p.kind, PlanKind::kCluster) << hidden;
    EXPECT_TRUE(p.columns) << hidden;
    EXPECT_EQ(p.setup.cluster, blocks) << hidden;
    EXPECT_EQ(p.setup.moments, moments) << hidden;
    EXPECT_LE(p.shared_bytes + kTurnShared, 227u << 10) << hidden;
    EXPECT_EQ(p.spill_bytes(), 0u) << hidden;
  }
  Config c = config_of(64, "cluster");
  c.critic.hidden = {64, 200};
  EXPECT_EQ(plan_of(c, gpu(90, 227)).setup.cluster, 16) << "the widest layer of both networks";
}

TEST(DevicePlan, WhatColumnsAreNotFor) {
  const GpuLimits h200 = gpu(90, 227);
  std::vector<Config> others(6, config_of(256, "cluster"));
  others[0].actor.hidden = {256, 257};
  others[1].critic.hidden = {256};
  others[2].critic.hidden = {256, 256, 256};
  others[3].actor.activation = Activation::kSilu;
  others[4].precision = Precision::kFp32;
  others[5].rollout.policy_lag = 1;
  for (const Config& c : others) {
    const DevicePlan p = plan_of(c, h200);
    EXPECT_EQ(p.kind, PlanKind::kCluster);
    EXPECT_FALSE(p.columns);
    EXPECT_EQ(p.setup.cluster, 16);
  }
}

TEST(DevicePlan, FewerClustersSmallerOnesOrNone) {
  const Config c = config_of(256, "cluster");
  const DevicePlan few = plan_of(c, gpu(90, 227, 16, 7));
  EXPECT_EQ(few.setup.clusters, 1) << "of one agent";
  EXPECT_EQ(few.why, "7 clusters of 16 blocks fit at the same time");
  Config many = c;
  many.agents = 20;
  EXPECT_EQ(plan_of(many, gpu(90, 227, 16, 7)).setup.clusters, 7);
  EXPECT_GE(plan_of(many, gpu(90, 227, 16, 7)).setup.turn, 50u) << "agents take turns";

  const DevicePlan smaller = plan_of(c, gpu(90, 227, 8));
  EXPECT_FALSE(smaller.columns) << "16 columns of 256 units in 8 blocks";
  EXPECT_EQ(smaller.setup.cluster, 8);
  EXPECT_TRUE(plan_of(config_of(128, "cluster"), gpu(90, 227, 8)).columns);

  for (const GpuLimits& g : {gpu(90, 227, 1), gpu(80, 163)}) {
    EXPECT_THROW(plan_of(c, g), Error);
    EXPECT_EQ(plan_of(config_of(256), g).kind, PlanKind::kGrid);
  }
}

TEST(DevicePlan, AutoTakesTheSmallestThatHasRoom) {
  const GpuLimits h200 = gpu(90, 227);
  EXPECT_EQ(plan_of(config_of(64), h200).kind, PlanKind::kBlock);
  EXPECT_EQ(plan_of(config_of(256), h200).kind, PlanKind::kCluster);
  Config c = config_of(256);
  c.ddpg.batch_size = 4096;
  EXPECT_EQ(plan_of(c, h200).kind, PlanKind::kGrid) << "one batch fills the GPU";
  c.agents = 132;
  EXPECT_EQ(plan_of(c, h200).kind, PlanKind::kCluster) << "agents fill it";
}

}  // namespace
}  // namespace pendula
