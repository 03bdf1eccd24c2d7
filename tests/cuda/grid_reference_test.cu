// The tuned grid plan, launch by launch: an update against the double reference, in Pendulum and in
// an environment with two actions, which none that a config names has; and there a rollout by each
// actor against the program of every plan in fp32.
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

template <class Env>
using Arena = TestArena<CudaRunner<false>, float, Env>;

Config grid_config(std::vector<int64_t> hidden, Precision precision) {
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
template <class Env>
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
  static void fill(Arena<Env>& arena) {
    fill_agents(arena);
    std::mt19937 random(3);
    std::uniform_real_distribution<float> any(-0.9f, 0.9f);
    const Plan& p = arena.plan;
    for (int i = 0; i < p.state_dim * p.num_envs; ++i) {
      arena.agent().at(p.env_state)[i] = any(random);
    }
  }

  Arena<Env> arena;
  std::optional<GridPlan> plan;
  std::unique_ptr<CudaBuffer<char>> memory;
  std::unique_ptr<GridPrograms> programs;
};

template <class Actor>
void expect_the_rollout(const Config& c, double tolerance) {
  Arena<Point> want(c);
  Tuned<Point>::fill(want);
  want.run<Rollout>(false);
  Tuned<Point> tuned(c);
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

TEST(GridReference, RollsOutTwoActionsAsEveryPlanDoes) {
  const Config narrow = grid_config({40, 24}, Precision::kTf32);
  expect_the_rollout<ChainActor<Tf32, 4, 2>>(narrow, 2e-3);
  expect_the_rollout<ChainActor<Bf16, 4, 2>>(grid_config({40, 24}, Precision::kBf16), 2e-2);
  expect_the_rollout<LayerActor<Shape<Tf32, 4, 1>, 4, 2>>(
      grid_config({70, 20, 90}, Precision::kTf32), 2e-3);
}

// 10 times Adam's first moments after an update from 0: its gradient.
std::vector<float> gradient(const NetworkLayout& net, const float* m) {
  std::vector<float> g(m, m + net.count);
  for (float& x : g) x *= 10.0f;
  return g;
}

// Of the critic, whose targets know every action, and of the actor, which is moved by the slopes of
// Q in each and goes by the critic that has been updated.
template <class Env>
void expect_the_update(const Config& c, double tolerance) {
  Tuned<Env> tuned(c);
  const Plan& p = tuned.arena.plan;
  const auto batch = sampled_batch<Env>(tuned.arena.agent(), 5);
  const reference::Gradient critic =
      reference::critic_gradient(reference_of<Env>(tuned.arena.agent()), batch);
  CudaRunner<false>::run(
      SampleBatches<Env>{tuned.arena.context, tuned.plan->layout, tuned.memory->data()});
  tuned.programs->critic(nullptr, 0);
  PENDULA_CUDA_CHECK(cudaDeviceSynchronize());
  tuned.arena.pull();
  const reference::Gradient actor =
      reference::actor_gradient(reference_of<Env>(tuned.arena.agent()), batch);
  tuned.programs->actor(nullptr, 0);
  PENDULA_CUDA_CHECK(cudaDeviceSynchronize());
  tuned.arena.pull();
  const auto a = tuned.arena.agent();
  expect_near_network(p.critic, gradient(p.critic, a.at(p.critic_m)).data(),
                      reference::pack(p.critic, critic.grad).data(), tolerance, "critic");
  expect_near_network(p.actor, gradient(p.actor, a.at(p.actor_m)).data(),
                      reference::pack(p.actor, actor.grad).data(), tolerance, "actor");
  const double want[3] = {critic.loss, critic.mean_q, actor.loss};
  for (int d = 0; d < 3; ++d) {
    EXPECT_NEAR(mean_loss(a, 0, d), want[d], 0.5 * tolerance * (std::fabs(want[d]) + 0.1)) << d;
  }
}

template <class Env>
void expect_all_updates() {
  const std::vector<std::vector<int64_t>> networks = {{24}, {40, 24}, {64, 64}, {70, 20, 90}};
  for (const auto& hidden : networks) {
    for (const int64_t batch : {1, 31, 150}) {
      SCOPED_TRACE(testing::Message() << hidden.size() << " layers, batch " << batch);
      Config c = grid_config(hidden, Precision::kTf32);
      c.ddpg.batch_size = batch;
      expect_the_update<Env>(c, 0.06);
      c.precision = Precision::kBf16;
      expect_the_update<Env>(c, 0.3);
    }
  }
}

TEST(GridReference, UpdatesOfPendulum) { expect_all_updates<Pendulum>(); }
TEST(GridReference, UpdatesOfTwoActions) { expect_all_updates<Point>(); }

}  // namespace
}  // namespace pendula
