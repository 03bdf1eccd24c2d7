// Agents in company: each of P agents is, bit for bit, the agent alone that has its seed, for every
// number of threads, wherever launches are cut and resumed, and where others have diverged. On the
// CPU backend: with at least as many agents as workers each worker takes whole agents, with fewer
// all workers share each agent.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <string>

#include "tests/bits.h"
#include "tests/variants.h"

namespace pendula {
namespace {

// So small that a thousand of them train in a second. The ring is gone round, episodes end, two
// tiles of a batch, half the iterations make updates.
Config tiny_config(int64_t agents) {
  Config c;
  c.seed = 23;
  c.agents = agents;
  c.env.num_envs = 4;
  c.env.max_episode_steps = 5;
  c.actor.hidden = {5};
  c.critic.hidden = {6, 3};
  c.ddpg.batch_size = 70;
  c.ddpg.updates_per_step = 0.75;  // 3 updates in an iteration
  c.optimizer.max_grad_norm = 1.0;
  c.replay.capacity = 4 * 6;
  c.replay.warmup_steps = 4 * 3;
  c.report.interval = 4 * 2;
  return c;
}
constexpr uint64_t kTinyIterations = 10;
constexpr uint64_t kTinyUpdates = 7 * 3;

Config alone_config(const Config& c, int64_t agent) {
  Config one = c;
  one.agents = 1;
  one.seed = c.seed + static_cast<uint64_t>(agent);
  return one;
}
std::vector<State> alone_states(const Config& c, uint64_t iterations) {
  std::vector<State> all;
  for (int64_t k = 0; k < c.agents; ++k) {
    const auto alone = started(alone_config(c, k), 1);
    run_to(*alone, iterations);
    all.push_back(state_of(*alone, 0));
  }
  return all;
}
// The first agent that differs is named, the others are not looked at.
void expect_agents(const CpuBackend& company, const std::vector<State>& alone) {
  ASSERT_EQ(static_cast<size_t>(company.tensors().agents), alone.size());
  for (size_t k = 0; k < alone.size(); ++k) {
    SCOPED_TRACE("agent " + std::to_string(k) + " of " + std::to_string(alone.size()));
    expect_equal(state_of(company, static_cast<int64_t>(k)), alone[k]);
    if (testing::Test::HasFailure()) return;
  }
}
std::vector<char> agents_bytes(const CpuBackend& backend) {
  const TensorTable& t = backend.tensors();
  std::vector<char> all(static_cast<size_t>(t.agents) * t.agent_bytes);
  backend.read(0, all.size(), all.data());
  return all;
}
// A backend that has never run, with the state of another one.
std::unique_ptr<CpuBackend> resumed(const Config& c, int threads, const CpuBackend& from) {
  auto next = std::make_unique<CpuBackend>(c, threads);
  const std::vector<char> all = agents_bytes(from);
  next->write(0, all.size(), all.data());
  return next;
}

class Population : public testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(Of, Population, testing::Values(1, 2, 7, 133, 1000),
                         [](const auto& info) { return std::to_string(info.param); });

TEST_P(Population, EachAgentIsTheAgentAlone) {
  const Config c = tiny_config(GetParam());
  const std::vector<State> alone = alone_states(c, kTinyIterations);
  if (GetParam() > 1) {
    EXPECT_NE(alone.front(), alone.back()) << "agents with other seeds are others";
  }
  for (int threads : {1, 2, 3}) {
    SCOPED_TRACE(threads);
    const auto company = started(c, threads);
    const auto rows = run_to(*company, kTinyIterations);
    EXPECT_EQ(rows.size(), kTinyIterations / 2 * static_cast<size_t>(GetParam()));
    for (int k = 0; k < GetParam(); ++k) {
      ASSERT_EQ(company->agent(k).counters().updates, kTinyUpdates) << k;
    }
    expect_agents(*company, alone);
  }
}

// A stop that is always asked for cuts after every turn, and each turn goes on in a backend that
// has the state by write() alone, on another number of threads.
TEST_P(Population, StopsAndResumesChangeNoBit) {
  Config c = tiny_config(GetParam());
  c.ddpg.updates_per_step = 17.0;  // 68 updates: two slices, so that a stop falls between them
  if (GetParam() > 7) c.ddpg.batch_size = 9;
  ASSERT_EQ(make_plan(c, *find_environment("pendulum"), 4).plan.slices, 2);
  constexpr uint64_t kIterationsHere = 5;
  const std::vector<State> alone = alone_states(c, kIterationsHere);
  auto company = started(c, 1);
  const std::atomic<bool> stop{true};
  int cuts = 0, inside = 0;
  while (company->agent(0).counters().iteration < kIterationsHere) {
    ASSERT_LT(cuts, 100) << "it does not go on";
    company->run(kIterationsHere, stop);
    const AgentCounters& first = company->agent(0).counters();
    for (int k = 1; k < GetParam(); ++k) {  // all stand at the same place
      const AgentCounters& other = company->agent(k).counters();
      ASSERT_EQ(other.iteration, first.iteration) << k;
      ASSERT_EQ(other.slice, first.slice) << k;
      ASSERT_EQ(other.updates, first.updates) << k;
    }
    inside += first.slice != 0 ? 1 : 0;
    company = resumed(c, 1 + ++cuts % 2, *company);
  }
  EXPECT_EQ(inside, 5);
  expect_agents(*company, alone);
}

// Each environment, noise and option of the algorithm, with larger networks.
class CompanyOf : public testing::TestWithParam<Variant> {};
INSTANTIATE_TEST_SUITE_P(Variants, CompanyOf, testing::ValuesIn(kVariants),
                         [](const auto& info) { return std::string(info.param.name); });

TEST_P(CompanyOf, ThreeAgentsAreTheAgentsAlone) {
  for (int64_t lag : {0, 1}) {
    Config c = bits_config();
    GetParam().apply(c);
    c.rollout.policy_lag = lag;
    c.agents = 3;
    const auto company = started(c, 2);
    run_to(*company, kIterations);
    const Evaluation together = company->evaluate(33);
    for (int64_t k = 0; k < 3; ++k) {
      const auto alone = started(alone_config(c, k), 1);
      run_to(*alone, kIterations);
      SCOPED_TRACE(k);
      expect_equal(state_of(*company, k), state_of(*alone, 0));
      const Evaluation e = alone->evaluate(33);
      for (size_t i = 0; i < 33; ++i) {
        EXPECT_EQ(together.returns[static_cast<size_t>(k) * 33 + i], e.returns[i]);
      }
    }
  }
}

// Turns the critic of an agent into NaN between two launches.
void poison(CpuBackend& backend, uint64_t agent) {
  const float nan = std::nanf("");
  const Plan& p = backend.plan();
  backend.write(agent * p.agent_bytes + p.critic_params, sizeof nan, &nan);
}
State without_counters(State s) {  // a frozen agent's iterations are counted still
  s.erase("agents.counters");
  return s;
}

TEST(PopulationTest, AnAgentThatDivergesIsFrozenAndTheOthersGoOn) {
  Config c = bits_config();
  c.agents = 3;
  const auto backend = started(c, 2);
  const auto healthy = started(c, 1);
  run_to(*backend, 20);
  poison(*backend, 1);
  run_to(*backend, kIterations);
  run_to(*healthy, kIterations);
  const auto faults = backend->faults();
  ASSERT_EQ(faults.size(), 1u);
  EXPECT_EQ(faults[0].agent, 1u);
  EXPECT_EQ(faults[0].iteration, 20u);
  EXPECT_EQ(faults[0].fault, Fault::kCriticLoss);
  for (int64_t k : {0, 2}) expect_equal(state_of(*backend, k), state_of(*healthy, k));
  const State frozen = state_of(*backend, 1);
  for (uint64_t k : {0, 2}) poison(*backend, k);
  const std::atomic<bool> stop{false};
  const RunResult r = backend->run(kIterations + 10, stop);
  EXPECT_EQ(r.reason, HaltReason::kDiverged);
  EXPECT_EQ(backend->faults().size(), 3u);
  expect_equal(without_counters(state_of(*backend, 1)), without_counters(frozen));
}

// Many agents by turns, agent 0 (whose updates a run reports) among those that diverge; one in the
// run, one after it was resumed.
TEST(PopulationTest, FrozenAgentsStayFrozenAmongManyAndAcrossAResume) {
  const Config c = tiny_config(40);
  const std::vector<State> alone = alone_states(c, kTinyIterations);
  for (int threads : {1, 2}) {
    SCOPED_TRACE(threads);
    auto company = started(c, threads);
    run_to(*company, 5);
    poison(*company, 0);
    run_to(*company, 7);
    const State first = state_of(*company, 0);
    company = resumed(c, 3 - threads, *company);
    poison(*company, 33);
    run_to(*company, 8);
    const State second = state_of(*company, 33);
    run_to(*company, kTinyIterations);
    const auto faults = company->faults();
    ASSERT_EQ(faults.size(), 2u);
    EXPECT_EQ(faults[0].agent, 0u);
    EXPECT_EQ(faults[0].iteration, 5u);
    EXPECT_EQ(faults[1].agent, 33u);
    EXPECT_EQ(faults[1].iteration, 7u);
    expect_equal(without_counters(state_of(*company, 0)), without_counters(first));
    expect_equal(without_counters(state_of(*company, 33)), without_counters(second));
    for (int64_t k = 0; k < c.agents; ++k) {
      EXPECT_EQ(company->agent(static_cast<int>(k)).counters().iteration, kTinyIterations) << k;
      if (k == 0 || k == 33) continue;
      SCOPED_TRACE(k);
      expect_equal(state_of(*company, k), alone[static_cast<size_t>(k)]);
    }
  }
}

}  // namespace
}  // namespace pendula
