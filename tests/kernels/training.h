// Whole training runs, program by program.
#pragma once

#include "kernels/initialise.h"
#include "kernels/iteration.h"
#include "tests/kernels/batch.h"

namespace pendula {

// Two agents, tiles that are not full, a ring that is gone round; 20 iterations of it learn.
inline Config training_config() {
  Config c = test_config();
  c.agents = 2;
  c.env.num_envs = 70;
  c.env.max_episode_steps = 7;
  c.rollout.length = 2;
  c.replay.capacity = 70 * 16;
  c.replay.warmup_steps = 70 * 4;
  c.ddpg.batch_size = 100;
  c.ddpg.updates_per_step = 0.05;
  return c;
}

// 20 iterations of everything together against the CPU's blocks: the same program, in another
// order. Lag, clipping, several agents and slices, tiles that are not full.
template <class Runner, class Reference, class T, class Env>
void check_training(const Config& config, double tolerance) {
  TestArena<Runner, T, Env> a(config);
  TestArena<Reference, T, Env> b(config);
  const auto train = [](auto& arena) {
    arena.control() = {};
    arena.control().until_iteration = 20;
    arena.template run<Initialise>();
    while (arena.control().halted == 0) {
      arena.push();
      for_each_program(arena.context, [&](const auto& program) { arena.run_only(program); });
      arena.pull();
    }
  };
  train(a);
  train(b);
  const Plan& p = a.plan;
  for (int k = 0; k < p.agents; ++k) {
    EXPECT_EQ(a.agent(k).counters().updates, b.agent(k).counters().updates);
    EXPECT_GT(a.agent(k).counters().updates, 0u);
    EXPECT_EQ(a.agent(k).counters().fault, 0u);
    for (auto at : {p.actor_params, p.actor_target}) {
      expect_near_network(p.actor, a.agent(k).at(at), b.agent(k).at(at), tolerance, "actor");
    }
    for (auto at : {p.critic_params, p.critic_target}) {
      expect_near_network(p.critic, a.agent(k).at(at), b.agent(k).at(at), tolerance, "critic");
    }
    const size_t ring = p.ring_rows * static_cast<size_t>(p.num_envs * p.record_size);
    expect_near_norm(a.agent(k).at(p.ring), b.agent(k).at(p.ring), ring, tolerance, 0.0, "ring");
  }
}

}  // namespace pendula
