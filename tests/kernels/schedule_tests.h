// How many updates are due, what Advance and SetHalt make of an iteration, and whole training runs.
#pragma once

#include "tests/kernels/training.h"

namespace pendula {

template <class Runner>
class ScheduleTest : public testing::Test {};
TYPED_TEST_SUITE(ScheduleTest, Runners, RunnerNames);

// updates_per_step as a fraction: after n steps past the warm-up exactly floor(n num / den).
TYPED_TEST(ScheduleTest, UpdatesDueAreExactAndFitTheirSlots) {
  struct Fraction {
    double value;
    uint64_t num, den;
  };
  for (const Fraction f : {Fraction{0.1, 1, 10},
                           {0.25, 1, 4},
                           {0.29, 29, 100},
                           {1.0 / 3.0, 1, 3},
                           {0.7, 7, 10},
                           {1.0, 1, 1},
                           {2.5, 5, 2},
                           {7.0, 7, 1},
                           {1e-3, 1, 1000}}) {
    for (int num_envs : {1, 3, 10, 16, 100}) {
      for (int length : {1, 7}) {
        SCOPED_TRACE(testing::Message() << f.value << ", " << num_envs << " x " << length);
        Config c = test_config();
        c.env.num_envs = num_envs;
        c.rollout.length = length;
        c.ddpg.updates_per_step = f.value;
        c.replay.capacity = 100000;
        c.replay.warmup_steps = 50;
        const Plan p = make_plan(c, test_environment<Pendulum>(), 4).plan;
        AgentCounters counters{};
        counters.update_start = p.warmup_steps;
        EXPECT_GE(p.warmup_steps, 50u);
        const uint64_t slots =
            static_cast<uint64_t>(p.update_slots) * static_cast<uint64_t>(p.slices);
        uint64_t before = 0;
        for (uint64_t i = 0; i < 20000; ++i) {
          const uint64_t steps = i * static_cast<uint64_t>(num_envs * length);
          const uint64_t due = updates_due(p, counters, f.value, i);
          const uint64_t want =
              steps <= p.warmup_steps ? 0 : (steps - p.warmup_steps) * f.num / f.den;
          ASSERT_EQ(due, want) << "after iteration " << i;
          ASSERT_LE(due - before, slots) << "in iteration " << i;
          before = due;
        }
        counters.update_base = 77;
        counters.update_start = p.warmup_steps + 1000 * f.den;
        const uint64_t each = static_cast<uint64_t>(num_envs * length);
        const uint64_t later = counters.update_start + 100 * f.den;
        if (later % each == 0) {
          EXPECT_EQ(updates_due(p, counters, f.value, later / each), 77 + 100 * f.num);
        }
      }
    }
  }
}

// The work of an iteration as its blocks leave it: made up, so that every sum is known.
template <class Arena>
void fill_work(Arena& arena) {
  const Plan& p = arena.plan;
  for (int k = 0; k < p.agents; ++k) {
    const auto a = arena.agent(k);
    for (int i = 0; i < p.env_tiles * 4; ++i) {
      a.work_at(p.rollout_sums)[i] = i % 4 == 3 ? 0.0f : static_cast<float>(i + 1);
    }
    for (int slot = 0; slot < p.update_slots; ++slot) {
      for (int part = 0; part < p.partials; ++part) {
        for (int d = 0; d < 3; ++d) {
          a.work_at(p.losses)[(slot * p.partials + part) * 3 + d] =
              float(slot + 10 * part + 100 * d);
        }
      }
      for (int i = 0; i < p.critic_chunks; ++i)
        a.work_at(p.critic_sumsq)[slot * p.critic_chunks + i] = 4.0f;
      for (int i = 0; i < p.actor_chunks; ++i)
        a.work_at(p.actor_sumsq)[slot * p.actor_chunks + i] = 9.0f;
    }
  }
}

inline Config advance_config() {
  Config c = test_config();
  c.agents = 2;
  c.env.num_envs = 70;      // two tiles
  c.ddpg.batch_size = 150;  // three partial sums
  c.ddpg.updates_per_step = 3.0 / 70.0;
  c.replay.capacity = 70 * 20;
  c.replay.warmup_steps = 0;
  c.actor.hidden = {16};
  c.critic.hidden = {700};  // several chunks
  c.report.interval = 140;  // every second iteration
  return c;
}

TYPED_TEST(ScheduleTest, AdvanceAddsUpAndReports) {
  TestArena<TypeParam, float> arena(advance_config());
  const Plan& p = arena.plan;
  ASSERT_EQ(p.update_slots, 3);
  ASSERT_EQ(p.slices, 1);
  fill_work(arena);
  for (int k = 0; k < 2; ++k) {
    arena.agent(k).counters().iteration = 2 * p.report_slots + 2;
    arena.agent(k).counters().updates = 6 * p.report_slots + 6;
  }
  for (int i = 0; i < 2; ++i) arena.template run<Advance>();
  const std::vector<char> page = arena.page();
  const auto* rows = reinterpret_cast<const ReportRow*>(page.data() + sizeof(HostPage));
  for (int k = 0; k < 2; ++k) {
    const AgentCounters& c = arena.agent(k).counters();
    EXPECT_EQ(c.iteration, 2 * p.report_slots + 4);
    EXPECT_EQ(c.updates, 6 * p.report_slots + 12);
    EXPECT_EQ(c.fault, 0u);
    EXPECT_EQ(arena.agent(k).report().updates, 0.0);
    EXPECT_EQ(arena.agent(k).score().episodes, 12.0);  // goes on over rows
    EXPECT_EQ(arena.agent(k).score().return_sum, 16.0);
    const ReportRow& r = rows[2 + k];  // the ring's second row
    EXPECT_EQ(r.agent, static_cast<uint64_t>(k));
    EXPECT_EQ(r.iteration, c.iteration);
    EXPECT_EQ(r.timesteps, 70 * c.iteration);
    EXPECT_EQ(r.updates, c.updates);
    EXPECT_EQ(r.row_updates, 6u);
    EXPECT_EQ(r.row_episodes, 12u);  // 1 + 5, twice
    EXPECT_EQ(r.episode_return_sum, 16.0);
    EXPECT_EQ(r.episode_length_sum, 20.0);
    // Each slot's sum over three parts: 3 slot + 30 + 300 d, over a batch of 150; slots 0 to 2.
    EXPECT_NEAR(r.critic_loss_sum, 2 * (9.0 + 90.0) / 150.0, 1e-12);
    EXPECT_NEAR(r.q_sum, 2 * (9.0 + 90.0 + 900.0) / 150.0, 1e-12);
    EXPECT_NEAR(r.actor_loss_sum, 2 * (9.0 + 90.0 + 1800.0) / 150.0, 1e-12);
    EXPECT_NEAR(r.grad_norm_critic_sum, 6 * std::sqrt(4.0 * p.critic_chunks), 1e-12);
    EXPECT_NEAR(r.grad_norm_actor_sum, 6 * std::sqrt(9.0 * p.actor_chunks), 1e-12);
  }
}

// The rollout takes place in the first slice, and the iteration ends with the last.
TYPED_TEST(ScheduleTest, AdvanceCountsAnIterationOfSeveralSlicesOnce) {
  Config c = advance_config();
  c.ddpg.updates_per_step = 2.0;  // 140 updates: 47, 47 and 46
  TestArena<TypeParam, float> arena(c);
  ASSERT_EQ(arena.plan.slices, 3);
  fill_work(arena);
  for (int k = 0; k < 2; ++k) {
    arena.agent(k).counters().iteration = 4;
    arena.agent(k).counters().updates = 560;
  }
  const uint64_t updates[3] = {607, 654, 700};
  for (uint32_t slice = 0; slice < 3; ++slice) {
    arena.template run<Advance>();
    const auto a = arena.agent(1);
    EXPECT_EQ(a.counters().updates, updates[slice]);
    EXPECT_EQ(a.counters().iteration, slice == 2 ? 5u : 4u);
    EXPECT_EQ(a.counters().slice, slice == 2 ? 0u : slice + 1u);
    EXPECT_EQ(a.report().episodes, 6.0);
    EXPECT_EQ(a.score().episodes, 6.0);
    EXPECT_EQ(a.report().updates, static_cast<double>(updates[slice] - 560));
  }
}

TYPED_TEST(ScheduleTest, AFaultNamesItsPlaceAndFreezesItsAgent) {
  const Config c = advance_config();
  const float bad[2] = {std::nanf(""), INFINITY};
  using Offset = uint64_t Plan::*;
  struct Case {
    Fault fault;
    Offset place;
    int at, update;
  };
  // In the second update (slot 1): part 2 of the losses, and the last chunks.
  const int part = (1 * 3 + 2) * 3;
  for (const Case f : {Case{Fault::kCriticLoss, &Plan::losses, part, 1},
                       {Fault::kCriticLoss, &Plan::losses, part + 1, 1},
                       {Fault::kActorLoss, &Plan::losses, part + 2, 1},
                       {Fault::kCriticGradient, &Plan::critic_sumsq, -1, 1},
                       {Fault::kActorGradient, &Plan::actor_sumsq, -2, 1},
                       {Fault::kReward, &Plan::rollout_sums, 7, 0}}) {
    for (float x : bad) {
      TestArena<TypeParam, float> arena(c);
      const Plan& p = arena.plan;
      fill_work(arena);
      for (int k = 0; k < 2; ++k) arena.agent(k).counters().iteration = 4;
      for (int k = 0; k < 2; ++k) arena.agent(k).counters().updates = 12;
      const int at = f.at == -1   ? 2 * p.critic_chunks - 1
                     : f.at == -2 ? 2 * p.actor_chunks - 1
                                  : f.at;
      arena.agent(1).work_at(p.*f.place)[at] = x;
      arena.template run<Advance>();
      EXPECT_EQ(arena.agent(0).counters().fault, 0u);
      const AgentCounters& k = arena.agent(1).counters();
      EXPECT_EQ(k.fault, static_cast<uint64_t>(f.fault));
      EXPECT_EQ(k.fault_iteration, 4u);
      EXPECT_EQ(k.fault_update, 12u + static_cast<uint64_t>(f.update));
      EXPECT_EQ(k.updates, 15u);
      arena.template run<Advance>();  // frozen: its counters of updates stand still
      EXPECT_EQ(arena.agent(1).counters().updates, 15u);
      EXPECT_EQ(arena.agent(1).counters().fault_iteration, 4u);
      EXPECT_EQ(arena.agent(0).counters().updates, 18u);
    }
  }
}

TYPED_TEST(ScheduleTest, ALaunchHaltsForItsReasons) {
  const auto halt = [](uint64_t iteration, uint64_t until, uint32_t stop, uint64_t taken,
                       bool diverged, uint32_t slice) {
    Config c = advance_config();
    c.ddpg.updates_per_step = 2.0;  // 140 updates: three slices
    TestArena<TypeParam, float> arena(c);
    EXPECT_EQ(arena.plan.slices, 3);
    EXPECT_EQ(arena.plan.update_slots, 47);
    const bool ends = slice == 2;  // Advance has been there
    arena.control() = {};
    arena.control().until_iteration = until;
    arena.control().iteration = iteration;
    arena.control().slice = slice;
    arena.agent(0).counters().iteration = iteration + (ends ? 1 : 0);
    arena.agent(0).counters().slice = ends ? 0 : slice + 1;
    arena.agent(0).counters().fault = 1;
    arena.agent(1).counters().fault = diverged ? 1 : 0;
    HostPage page{};
    page.stop = stop;
    page.rows_taken = taken;
    arena.set_page(page);
    arena.template run<SetHalt>();
    const std::vector<char> after = arena.page();
    std::memcpy(&page, after.data(), sizeof page);
    EXPECT_EQ(arena.control().slice, ends ? 0u : slice + 1);
    EXPECT_EQ(arena.control().iteration, iteration + (ends ? 1 : 0));
    EXPECT_EQ(page.iteration, ends ? iteration + 1 : 0);
    EXPECT_EQ(page.rows_written, ends ? (iteration + 1) / 2 : 0);
    return arena.control().halted;
  };
  const uint32_t stop = 1 + static_cast<uint32_t>(HaltReason::kStopFlag);
  const auto code = [](HaltReason r) { return 1 + static_cast<uint32_t>(r); };
  EXPECT_EQ(halt(6, 100, 0, 3, false, 2), 0u);
  EXPECT_EQ(halt(6, 100, 0, 3, true, 0), 0u);        // only at the end of an iteration
  EXPECT_EQ(halt(6, 100, stop, 3, false, 0), stop);  // after any slice
  EXPECT_EQ(halt(6, 7, stop, 3, false, 2), code(HaltReason::kReached));
  EXPECT_EQ(halt(6, 8, 0, 3, false, 2), 0u);
  EXPECT_EQ(halt(7, 100, stop, 3, false, 2), stop);
  EXPECT_EQ(halt(7, 100, 0, 3, true, 2), code(HaltReason::kDiverged));
  EXPECT_EQ(halt(520, 1000, 0, 5, false, 2), 0u);  // 255 rows of 256 are not taken
  EXPECT_EQ(halt(521, 1000, 0, 5, false, 2), code(HaltReason::kTime));  // the ring is full
}

TYPED_TEST(ScheduleTest, TwentyIterationsOfTraining) {
  if constexpr (!TypeParam::kIsCuda) {
    for (uint32_t seed = 1; seed <= 3; ++seed) {
      Config c = training_config();
      c.seed = seed;
      c.rollout.policy_lag = seed == 2 ? 1 : 0;
      if (seed == 3) c.ddpg.updates_per_step = 0.5;
      if (seed == 2) c.optimizer.max_grad_norm = 0.5;
      // Rounding of 1e-16 (double) grows along hundreds of updates, and at once where Adam divides
      // a gradient that is nearly 0 by its own size.
      check_training<TypeParam, ReferenceRunner, double, Pendulum>(c, 1e-7);
    }
  }
}

}  // namespace pendula
