// What a run takes of memory, told before it is taken, and the values with which it would fit.
#include "host/memory_plan.h"

#include <gtest/gtest.h>

#include "host/cpu_backend.h"
#include "host/error.h"
#include "host/planning.h"
#include "host/program_memory.h"
#include "tests/contains.h"

namespace pendula {
namespace {

constexpr uint64_t kMiB = 1 << 20;

Config large_config() {
  Config c;
  c.agents = 4;
  c.env.num_envs = 1000;
  c.replay.capacity = 1000000;
  c.replay.warmup_steps = 2000;
  return c;
}

Plan plan_of(const Config& c) {
  return make_plan(c, *find_environment(c.env.id), sizeof(float)).plan;
}
MemoryPlan on_host(const Config& c) { return host_memory_plan(plan_of(c), 0); }
MemoryPlan on_gpu(const Config& c) {
  const Plan p = plan_of(c);
  return gpu_memory_plan(c, p, choose_device_plan(c, p, assumed_gpu()));
}

std::string refusal(const Config& c, uint64_t available,
                    const std::function<MemoryPlan(const Config&)>& memory) {
  try {
    expect_room(c, memory(c), available, "", memory);
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ExitCode::kMemory);
    return e.what();
  }
  return "";
}

// The number behind "key=" in a sentence; -1: it is not there.
int64_t offered(const std::string& sentence, const std::string& key) {
  const size_t at = sentence.find(key + "=");
  return at == std::string::npos ? -1 : std::stoll(sentence.substr(at + key.size() + 1));
}

TEST(MemoryPlan, CountsAllOfTheArena) {
  const Config c = large_config();
  const Plan p = plan_of(c);
  const double arena = static_cast<double>(p.arena_bytes);
  EXPECT_NEAR(static_cast<double>(on_host(c).bytes()), arena, 0.001 * arena);
  EXPECT_EQ(host_memory_plan(p, 5 * kMiB).bytes(), on_host(c).bytes() + 5 * kMiB);
}

// With policy_lag 1 rollouts run at the same time as updates: what does not fit in shared memory
// lies in an area of their own.
TEST(MemoryPlan, ScratchOfRolloutsBesideUpdatesIsApart) {
  Config c;
  c.actor.hidden = c.critic.hidden = {1000, 1000};
  constexpr int kBlocks = 3;
  for (const int64_t lag : {0, 1}) {
    c.rollout.policy_lag = lag;
    ProgramMemory m = measure_programs(plan_of(c), 100 << 10, kBlocks);
    ASSERT_GT(m.rollout.spill_bytes, 0u);
    std::vector<char> area(m.spill_bytes());
    m.set_spill(area.data());
    const char* end = area.data() + area.size();
    for (const BlockMemory* other : {&m.critic_gradient, &m.actor_gradient, &m.optimizer}) {
      EXPECT_EQ(other->spill, area.data());
      EXPECT_LE(other->spill + kBlocks * other->spill_bytes, lag == 1 ? m.rollout.spill : end);
    }
    EXPECT_LE(m.rollout.spill + kBlocks * m.rollout.spill_bytes, end);
  }
}

TEST(MemoryPlan, TheLargestComeFirst) {
  const MemoryPlan memory = on_host(large_config());
  EXPECT_EQ(memory.uses.front().key, "replay.capacity");
  EXPECT_TRUE(contains(memory.text(), {" MiB: replay ring 61."}));
}

TEST(MemoryPlan, AGpuKeepsBatchesAndScratchBesideIt) {
  Config c = large_config();
  c.agents = 1;
  c.ddpg.batch_size = 100000;
  c.actor.hidden = c.critic.hidden = {256, 256};
  const Plan p = plan_of(c);
  const DevicePlan plan = choose_device_plan(c, p, assumed_gpu());
  ASSERT_TRUE(plan.grid.has_value());
  EXPECT_GT(plan.grid->layout.bytes, 100000u * 18 * sizeof(float));  // inputs, next, outcome
  const uint64_t evaluation = static_cast<uint64_t>(c.eval.final_episodes) * 8;
  EXPECT_NEAR(static_cast<double>(on_gpu(c).bytes()),
              static_cast<double>(on_host(c).bytes() + plan.launch_scratch +
                                  plan.grid->layout.bytes + evaluation),
              1.0);
}

TEST(MemoryPlan, WhatFitsIsNotRefused) {
  const Config c = large_config();
  EXPECT_EQ(refusal(c, on_host(c).bytes(), on_host), "");
  EXPECT_NE(refusal(c, on_host(c).bytes() - 1, on_host), "");
}

TEST(MemoryPlan, ValuesThatWouldFitAreTheLargest) {
  Config c = large_config();
  const uint64_t available = 40 * kMiB;
  const std::string sentence = refusal(c, available, on_host);
  EXPECT_TRUE(contains(sentence, {"out of memory: the run needs 6", "replay ring 61.",
                                  "40.0 MiB are available", " would fit"}));
  const int64_t capacity = offered(sentence, "replay.capacity");
  const int64_t agents = offered(sentence, "agents");
  ASSERT_GT(capacity, 0) << sentence;
  EXPECT_EQ(agents, 2) << sentence;
  c.replay.capacity = capacity;
  EXPECT_LE(on_host(c).bytes(), available);
  EXPECT_GT(on_host(c).bytes(), available * 98 / 100) << "rounded to three digits";
  // Environments are few bytes, and the ring holds as many records whatever their number.
  EXPECT_EQ(offered(sentence, "env.num_envs"), -1) << sentence;
}

TEST(MemoryPlan, ABatchIsMadeSmallerOnAGpu) {
  Config c = large_config();
  c.agents = 1;
  c.replay.capacity = 100000;
  c.ddpg.batch_size = 1000000;
  const std::string sentence = refusal(c, 60 * kMiB, on_gpu);
  c.ddpg.batch_size = offered(sentence, "ddpg.batch_size");
  ASSERT_GT(c.ddpg.batch_size, 1000) << sentence;
  EXPECT_LE(on_gpu(c).bytes(), 60 * kMiB);
}

TEST(MemoryPlan, WhereNoValueAloneHelpsItSaysSo) {
  Config c = large_config();
  c.actor.hidden = {8192, 8192};
  const std::string sentence = refusal(c, kMiB, on_host);
  EXPECT_TRUE(contains(sentence, {"no key alone makes it fit", "the networks' widths"}));
}

// A list of values per agent is no number that could be lowered.
TEST(MemoryPlan, AListIsNotOffered) {
  Config c = large_config();
  c.agents = 1;
  c.per_agent["/ddpg/batch_size"] =
      std::make_shared<const nlohmann::json>(std::vector<int>{1000000});
  c.replay.capacity = 100000;
  const std::string sentence = refusal(c, 60 * kMiB, on_gpu);
  EXPECT_NE(sentence, "");
  EXPECT_EQ(offered(sentence, "ddpg.batch_size"), -1) << sentence;
}

TEST(MemoryPlan, TheCpusCountsItsWorkersScratch) {
  const Config c = large_config();
  EXPECT_GT(cpu_memory_plan(c, 2).bytes(), cpu_memory_plan(c, 1).bytes());
}

}  // namespace
}  // namespace pendula
