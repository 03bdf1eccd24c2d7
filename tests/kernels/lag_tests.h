// policy_lag 1: the copy of the actor that the next rollout acts with, and rollouts that are made
// beside the updates of the iteration before, in whichever order the two come, and wherever a
// launch ends: always the bits of one program after the other.
#pragma once

#include "tests/kernels/training.h"

namespace pendula {

template <class Runner>
class LagTest : public testing::Test {};
TYPED_TEST_SUITE(LagTest, Runners, RunnerNames);

TYPED_TEST(LagTest, TheLaggedActorIsTheOneFromBeforeTheUpdates) {
  Config c = test_config();
  c.rollout.policy_lag = 1;
  for (uint32_t slice : {0u, 1u}) {
    TestArena<TypeParam, float> arena(c);
    const Plan& p = arena.plan;
    const size_t count = p.actor.count;
    ASSERT_GT(count, 0u);
    for (size_t i = 0; i < count; ++i) {
      arena.agent().at(p.actor_params)[i] = 0.5f + static_cast<float>(i);
    }
    arena.agent().counters().slice = slice;
    arena.template run<LagActor>();
    for (size_t i = 0; i < count; ++i) {
      const float want = slice == 0 ? 0.5f + static_cast<float>(i) : 0.0f;
      ASSERT_EQ(arena.agent().at(p.actor_lagged)[i], want) << i;
    }
  }
}

enum class Order { kInTurn, kRolloutFirst, kUpdatesFirst };

// A launch until `until`, which is asked to stop once iteration `stop_at` is completed. In turn: as
// every backend does it that has one thing at a time. Gives the iterations completed.
template <class Arena>
uint64_t launch(Arena& arena, Order order, uint64_t until, uint64_t stop_at) {
  using Env = typename Arena::Env;
  const auto run = [&](const auto& program) { arena.run_only(program); };
  const Context<Env, float>& context = arena.context;
  HostPage page{};
  arena.set_page(page);
  Control& c = arena.control();
  c = {};
  c.until_iteration = until;
  c.launch_until = launch_end(arena.plan, until, 0);
  c.iteration = arena.agent().counters().iteration;
  c.slice = static_cast<uint32_t>(arena.agent().counters().slice);
  c.acts_beside = order != Order::kInTurn ? 1 : 0;
  c.acts_ahead = may_act_ahead(arena.plan, c) ? 1 : 0;
  arena.push();
  if (order != Order::kInTurn) run(Rollout<Env, float>{context});
  while (arena.control().halted == 0) {
    if (arena.control().iteration >= stop_at) {
      page.stop = 1 + static_cast<uint32_t>(HaltReason::kStopFlag);
      arena.set_page(page);
    }
    if (order == Order::kInTurn) {
      for_each_program(context, run);
    } else {
      run(LagActor<Env, float>{context});
      if (order == Order::kRolloutFirst) run(Rollout<Env, float>{context, true});
      for_each_update_program(context, run);
      if (order == Order::kUpdatesFirst) run(Rollout<Env, float>{context, true});
      run(Advance<Env, float>{context});
      run(SetHalt<Env, float>{context});
    }
    arena.pull();
  }
  return arena.control().iteration;
}

template <class Arena>
std::vector<char> agents_of(Arena& arena) {
  const char* begin = arena.agent(0).state;
  return {begin, begin + static_cast<size_t>(arena.plan.agents) * arena.plan.agent_bytes};
}

// updates_per_step 1.0: 140 updates in three slices.
TYPED_TEST(LagTest, ARolloutBesideTheUpdatesChangesNoBit) {
  const bool simulated = TypeParam::kIsCuda;  // takes its time
  for (const double updates_per_step : {0.05, 1.0}) {
    for (const int diverge : {0, 1, 2}) {
      if (simulated && (diverge != 0 || updates_per_step == 1.0)) continue;
      SCOPED_TRACE(testing::Message() << updates_per_step << ", diverge " << diverge);
      Config c = training_config();
      c.rollout.policy_lag = 1;
      c.ddpg.updates_per_step = updates_per_step;
      c.ddpg.batch_size = 20;
      c.noise.type = NoiseType::kOu;
      const auto started = [&] {
        auto arena = std::make_unique<TestArena<TypeParam, float>>(c);
        arena->template run<Initialise>();
        for (int k = 2 - diverge; k < 2; ++k) {  // in the first update
          arena->agent(k).at(arena->plan.critic_params)[0] = std::nanf("");
        }
        return arena;
      };
      const auto halted = [](auto& arena, HaltReason why) {
        return arena->control().halted == 1 + static_cast<uint32_t>(why);
      };
      const uint64_t until = simulated ? 4 : 7;
      const auto in_turn = started();
      EXPECT_EQ(in_turn->plan.slices, updates_per_step == 1.0 ? 3 : 1);
      const uint64_t end = launch(*in_turn, Order::kInTurn, until, until);
      EXPECT_EQ(end, diverge == 2 ? 4u : until);
      EXPECT_TRUE(halted(in_turn, diverge == 2 ? HaltReason::kDiverged : HaltReason::kReached));
      EXPECT_EQ(in_turn->agent(1).counters().fault != 0, diverge != 0);
      EXPECT_GT(in_turn->agent(0).counters().updates, 0u);
      const std::vector<char> want = agents_of(*in_turn);
      for (const Order order : {Order::kRolloutFirst, Order::kUpdatesFirst}) {
        const auto whole = started();
        EXPECT_EQ(launch(*whole, order, until, until), end);
        EXPECT_EQ(agents_of(*whole), want);

        // Asked to stop at once, again and again; each launch ends as if none had run ahead.
        const auto cut = started();
        int launches = 0;
        for (uint64_t at = 0; at < end; ++launches) at = launch(*cut, order, until, 0);
        EXPECT_GE(launches, 2);
        EXPECT_EQ(agents_of(*cut), want);

        const auto late = started();
        const uint64_t stopped = launch(*late, order, until, 3);
        EXPECT_GE(stopped, 3u);
        EXPECT_LE(stopped, 5u);
        if (stopped < end && !halted(late, HaltReason::kDiverged)) {
          launch(*late, Order::kInTurn, until, until);
        }
        EXPECT_EQ(agents_of(*late), want);
      }
    }
  }
}

// As far as the report ring has room, of which nothing is taken: 256 rows, one for two iterations.
TYPED_TEST(LagTest, NoRowOfAFullReportRingIsWrittenOver) {
  Config c = training_config();
  c.rollout.policy_lag = 1;
  c.agents = 1;
  c.env.num_envs = 2;
  c.replay.capacity = c.replay.warmup_steps = 10000;
  c.report.interval = 2 * 2 * 2;
  TestArena<TypeParam, float> arena(c);
  arena.template run<Initialise>();
  ASSERT_EQ(arena.plan.report_slots * arena.plan.report_iterations, 512u);
  EXPECT_EQ(launch(arena, Order::kRolloutFirst, 2000, 2000), 512u);
  EXPECT_EQ(arena.control().halted, 1 + static_cast<uint32_t>(HaltReason::kTime));
}

}  // namespace pendula
