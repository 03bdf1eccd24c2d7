// The tuned grid plan in an environment with two actions, which none that a config names has: a
// rollout by each actor and an update, against the programs of every plan in fp32.
#include "host/cuda/grid_programs.h"
#include "host/grid_plan.h"
#include "kernels/adam.h"
#include "kernels/grid_rollout.h"
#include "kernels/grid_samples.h"
#include "kernels/rollout.h"
#include "tests/runner_cuda.h"

#include "tests/kernels/batch.h"
#include "tests/kernels/point_env.h"

namespace pendula {
namespace {

using Arena = TestArena<CudaRunner<false>, float, Point>;

Config point_config(std::vector<int64_t> hidden, Precision precision) {
  Config c = test_config();
  c.plan = "grid";
  c.precision = precision;
  c.actor.hidden = c.critic.hidden = hidden;
  c.env.num_envs = 130;
  c.env.max_episode_steps = 9;
  c.rollout.length = 3;
  c.replay.capacity = 130 * 12;
  c.replay.warmup_steps = 130;
  c.ddpg.batch_size = 150;
  return c;
}

// An arena that both sides begin with, and the grid plan of its config.
struct Tuned {
  explicit Tuned(const Config& c) : arena(c) {
    std::string why;
    plan = choose_grid_plan(c, arena.plan, 200 << 10, why);
    EXPECT_TRUE(plan.has_value()) << why;
    fill(arena);
    memory = std::make_unique<CudaBuffer<char>>(std::vector<char>(plan->layout.bytes, 0));
    programs = make_grid_programs(arena.plan, *plan, arena.context.arena, memory->data());
    arena.push();
    programs->pack(nullptr);
  }
  static void fill(Arena& arena) {
    fill_agents(arena);
    std::mt19937 random(3);
    std::uniform_real_distribution<float> any(-0.9f, 0.9f);
    const Plan& p = arena.plan;
    for (int i = 0; i < p.state_dim * p.num_envs; ++i) {
      arena.agent().at(p.env_state)[i] = any(random);
    }
  }

  Arena arena;
  std::optional<GridPlan> plan;
  std::unique_ptr<CudaBuffer<char>> memory;
  std::unique_ptr<GridPrograms> programs;
};

template <class Actor>
void expect_the_rollout(const Config& c, double tolerance) {
  Arena want(c);
  Tuned::fill(want);
  want.run<Rollout>(false);
  Tuned tuned(c);
  CudaRunner<false>::run(GridRollout<Point, Actor>{tuned.arena.context, tuned.plan->layout,
                                                   tuned.memory->data(), false});
  tuned.arena.pull();
  const Plan& p = want.plan;
  const auto a = tuned.arena.agent(), b = want.agent();
  const size_t envs = static_cast<size_t>(p.num_envs);
  expect_near_norm(a.at(p.env_state), b.at(p.env_state), 3 * envs, tolerance, 0.0, "states");
  expect_near_norm(a.at(p.ring), b.at(p.ring), p.ring_rows * envs * 8, tolerance, 0.0, "records");
  expect_near_norm(a.rollout_sums(0), b.rollout_sums(0), 4 * 3, tolerance, 0.0, "episodes");
  EXPECT_GT(b.rollout_sums(0)[0], 0.0f);
  for (size_t i = 0; i < p.ring_rows * ((envs + 31) / 32); ++i) {
    ASSERT_EQ(a.ring_end()[i], b.ring_end()[i]) << i;
  }
}

TEST(TwoActions, RollsOutAsEveryPlanDoes) {
  const Config narrow = point_config({40, 24}, Precision::kTf32);
  expect_the_rollout<ChainActor<Tf32, 4, 2>>(narrow, 2e-3);
  expect_the_rollout<ChainActor<Bf16, 4, 2>>(point_config({40, 24}, Precision::kBf16), 2e-2);
  expect_the_rollout<LayerActor<Shape<Tf32, 4, 1>, 4, 2>>(
      point_config({70, 20, 90}, Precision::kTf32), 2e-3);
}

// Adam's first moments after one update: of the critic, whose targets know both actions, and of the
// actor, which is moved by the slopes of Q in both.
void expect_the_update(const Config& c, double tolerance) {
  Arena want(c);
  fill_agents(want);
  want.run<CriticGradient>(0);
  want.run<AdamStep>(0, false);
  want.run<ActorGradient>(0);
  want.run<AdamStep>(0, true);
  Tuned tuned(c);
  CudaRunner<false>::run(
      SampleBatches<Point>{tuned.arena.context, tuned.plan->layout, tuned.memory->data()});
  tuned.programs->critic(nullptr, 0);
  tuned.programs->actor(nullptr, 0);
  PENDULA_CUDA_CHECK(cudaDeviceSynchronize());
  tuned.arena.pull();
  const Plan& p = want.plan;
  const auto a = tuned.arena.agent(), b = want.agent();
  expect_near_network(p.critic, a.at(p.critic_m), b.at(p.critic_m), tolerance, "critic");
  expect_near_network(p.actor, a.at(p.actor_m), b.at(p.actor_m), tolerance, "actor");
  for (int d = 0; d < 2; ++d) EXPECT_NEAR(mean_loss(a, 0, d), mean_loss(b, 0, d), 0.1);
}

TEST(TwoActions, UpdatesAsEveryPlanDoes) {
  for (const auto& hidden : std::vector<std::vector<int64_t>>{{24}, {40, 24}, {70, 20, 90}}) {
    SCOPED_TRACE(hidden.size());
    expect_the_update(point_config(hidden, Precision::kTf32), 0.03);
    expect_the_update(point_config(hidden, Precision::kBf16), 0.2);
  }
}

}  // namespace
}  // namespace pendula
