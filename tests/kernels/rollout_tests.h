// The rollout and the ring against independent environments: records, ends of episodes, resets,
// sums; which records may be sampled; evaluation; the state before the first iteration.
#pragma once

#include <map>
#include <set>

#include "kernels/evaluate.h"
#include "kernels/initialise.h"
#include "tests/kernels/batch.h"
#include "tests/kernels/point_env.h"
#include "tests/kernels/reference_rollout.h"

namespace pendula {

template <class T>
bool end_bit(const AgentView<T>& a, uint64_t row, int env) {
  const uint64_t words = static_cast<uint64_t>((a.plan.num_envs + 31) / 32);
  return (a.ring_end()[row * words + uint64_t(env) / 32] >> (env % 32) & 1) != 0;
}

// An iteration's rollout, then what Advance does to the counter.
template <class Arena>
void roll_out(Arena& arena) {
  arena.template run<Rollout>();
  for (int k = 0; k < arena.plan.agents; ++k) arena.agent(k).counters().iteration += 1;
}

inline Config rollout_config(int num_envs) {
  Config c = test_config();
  c.env.num_envs = num_envs;
  c.env.max_episode_steps = 13;
  c.rollout.length = 3;
  c.replay.capacity = num_envs * 10 + num_envs / 2;  // not whole rows; three iterations and a bit
  c.replay.warmup_steps = num_envs * 12;
  c.noise = {"gaussian", 0.5, 0.1, num_envs * 60, 0.2};
  return c;
}

template <class Runner, class T>
void check_rollout(int num_envs, int iterations, double tolerance) {
  const Config config = rollout_config(num_envs);
  TestArena<Runner, T> arena(config);
  const Plan& p = arena.plan;
  ASSERT_EQ(p.ring_rows, 10u);
  arena.template run<Initialise>();
  const reference::Network actor = reference::unpack(p.actor, arena.agent().at(p.actor_params));
  const ReferenceEnvironment::Settings settings = {config.seed,
                                                   num_envs,
                                                   13,
                                                   0.5,
                                                   0.1,
                                                   0.2,
                                                   uint64_t(config.noise.decay_steps),
                                                   uint64_t(config.replay.warmup_steps),
                                                   &actor};
  std::vector<ReferenceEnvironment> envs;
  for (int e = 0; e < num_envs; ++e) envs.emplace_back(settings, static_cast<uint64_t>(e));

  for (int iteration = 0; iteration < iterations; ++iteration) {
    roll_out(arena);
    const auto a = arena.agent();
    double worst = 0.0;
    for (uint64_t l = 0; l < 3; ++l) {
      const uint64_t t = static_cast<uint64_t>(iteration) * 3 + l, row = t % p.ring_rows;
      for (int e = 0; e < num_envs; ++e) {
        const RolloutRecord want = envs[size_t(e)].step(t, t - l);
        const T* got = a.at(p.ring) + (row * uint64_t(num_envs) + uint64_t(e)) * 4;
        const double w[4] = {want.transition.theta, want.transition.theta_dot,
                             want.transition.torque, want.transition.reward};
        for (int d = 0; d < 4; ++d) {
          const double error = std::fabs(got[d] - w[d]);
          if (!(error <= worst)) worst = error;
        }
        ASSERT_EQ(end_bit(a, row, e), want.ended) << "step " << t << ", environment " << e;
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
      const double errors[3] = {a.at(p.env_state)[e] - envs[e].state.theta,
                                a.at(p.env_state)[size_t(num_envs) + e] - envs[e].state.theta_dot,
                                a.at(p.episode_return)[e] - envs[e].episode_return};
      for (double error : errors) {
        if (!(std::fabs(error) <= worst)) worst = std::fabs(error);
      }
    }
    EXPECT_EQ(sums[0], want[0]);
    EXPECT_EQ(sums[2], want[2]);
    EXPECT_EQ(sums[3], 0.0);
    EXPECT_TRUE(std::fabs(sums[1] - want[1]) <= tolerance * (1.0 + want[0])) << sums[1];
    ASSERT_TRUE(worst <= tolerance) << "iteration " << iteration << " is off by " << worst;
  }
}

template <class Runner>
class RolloutTest : public testing::Test {};
TYPED_TEST_SUITE(RolloutTest, Runners, RunnerNames);

TYPED_TEST(RolloutTest, RecordsOfIndependentEnvironments) {
  // Within an episode of 13 steps rounding grows twelvefold near the top (e^3.9 per second), and
  // returns add up 13 rewards. Where actions come from less precise products, so do states.
  const double tolerance = 2e-4 + 100.0 * (TypeParam::kGemmTolerance - 1e-6);
  for (int n : {1, 31, 33, 100}) check_rollout<TypeParam, float>(n, 100, tolerance);
  if constexpr (!TypeParam::kIsCuda) check_rollout<TypeParam, double>(65, 100, 1e-11);
}

TYPED_TEST(RolloutTest, AnEnvironmentDoesNotSeeTheOthers) {
  const auto run = [](int num_envs) {
    Config c = rollout_config(num_envs);
    c.noise.decay_steps = 0;  // a schedule counts the steps of all environments
    auto arena = std::make_unique<TestArena<TypeParam, float>>(c);
    arena->template run<Initialise>();
    for (int i = 0; i < 20; ++i) roll_out(*arena);
    return arena;
  };
  const auto all = run(100);
  for (int n : {1, 31, 65}) {
    const auto some = run(n);
    for (uint64_t row = 0; row < 10; ++row) {
      for (int e = 0; e < n; ++e) {
        const float* a = all->agent().at(all->plan.ring) + (row * 100 + uint64_t(e)) * 4;
        const float* b = some->agent().at(some->plan.ring) + (row * uint64_t(n) + uint64_t(e)) * 4;
        for (int d = 0; d < 4; ++d) ASSERT_EQ(a[d], b[d]) << n << " " << row << " " << e;
        ASSERT_EQ(end_bit(all->agent(), row, e), end_bit(some->agent(), row, e));
      }
    }
  }
}

TYPED_TEST(RolloutTest, ActsWithTheLaggedActor) {
  Config c = rollout_config(33);
  c.replay.warmup_steps = 0;
  c.rollout.policy_lag = 1;
  c.noise = {"gaussian", 0.0, 0.0, 0, 0.0};
  TestArena<TypeParam, float> arena(c);
  arena.template run<Initialise>();
  std::mt19937 random(3);
  fill_network(arena.plan.actor, random, arena.agent().at(arena.plan.actor_params));
  const auto lagged =
      reference::unpack(arena.plan.actor, arena.agent().at(arena.plan.actor_lagged));
  roll_out(arena);
  for (uint64_t e = 0; e < 33; ++e) {
    const float* r = arena.agent().at(arena.plan.ring) + e * 4;
    const double mu = reference::policy(lagged, reference::observe({r[0], r[1]}))[0];
    EXPECT_NEAR(r[2], 2.0 * mu, 20 * TypeParam::kGemmTolerance);
  }
}

TYPED_TEST(RolloutTest, ANumberThatIsNotFiniteIsCounted) {
  TestArena<TypeParam, float> arena(rollout_config(100));
  arena.template run<Initialise>();
  const int bad = 70;
  arena.agent().at(arena.plan.env_state)[bad] = std::nanf("");
  arena.template run<Rollout>();
  EXPECT_EQ(arena.agent().work_at(arena.plan.rollout_sums)[3], 0.0f);
  EXPECT_EQ(arena.agent().work_at(arena.plan.rollout_sums)[4 + 3], 3.0f);  // in each of three steps
}

TYPED_TEST(RolloutTest, FrozenAgentsAndLaterSlicesStandStill) {
  for (bool frozen : {true, false}) {
    TestArena<TypeParam, float> arena(rollout_config(33));
    arena.template run<Initialise>();
    if (frozen) arena.agent().counters().fault = 1;
    if (!frozen) arena.control().slice = 1;
    const std::vector<float> before(arena.agent().at(arena.plan.env_state),
                                    arena.agent().at(arena.plan.env_state) + 66);
    arena.template run<Rollout>();
    EXPECT_EQ(before, std::vector<float>(arena.agent().at(arena.plan.env_state),
                                         arena.agent().at(arena.plan.env_state) + 66));
    EXPECT_EQ(arena.agent().at(arena.plan.ring)[3], 0.0f);
  }
}

TYPED_TEST(RolloutTest, EpisodesThatTerminate) {
  Config c = rollout_config(40);
  c.env.max_episode_steps = 9;
  TestArena<TypeParam, float, Point> arena(c);
  const Plan& p = arena.plan;
  arena.template run<Initialise>();
  std::vector<int> length(40, 0);
  int terminated = 0, truncated = 0;
  double correlation = 0.0;
  for (uint64_t i = 0; i < 30; ++i) {
    roll_out(arena);
    const auto a = arena.agent();
    double ended = 0.0;
    for (uint64_t l = 0; l < 3; ++l) {
      const uint64_t row = (i * 3 + l) % p.ring_rows;
      for (int e = 0; e < 40; ++e) {
        const float* r = a.at(p.ring) + (row * 40 + uint64_t(e)) * 8;
        const double x = r[0] + static_cast<double>(r[3]) * std::cos(static_cast<double>(r[2]));
        const bool out = std::fabs(x) > 1.0;
        const bool over = ++length[size_t(e)] == 9;
        ASSERT_EQ(end_bit(a, row, e), out || over) << i << " " << e;
        terminated += out ? 1 : 0;
        truncated += !out && over ? 1 : 0;
        ended += out || over ? 1 : 0;
        if (out || over) length[size_t(e)] = 0;
        EXPECT_TRUE(std::fabs(r[3]) <= 0.5f && std::fabs(r[4]) <= 3.0f);
        correlation += r[3] / 0.5 * r[4] / 3.0 / 3600.0;
        EXPECT_EQ(r[6], 0.0f);
        EXPECT_EQ(r[7], 0.0f);
      }
    }
    EXPECT_EQ(a.work_at(p.rollout_sums)[0], static_cast<float>(ended));
  }
  EXPECT_GT(terminated, 100);
  EXPECT_GT(truncated, 10);
  // The noise of two dimensions is independent: 3,600 products of numbers within 1.
  EXPECT_TRUE(std::fabs(correlation) < 0.5) << correlation;
}

template <class Runner, class T>
void check_evaluation(Config c, double tolerance) {
  c.agents = 2;
  c.env.max_episode_steps = 20;
  TestArena<Runner, T> arena(c);
  arena.template run<Initialise>();
  const auto run = [&](int episodes) {
    const size_t n = static_cast<size_t>(episodes) * 2;
    typename Runner::template Buffer<T> returns(n);
    typename Runner::template Buffer<uint32_t> lengths(n);
    arena.run_program(
        Evaluate<Pendulum, T>{arena.context, episodes, returns.data(), lengths.data()});
    for (uint32_t l : lengths.download()) EXPECT_EQ(l, 20u);
    return returns.download();
  };
  const std::vector<char> before(arena.page());
  const std::vector<T> many = run(130), few = run(33);
  for (size_t k = 0; k < 2; ++k) {
    const auto actor =
        reference::unpack(arena.plan.actor, arena.agent(int(k)).at(arena.plan.actor_params));
    for (uint32_t i = 0; i < 130; ++i) {
      const Uint4 r = philox({7, i, 0, 0}, c.seed + k);
      reference::PendulumState s = {((r.x >> 8) / 8388608.0 - 1.0) * M_PI,
                                    (r.y >> 8) / 8388608.0 - 1.0};
      double total = 0.0;
      for (int t = 0; t < 20; ++t) {
        double reward;
        s = reference::step({}, s, 2.0 * reference::policy(actor, reference::observe(s))[0],
                            &reward);
        total += reward;
      }
      const double error = std::fabs(many[k * 130 + i] - total);
      EXPECT_TRUE(error <= tolerance) << "episode " << i << " is off by " << error;
      EXPECT_EQ(many[k * 130 + i], i < 33 ? few[k * 33 + i] : many[k * 130 + i]);
    }
  }
}

TYPED_TEST(RolloutTest, EvaluationIsTheReferencesAndOfEachEpisodeAlone) {
  // 20 rewards of up to 16, whose states' rounding has grown e^3.9-fold at most.
  check_evaluation<TypeParam, float>(test_config(),
                                     1e-3 + 200.0 * (TypeParam::kGemmTolerance - 1e-6));
  if constexpr (!TypeParam::kIsCuda) check_evaluation<TypeParam, double>(test_config(), 1e-11);
}

TYPED_TEST(RolloutTest, EvaluationStopsAtTheEndOfAnEpisode) {
  Config c = test_config();
  c.env.max_episode_steps = 40;
  TestArena<TypeParam, float, Point> arena(c);
  arena.template run<Initialise>();
  constexpr int kEpisodes = 70;
  typename TypeParam::template Buffer<float> returns(kEpisodes);
  typename TypeParam::template Buffer<uint32_t> lengths(kEpisodes);
  arena.run_program(
      Evaluate<Point, float>{arena.context, kEpisodes, returns.data(), lengths.data()});
  const auto actor = reference::unpack(arena.plan.actor, arena.agent().at(arena.plan.actor_params));
  const auto length = lengths.download();
  const auto total = returns.download();
  const double tolerance = 1e-2 + 100.0 * (TypeParam::kGemmTolerance - 1e-6);
  int early = 0, equal = 0;
  for (uint32_t i = 0; i < kEpisodes; ++i) {
    const Uint4 r = philox({7, i, 0, 0}, c.seed);
    double x = (r.x >> 8) / 8388608.0 - 1.0, y = (r.y >> 8) / 8388608.0 - 1.0;
    double heading = (r.z >> 8) / 8388608.0 - 1.0, sum = 0.0;
    uint32_t t = 0;
    for (bool out = false; !out && t < 40; ++t) {
      const auto a = reference::policy(actor, {x, y, std::sin(heading), std::cos(heading)});
      x += 0.5 * a[0] * std::cos(heading);
      y += 0.5 * a[0] * std::sin(heading);
      heading += 3.0 * a[1];
      sum -= x * x + y * y;
      out = std::fabs(x) > 1.0;
    }
    early += t < 40 ? 1 : 0;
    equal += t == length[i] && std::fabs(sum - total[i]) <= tolerance ? 1 : 0;
  }
  EXPECT_GT(early, 5);
  EXPECT_LT(early, kEpisodes);
  // An end that rounding decides may fall a step beside, and everything after a turn differs.
  EXPECT_GE(equal, TypeParam::kGemmTolerance > 1e-5 ? kEpisodes / 2 : kEpisodes - 2);
}

// --- which records are sampled ---

TYPED_TEST(RolloutTest, SampledRecordsAreWrittenOnesAndNoneThatIsBeingWritten) {
  for (int lag : {0, 1}) {
    Config c = rollout_config(33);
    c.rollout.policy_lag = lag;
    const Plan p = make_plan(c, test_environment<Pendulum>(), 4).plan;
    for (uint64_t first : {0u, 50u}) {
      for (uint64_t iteration = first / 3; iteration < first / 3 + 20; ++iteration) {
        const uint64_t last = (iteration + 1) * 3;  // rows written
        if (last <= first) continue;
        std::set<uint64_t> allowed;  // the ring's rows that hold what is allowed
        const uint64_t oldest = last > 10 ? last - 10 : 0;
        for (uint64_t t = std::max(first, oldest); t < last; ++t) {
          const bool overwritten = lag == 1 && t + 10 < last + 3;  // by the next rollout
          if (!overwritten) allowed.insert(t % 10);
        }
        std::set<uint64_t> seen;
        for (uint64_t i = 0; i < 2000; ++i) {
          const uint64_t at = sample_index(p, 5, iteration, i, first, last);
          ASSERT_LT(at, 330u);
          ASSERT_TRUE(allowed.count(at / 33)) << "row " << at / 33 << " of " << last;
          seen.insert(at / 33);
        }
        EXPECT_EQ(seen, allowed);
      }
    }
  }
}

TYPED_TEST(RolloutTest, SamplesAreUniform) {
  Config c = rollout_config(33);
  const Plan p = make_plan(c, test_environment<Pendulum>(), 4).plan;
  std::vector<double> count(330, 0.0);
  constexpr int kDraws = 330000;
  for (int i = 0; i < kDraws; ++i) {
    count[sample_index(p, 5, uint64_t(i) / 100, uint64_t(i) % 100, 0, 1000)] += 1.0;
  }
  double chi_squared = 0.0;
  for (double n : count) chi_squared += (n - 1000.0) * (n - 1000.0) / 1000.0;
  // 329 degrees of freedom: mean 329, standard deviation sqrt(658). Five of them either way.
  EXPECT_TRUE(std::fabs(chi_squared - 329.0) <= 5.0 * std::sqrt(658.0)) << chi_squared;
}

// What the update samples after a rollout is that rollout's: the next observation of every sampled
// record is the reference's step of it, at the end of an episode too.
TYPED_TEST(RolloutTest, SampledTransitionsGoOnFromTheirRecords) {
  Config c = rollout_config(33);
  TestArena<TypeParam, float> arena(c);
  arena.template run<Initialise>();
  for (int i = 0; i < 28; ++i) roll_out(arena);  // rows 74 to 83: episodes end at 77
  arena.agent().counters().iteration -= 1;       // the updates of the last rollout's iteration
  const auto a = arena.agent();
  int ends = 0, followed = 0;
  for (uint64_t i : sampled_records(a, 3)) {
    const uint64_t row = i / 33, env = i % 33;
    const float* r = a.at(arena.plan.ring) + i * 4;
    double reward;
    const auto next = reference::step({}, {r[0], r[1]}, r[2], &reward);
    EXPECT_NEAR(reward, r[3], 1e-5);
    if (row == 83 % 10) continue;  // the newest row has no successor yet
    const float* after = a.at(arena.plan.ring) + ((row + 1) % 10 * 33 + env) * 4;
    const bool continues =
        std::fabs(after[0] - next.theta) < 1e-5 && std::fabs(after[1] - next.theta_dot) < 1e-5;
    EXPECT_EQ(continues, !end_bit(a, row, static_cast<int>(env)));
    ends += continues ? 0 : 1;
    followed += continues ? 1 : 0;
  }
  EXPECT_GT(ends, 0);
  EXPECT_GT(followed, 0);
}

TYPED_TEST(RolloutTest, TheFirstState) {
  Config c = test_config();
  c.agents = 2;
  c.rollout.policy_lag = 1;
  c.actor.hidden = {400, 300};
  c.actor.init = Init::kPaper;
  c.critic.hidden = {64};
  TestArena<TypeParam, float> arena(c);
  const Plan& p = arena.plan;
  arena.template run<Initialise>();
  std::map<float, int> times;
  int drawn = 0;
  for (int k = 0; k < 2; ++k) {
    const auto a = arena.agent(k);
    for (bool actor : {true, false}) {
      const NetworkLayout& net = actor ? p.actor : p.critic;
      const float* w = a.at(actor ? p.actor_params : p.critic_params);
      const auto equal_to = [&](uint64_t other) {
        return std::equal(w, w + net.count, a.at(other));
      };
      EXPECT_TRUE(equal_to(actor ? p.actor_target : p.critic_target));
      EXPECT_TRUE(!actor || equal_to(p.actor_lagged));
      for (int l = 0; l < net.layers; ++l) {
        const bool head = l + 1 == net.layers;
        const double bound = head && actor ? 3e-3 : 1.0 / std::sqrt(net.size[l]);
        for (auto [at, n] : {std::pair{net.weight[l], net.size[l] * net.size[l + 1]},
                             std::pair{net.bias[l], net.size[l + 1]}}) {
          double sum = 0.0, squares = 0.0;
          for (int i = 0; i < n; ++i) {
            const double x = w[at + uint32_t(i)] / bound;
            ASSERT_TRUE(std::fabs(x) <= 1.0 + 1e-6);
            sum += x;
            squares += x * x;
            ++drawn;
            ++times[w[at + uint32_t(i)]];
          }
          // Uniform numbers: variance 1/3, of the square 4/45; five standard errors.
          EXPECT_TRUE(std::fabs(sum) <= 5.0 * std::sqrt(n / 3.0)) << actor << l;
          EXPECT_TRUE(std::fabs(squares - n / 3.0) <= 5.0 * std::sqrt(n * 4.0 / 45.0))
              << actor << l;
        }
      }
    }
    EXPECT_EQ(a.counters().update_start, p.warmup_steps);
    for (uint64_t e = 0; e < 33; ++e) {
      const Uint4 r = philox({2, uint32_t(e), 0, 0}, c.seed + uint64_t(k));
      EXPECT_NEAR(a.at(p.env_state)[e], ((r.x >> 8) / 8388608.0 - 1.0) * M_PI, 1e-6);
      EXPECT_NEAR(a.at(p.env_state)[33 + e], (r.y >> 8) / 8388608.0 - 1.0, 1e-6);
    }
  }
  // Numbers of 24 bits meet by chance; tensors or agents that share theirs would halve the count.
  EXPECT_GT(times.size(), static_cast<size_t>(drawn) * 95 / 100);
}

}  // namespace pendula
