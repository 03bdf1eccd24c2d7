// What depends on the environment, for each of them: rollouts with every kind of noise, sampled
// transitions and their TD targets, evaluation, gradients, whole training runs. Typed tests over a
// runner and an environment; the models are in tests/reference_envs.h.
#pragma once

#include "kernels/evaluate.h"
#include "kernels/initialise.h"
#include "tests/kernels/differences.h"
#include "tests/kernels/reference_rollout.h"
#include "tests/kernels/tile.h"
#include "tests/kernels/training.h"

namespace pendula {

template <class C>
class EnvironmentTest : public testing::Test {};
// EnvironmentCases: what the file that includes this one runs.
TYPED_TEST_SUITE(EnvironmentTest, EnvironmentCases, CaseNames);

// The largest error so far; NaN is larger than everything.
struct Worst {
  double error = 0.0;
  void add(double got, double want) {
    const double e = std::fabs(got - want);
    if (!(e <= error) && !std::isnan(error)) error = e;
  }
};

inline std::vector<NoiseConfig> every_noise(int num_envs) {
  NoiseConfig plain;
  plain.sigma = 0.5;
  plain.sigma_final = 0.1;
  plain.decay_steps = num_envs * 60;
  plain.epsilon = 0.2;
  NoiseConfig ladder = plain;
  ladder.sigma_ladder = num_envs > 1 ? 3.0 : 1.0;
  NoiseConfig ou = ladder;
  ou.type = NoiseType::kOu;
  ou.ou_theta = 0.3;
  ou.ou_dt = 0.5;
  ou.epsilon = 0.3;
  return {plain, ladder, ou};
}

// Three iterations and a bit fit into the ring; the warm-up takes four.
inline Config environment_config(int num_envs, const NoiseConfig& noise) {
  Config c = test_config();
  c.env.num_envs = num_envs;
  c.env.max_episode_steps = 13;
  c.rollout.length = 3;
  c.replay.capacity = num_envs * 10 + num_envs / 2;
  c.replay.warmup_steps = num_envs * 12;
  c.noise = noise;
  return c;
}

// tolerance: of states and rewards. Actions are the actor's, and so less precise where products
// are.
template <class Runner, class T, class Env>
void check_rollout(const Config& c, int iterations, double tolerance) {
  const reference::Model& model = reference::model<Env>();
  const int num_envs = static_cast<int>(c.env.num_envs);
  TestArena<Runner, T, Env> arena(c);
  const Plan& p = arena.plan;
  ASSERT_EQ(p.ring_rows, 10u);
  arena.template run<Initialise>();
  const reference::Network actor = reference::unpack(p.actor, arena.agent().at(p.actor_params));
  std::vector<ReferenceEnvironment> envs;
  std::mt19937 random(17);
  Worst first;
  for (int e = 0; e < num_envs; ++e) {
    envs.emplace_back(c, model, actor, static_cast<uint64_t>(e));
    // From states anywhere: a cart near the end of its track leaves it.
    for (size_t d = 0; d < Env::kStateDim; ++d) {
      T& x = arena.agent().at(p.env_state)[d * size_t(num_envs) + size_t(e)];
      first.add(x, envs.back().state[d]);
      x = static_cast<T>(
          std::uniform_real_distribution<double>(0.9 * model.low[d], 0.9 * model.high[d])(random));
      envs.back().state[d] = x;
    }
  }
  EXPECT_TRUE(first.error <= tolerance) << "first states are off by " << first.error;

  const double action_tolerance = tolerance + 20 * gemm_tolerance<Runner, T>();
  double terminated = 0.0;
  for (int iteration = 0; iteration < iterations; ++iteration) {
    arena.template run<Rollout>();
    arena.agent().counters().iteration += 1;
    const auto a = arena.agent();
    Worst states, actions, returns;
    for (uint64_t l = 0; l < 3; ++l) {
      const uint64_t t = static_cast<uint64_t>(iteration) * 3 + l, row = t % p.ring_rows;
      for (int e = 0; e < num_envs; ++e) {
        const T* record = a.at(p.ring) + (row * uint64_t(num_envs) + uint64_t(e)) *
                                             static_cast<uint64_t>(p.record_size);
        const reference::Transition got = transition_of<Env>(record);
        const int before = envs[size_t(e)].episode_step;
        const RolloutRecord want = envs[size_t(e)].step(t, t - l, got);
        for (size_t d = 0; d < Env::kStateDim; ++d) states.add(got.state[d], want.state[d]);
        for (size_t d = 0; d < Env::kActionDim; ++d) {
          actions.add(got.action[d] / model.bound[d], want.action[d] / model.bound[d]);
        }
        states.add(got.reward, want.reward);
        for (int d = Env::kStateDim + Env::kActionDim + 1; d < p.record_size; ++d) {
          EXPECT_EQ(record[d], T(0));
        }
        ASSERT_EQ(end_bit(a, row, e), want.ended) << "step " << t << ", environment " << e;
        terminated += want.ended && before + 1 < c.env.max_episode_steps ? 1.0 : 0.0;
      }
    }
    double sums[4] = {}, want[3] = {};
    for (int tile = 0; tile < p.env_tiles; ++tile) {
      for (int d = 0; d < 4; ++d) sums[d] += a.work_at(p.rollout_sums)[tile * 4 + d];
    }
    for (size_t e = 0; e < envs.size(); ++e) {
      want[0] += envs[e].episodes;
      want[1] += envs[e].returns;
      want[2] += envs[e].lengths;
      envs[e].episodes = envs[e].returns = envs[e].lengths = 0.0;
      EXPECT_EQ(a.episode_step()[e], static_cast<uint32_t>(envs[e].episode_step));
      for (size_t d = 0; d < Env::kStateDim; ++d) {
        states.add(a.at(p.env_state)[d * size_t(num_envs) + e], envs[e].state[d]);
      }
      returns.add(a.at(p.episode_return)[e], envs[e].episode_return);
      for (size_t d = 0; d < Env::kActionDim && p.noise == NoiseType::kOu; ++d) {
        actions.add(a.at(p.ou_noise)[d * size_t(num_envs) + e], envs[e].ou[d]);
      }
    }
    EXPECT_EQ(sums[0], want[0]);
    EXPECT_EQ(sums[2], want[2]);
    EXPECT_EQ(sums[3], 0.0);
    // 13 rewards; sums over as many episodes as end.
    const double sum_tolerance = 13.0 * tolerance;
    EXPECT_TRUE(std::fabs(sums[1] - want[1]) <= sum_tolerance * (1.0 + want[0])) << sums[1];
    ASSERT_TRUE(returns.error <= sum_tolerance) << "returns are off by " << returns.error;
    ASSERT_TRUE(states.error <= tolerance)
        << "iteration " << iteration << ": states are off by " << states.error;
    ASSERT_TRUE(actions.error <= action_tolerance)
        << "iteration " << iteration << ": actions are off by " << actions.error;
  }
  if (num_envs > 1) {
    EXPECT_EQ(terminated > 0.0, (!std::is_same_v<Env, Pendulum>));
  }
}

TYPED_TEST(EnvironmentTest, RecordsOfIndependentEnvironments) {
  using Runner = typename TypeParam::Runner;
  using Env = typename TypeParam::Env;
  for (int n : {1, 33, 100}) {
    for (const NoiseConfig& noise : every_noise(n)) {
      SCOPED_TRACE(testing::Message() << n << " environments, ladder " << noise.sigma_ladder
                                      << ", ou " << (noise.type == NoiseType::kOu));
      // Rounding of angles up to 10 and of rewards up to 16.
      const Config c = environment_config(n, noise);
      check_rollout<Runner, float, Env>(c, Runner::kIsCuda ? 14 : 40, 1e-5);
      if constexpr (!Runner::kIsCuda) check_rollout<Runner, double, Env>(c, 40, 1e-12);
    }
  }
}

// The actions of a rollout keep within their bounds; a step clips those that do not.
template <class Env>
void check_steps() {
  const reference::Model& model = reference::model<Env>();
  std::mt19937 random(5);
  const auto draw = [&](double low, double high) {
    return std::uniform_real_distribution<double>(low, high)(random);
  };
  const typename Env::template Params<double> params;
  for (int i = 0; i < 1000; ++i) {
    reference::Vector state, action;
    for (size_t d = 0; d < Env::kStateDim; ++d) state.push_back(draw(model.low[d], model.high[d]));
    for (double bound : model.bound) action.push_back(draw(-3.0 * bound, 3.0 * bound));
    double next[Env::kStateDim];
    const auto got = Env::step(params, state.data(), action.data(), next);
    const reference::Outcome want = model.step(state, action);
    for (size_t d = 0; d < Env::kStateDim; ++d) EXPECT_NEAR(next[d], want.next[d], 1e-13);
    EXPECT_NEAR(got.reward, want.reward, 1e-12);  // rewards are up to 16
    EXPECT_EQ(got.terminated, want.terminated ? 1.0 : 0.0);
  }
}

TYPED_TEST(EnvironmentTest, StepsOfTheModelBeyondTheBoundsOfActions) {
  if constexpr (!TypeParam::Runner::kIsCuda) check_steps<typename TypeParam::Env>();
}

TYPED_TEST(EnvironmentTest, AnEnvironmentDoesNotSeeTheOthers) {
  using Env = typename TypeParam::Env;
  NoiseConfig noise = every_noise(33).back();
  noise.decay_steps = 0;  // a schedule counts the steps of all environments
  noise.sigma_ladder = 1.0;
  const auto run = [&](int num_envs) {
    auto arena = std::make_unique<TestArena<typename TypeParam::Runner, float, Env>>(
        environment_config(num_envs, noise));
    arena->template run<Initialise>();
    for (int i = 0; i < 20; ++i) {
      arena->template run<Rollout>();
      arena->agent().counters().iteration += 1;
    }
    return arena;
  };
  const auto all = run(100);
  const uint64_t size = static_cast<uint64_t>(all->plan.record_size);
  for (int n : {1, 31, 65}) {
    const auto some = run(n);
    for (uint64_t row = 0; row < 10; ++row) {
      for (int e = 0; e < n; ++e) {
        const float* a = all->agent().at(all->plan.ring) + (row * 100 + uint64_t(e)) * size;
        const float* b =
            some->agent().at(some->plan.ring) + (row * uint64_t(n) + uint64_t(e)) * size;
        for (uint64_t d = 0; d < size; ++d) ASSERT_EQ(a[d], b[d]) << n << " " << row << " " << e;
        ASSERT_EQ(end_bit(all->agent(), row, e), end_bit(some->agent(), row, e));
      }
    }
  }
}

template <class Runner, class T, class Env>
void check_tile(const Config& config, double tolerance) {
  constexpr size_t O = Env::kObsDim, A = Env::kActionDim;
  const reference::Model& model = reference::model<Env>();
  TestArena<Runner, T, Env> arena(config);
  fill_agents(arena);
  const uint64_t update = uint64_t{1} << 20;
  for (int first = 0; first < config.ddpg.batch_size; first += kRows) {
    const Tile<T> got = run_tile<Runner>(arena, update, first);
    const auto batch = sampled_batch<Env>(arena.agent(), update);
    const reference::Ddpg ddpg = reference_of<Env>(arena.agent());
    const size_t rows = std::min<size_t>(kRows, batch.size() - static_cast<size_t>(first));
    std::vector<double> y(rows);
    Worst worst;
    for (size_t n = 0; n < rows; ++n) {
      const auto& t = batch[static_cast<size_t>(first) + n];
      const reference::Outcome after = model.step(t.state, t.action);
      const auto x = reference::joined(model.observe(t.state), reference::unit(model, t.action));
      const auto next = model.observe(after.next);
      for (size_t d = 0; d < O + A; ++d) worst.add(got.x[d * kRows + n], x[d]);
      for (size_t d = 0; d < O; ++d) worst.add(got.next_x[d * kRows + n], next[d]);
      EXPECT_EQ(got.reward[n], static_cast<T>(t.reward));
      EXPECT_EQ(got.continues[n], after.terminated ? T(0) : T(1));
      y[n] = reference::td_target(ddpg, t);
    }
    EXPECT_TRUE(worst.error <= tolerance) << "observations are off by " << worst.error;
    expect_near_norm(got.y.data(), y.data(), rows, 20 * gemm_tolerance<Runner, T>(), 0.0, "y");
  }
}

TYPED_TEST(EnvironmentTest, TilesOfABatchAndTheirTargets) {
  using Runner = typename TypeParam::Runner;
  using Env = typename TypeParam::Env;
  Config c = test_config();
  c.ddpg.reward_scale = 0.5;
  for (int batch : {1, 31, 100}) {
    c.ddpg.batch_size = batch;
    // Rounding of speeds up to 9, and of sin at angles up to 10.
    check_tile<Runner, float, Env>(c, 2e-6);
    if constexpr (!Runner::kIsCuda) check_tile<Runner, double, Env>(c, 1e-14);
  }
}

// What the update samples after a rollout is that rollout's: the next observation of every sampled
// record is the model's step of it, at the end of an episode too.
TYPED_TEST(EnvironmentTest, SampledTransitionsGoOnFromTheirRecords) {
  using Env = typename TypeParam::Env;
  const reference::Model& model = reference::model<Env>();
  TestArena<typename TypeParam::Runner, float, Env> arena(
      environment_config(33, every_noise(33).back()));
  const uint64_t size = static_cast<uint64_t>(arena.plan.record_size);
  arena.template run<Initialise>();
  for (int i = 0; i < 28; ++i) {  // rows 74 to 83: episodes of 13 steps end at 77
    arena.template run<Rollout>();
    arena.agent().counters().iteration += 1;
  }
  arena.agent().counters().iteration -= 1;  // the updates of the last rollout's iteration
  const auto a = arena.agent();
  int ends = 0, followed = 0;
  for (uint64_t i : sampled_records(a, 3)) {
    const uint64_t row = i / 33, env = i % 33;
    const reference::Transition r = transition_of<Env>(a.at(arena.plan.ring) + i * size);
    const reference::Outcome next = model.step(r.state, r.action);
    EXPECT_NEAR(next.reward, r.reward, 1e-5);
    if (row == 83 % 10) continue;  // the newest row has no successor yet
    const float* after = a.at(arena.plan.ring) + ((row + 1) % 10 * 33 + env) * size;
    bool continues = true;
    for (size_t d = 0; d < Env::kStateDim; ++d) {
      continues = continues && std::fabs(after[d] - next.next[d]) < 1e-5;
    }
    EXPECT_EQ(continues, !end_bit(a, row, static_cast<int>(env)));
    ends += continues ? 0 : 1;
    followed += continues ? 1 : 0;
  }
  EXPECT_GT(ends, 0);
  EXPECT_GT(followed, 0);
}

// Every episode alone, from its own initial state, to its own end.
template <class Runner, class T, class Env>
void check_evaluation(Config c, double tolerance) {
  const reference::Model& model = reference::model<Env>();
  c.agents = 2;
  c.env.max_episode_steps = 20;
  TestArena<Runner, T, Env> arena(c);
  arena.template run<Initialise>();
  const auto run = [&](int episodes) {
    const size_t n = static_cast<size_t>(episodes) * 2;
    typename Runner::template Buffer<T> returns(n);
    typename Runner::template Buffer<uint32_t> lengths(n);
    arena.run_program(Evaluate<Env, T>{arena.context, episodes, returns.data(), lengths.data()});
    return std::pair{returns.download(), lengths.download()};
  };
  const auto [many, lengths] = run(130);
  const auto [few, few_lengths] = run(33);
  int equal = 0;
  for (size_t k = 0; k < 2; ++k) {
    const auto actor =
        reference::unpack(arena.plan.actor, arena.agent(int(k)).at(arena.plan.actor_params));
    for (uint32_t i = 0; i < 130; ++i) {
      const Uint4 r = philox({7, i, 0, 0}, c.seed + k);
      reference::Vector state = model.reset({(r.x >> 8) / 16777216.0, (r.y >> 8) / 16777216.0,
                                             (r.z >> 8) / 16777216.0, (r.w >> 8) / 16777216.0});
      double total = 0.0;
      uint32_t length = 0;
      for (bool ended = false; !ended && length < 20; ++length) {
        auto action = reference::policy(actor, model.observe(state));
        for (size_t d = 0; d < action.size(); ++d) action[d] *= model.bound[d];
        const reference::Outcome after = model.step(state, action);
        total += after.reward;
        state = after.next;
        ended = after.terminated;
      }
      equal += std::fabs(many[k * 130 + i] - total) <= tolerance && lengths[k * 130 + i] == length;
      if (i >= 33) continue;
      EXPECT_EQ(many[k * 130 + i], few[k * 33 + i]);
      EXPECT_EQ(lengths[k * 130 + i], few_lengths[k * 33 + i]);
    }
  }
  // An end that rounding decides may fall a step beside: only Point's do, whose step is coarse.
  const bool coarse = std::is_same_v<Env, Point>;
  EXPECT_GE(equal, coarse ? (tolerance > 1e-2 ? 130 : 250) : 260);
}

TYPED_TEST(EnvironmentTest, EvaluationIsTheModelsAndOfEachEpisodeAlone) {
  using Runner = typename TypeParam::Runner;
  using Env = typename TypeParam::Env;
  // 20 rewards of up to 16, whose states' rounding has grown e^3.9-fold at most.
  check_evaluation<Runner, float, Env>(test_config(),
                                       1e-3 + 200.0 * (Runner::kGemmTolerance - 1e-6));
  if constexpr (!Runner::kIsCuda) check_evaluation<Runner, double, Env>(test_config(), 1e-11);
}

TYPED_TEST(EnvironmentTest, GradientsAreThoseOfTheLosses) {
  using Runner = typename TypeParam::Runner;
  if constexpr (std::is_same_v<Runner, ReferenceRunner> && !Runner::kIsCuda) {
    Config c = test_config();
    c.replay.capacity = 33 * 4;  // little to copy, for each of a thousand differences
    c.actor.activation = c.critic.activation = Activation::kSilu;
    for (bool actor : {false, true}) {
      check_central_differences<Runner, typename TypeParam::Env>(c, actor);
    }
  }
}

TYPED_TEST(EnvironmentTest, TwentyIterationsOfTraining) {
  using Runner = typename TypeParam::Runner;
  if constexpr (!Runner::kIsCuda) {
    Config c = training_config();
    for (const NoiseConfig& noise : every_noise(70)) {
      c.noise = noise;
      // Hard copies of the targets, every third update.
      c.ddpg.tau = noise.type == NoiseType::kOu ? 1.0 : 0.005;
      c.ddpg.target_update_interval = noise.type == NoiseType::kOu ? 3 : 1;
      check_training<Runner, ReferenceRunner, double, typename TypeParam::Env>(c, 1e-7);
    }
  }
}

}  // namespace pendula
