// DDPG on a task whose optimum is known: the double integrator of envs/README.md, whose best policy
// is the linear-quadratic regulator's. Also that the README shows the header as it is.
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "kernels/evaluate.h"
#include "tests/double_integrator.h"
#include "tests/kernels/training.h"
#include "tests/runner.h"

namespace pendula {
namespace {

struct Matrix {  // symmetric, of a quadratic form over (position, velocity)
  double pp, pv, vv;
};

// The cost to go of the last `steps` steps of an episode, x' P x, by Riccati's recursion (Bellman
// 1957), and the gain of the best action -k x of the first of them.
Matrix riccati(int steps, double dt, double k[2]) {
  constexpr double kVelocityCost = 0.1, kActionCost = 0.5;
  Matrix m = {0.0, 0.0, 0.0};
  for (int i = 0; i < steps; ++i) {
    // next = A x + B a with A = [1 dt; 0 1], B = [0; dt].
    const double bpb = dt * dt * m.vv + kActionCost;
    k[0] = dt * m.pv / bpb;
    k[1] = dt * (m.pv * dt + m.vv) / bpb;
    const double pp = m.pp, pv = m.pp * dt + m.pv, vv = m.pp * dt * dt + 2.0 * m.pv * dt + m.vv;
    m = {1.0 + pp - k[0] * k[0] * bpb, pv - k[0] * k[1] * bpb,
         kVelocityCost + vv - k[1] * k[1] * bpb};
  }
  return m;
}

TEST(LqrTest, DdpgComesWithinFivePercentOfTheOptimum) {
  Config c;
  c.seed = 3;
  c.env.num_envs = 16;
  c.env.max_episode_steps = DoubleIntegrator::kMaxEpisodeSteps;
  c.actor.hidden = c.critic.hidden = {64, 64};
  c.actor.activation = Activation::kTanh;
  c.critic.activation = Activation::kSilu;
  c.ddpg.gamma = 0.98;
  c.ddpg.batch_size = 256;
  c.optimizer.actor_lr = c.optimizer.critic_lr = 3e-4;
  c.noise.sigma = c.noise.sigma_final = 0.2;
  TestArena<CpuRunner, float, DoubleIntegrator> arena(c);
  arena.run<Initialise>();
  constexpr uint64_t kIterations = 16000 / 16;
  arena.control() = {};
  arena.control().until_iteration = kIterations;
  arena.push();
  for (uint64_t i = 0; i < kIterations; ++i) {
    for_each_program(arena.context, [&](const auto& program) { arena.run_only(program); });
  }
  arena.pull();
  ASSERT_EQ(arena.agent().counters().updates,
            16000u - 1008u);  // the warm-up ends with iteration 63

  constexpr int kEpisodes = 4096;
  CpuBuffer<float> returns(kEpisodes);
  CpuBuffer<uint32_t> lengths(kEpisodes);
  arena.run_program(
      Evaluate<DoubleIntegrator, float>{arena.context, kEpisodes, returns.data(), lengths.data()});
  double gain[2];
  const Matrix best = riccati(DoubleIntegrator::kMaxEpisodeSteps, 0.1, gain);
  EXPECT_LT(0.5 * (gain[0] + gain[1]), 2.0) << "the best action is beyond the bound";
  double got = 0.0, optimum = 0.0;
  const std::vector<float> reached = returns.download();
  for (uint32_t i = 0; i < kEpisodes; ++i) {
    const Uint4 r = philox({7, i, 0, 0}, c.seed);
    const double x = (r.x >> 8) / 16777216.0 - 0.5, v = (r.y >> 8) / 16777216.0 - 0.5;
    optimum += best.pp * x * x + 2.0 * best.pv * x * v + best.vv * v * v;
    got -= static_cast<double>(reached[i]);
  }
  std::printf("cost %.4f, the optimum is %.4f\n", got / kEpisodes, optimum / kEpisodes);
  EXPECT_TRUE(got <= 1.05 * optimum) << got / optimum;
  EXPECT_TRUE(got >= (1.0 - 1e-4) * optimum) << got / optimum << ": better than the best";
}

// The regulator itself, step by step through the environment: its cost is what Riccati says.
TEST(LqrTest, TheOptimumIsWhatTheRegulatorReaches) {
  const DoubleIntegrator::Params<double> p;
  double state[2] = {0.7, -0.4}, cost = 0.0, gain[2];
  const Matrix best = riccati(100, p.dt, gain);
  const double want = best.pp * 0.49 + 2.0 * best.pv * 0.7 * -0.4 + best.vv * 0.16;
  for (int t = 0; t < 100; ++t) {
    riccati(100 - t, p.dt, gain);
    const double action[1] = {-gain[0] * state[0] - gain[1] * state[1]};
    double next[2];
    cost -= DoubleIntegrator::step(p, state, action, next).reward;
    std::copy_n(next, 2, state);
  }
  EXPECT_NEAR(cost, want, 1e-12);
}

std::string read(const std::string& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

TEST(LqrTest, TheReadmeShowsTheHeaderAsItIs) {
  const std::string header = read(PENDULA_SOURCE_DIR "/tests/double_integrator.h");
  const size_t begin = header.find("struct DoubleIntegrator"),
               end = header.rfind("\n}  // namespace");
  ASSERT_NE(begin, std::string::npos);
  const std::string code = header.substr(begin, end - begin);
  EXPECT_NE(read(PENDULA_SOURCE_DIR "/envs/README.md").find(code), std::string::npos)
      << "envs/README.md shows another DoubleIntegrator than tests/double_integrator.h";
}

}  // namespace
}  // namespace pendula
