// What the typed tests share: an arena that a runner's programs work on, and comparisons in which a
// NaN fails.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <random>
#include <string>
#include <type_traits>
#include <vector>

#include "envs/pendulum.h"
#include "host/planning.h"
#include "kernels/program.h"
#include "tests/reference.h"

namespace pendula {

// The error of a product of matrices in T on a runner, relative to the sum of |a b|. In double it
// is the float's times the ratio of the roundings, 2^-29, and no runner computes double in less.
template <class Runner, class T>
constexpr double gemm_tolerance() {
  return sizeof(T) == 8 ? 1e-6 / (1 << 29) : Runner::kGemmTolerance;
}

// A config whose sizes are awkward and small; tests change what they are about.
inline Config test_config() {
  Config c;
  c.seed = 0x123456789abcdefull;
  c.env.num_envs = 33;
  c.env.max_episode_steps = 200;
  c.actor.hidden = {9, 5};
  c.critic.hidden = {7, 11};
  c.ddpg.batch_size = 31;
  c.replay.capacity = 33 * 40;
  c.replay.warmup_steps = 33;
  return c;
}

// What a config calls an environment, of one that no config knows.
template <class Env>
EnvironmentInfo test_environment() {
  EnvironmentInfo info;
  info.id = Env::kId;
  info.state_dim = Env::kStateDim;
  info.obs_dim = Env::kObsDim;
  info.action_dim = Env::kActionDim;
  info.max_episode_steps = Env::kMaxEpisodeSteps;
  return info;
}

// The arena of a config where a runner's programs work on it, and a copy of it here.
template <class Runner, class T, class Environment = Pendulum>
class TestArena {
 public:
  using Env = Environment;
  Plan plan;
  Context<Env, T> context;

  explicit TestArena(const Config& config)
      : plan(make_plan(config, test_environment<Env>(), sizeof(T)).plan),
        host_(plan.arena_bytes, 0),
        arena_(plan.arena_bytes),
        page_(sizeof(HostPage) +
              sizeof(ReportRow) * plan.report_slots * static_cast<uint64_t>(plan.agents)) {
    page_.upload(std::vector<char>(page_.size(), 0));
    context.plan = plan;
    context.env = {};
    context.arena = arena_.data();
    context.page = reinterpret_cast<HostPage*>(page_.data());
    for (int k = 0; k < plan.agents; ++k) {
      agent(k).hyper() = agent_hyper(config, k);
      agent(k).counters().update_start = plan.warmup_steps;
    }
    push();
  }

  // Agent k in the copy here.
  AgentView<T> agent(int k = 0) { return AgentView<T>(host_.data(), plan, k); }
  Control& control() { return *reinterpret_cast<Control*>(host_.data() + plan.control); }
  void push() { arena_.upload(host_); }
  void pull() { host_ = arena_.download(); }

  // Host page and report ring.
  std::vector<char> page() const { return page_.download(); }
  void set_page(const HostPage& page) {
    std::vector<char> bytes = page_.download();
    std::memcpy(bytes.data(), &page, sizeof page);
    page_.upload(bytes);
  }

  // Runs Program{context, arguments...} on the arena as it stands in the copy here, and brings the
  // result back.
  template <template <class, class> class Program, class... Arguments>
  void run(Arguments... arguments) {
    context.plan = plan;
    push();
    Runner::run(Program<Env, T>{context, arguments...});
    pull();
  }
  // Runs a program on the arena there, and leaves the copy here as it is.
  template <class P>
  void run_only(const P& program) {
    Runner::run(program);
  }
  template <class P>
  void run_program(const P& program) {
    push();
    Runner::run(program);
    pull();
  }

 private:
  std::vector<char> host_;
  typename Runner::template Buffer<char> arena_;
  typename Runner::template Buffer<char> page_;
};

// What a record of the ring says.
template <class Env, class T>
reference::Transition transition_of(const T* record) {
  const T* action = record + Env::kStateDim;
  return {{record, action}, {action, action + Env::kActionDim}, action[Env::kActionDim]};
}

// U(-bound, bound) of torch.nn.Linear in each tensor, from a generator of our own; gaps stay 0.
template <class T>
void fill_network(const NetworkLayout& net, std::mt19937& random, T* block) {
  for (int l = 0; l < net.layers; ++l) {
    const double bound = 1.0 / std::sqrt(net.size[l]);
    std::uniform_real_distribution<double> u(-bound, bound);
    for (int i = 0; i < net.size[l] * net.size[l + 1]; ++i) {
      block[net.weight[l] + static_cast<uint32_t>(i)] = static_cast<T>(u(random));
    }
    for (int i = 0; i < net.size[l + 1]; ++i) {
      block[net.bias[l] + static_cast<uint32_t>(i)] = static_cast<T>(u(random));
    }
  }
}

// Transitions from states anywhere into the whole ring, rewards as the environment gives them.
template <class Env, class T>
void fill_ring(const Plan& p, std::mt19937& random, T* ring) {
  const reference::Model& model = reference::model<Env>();
  const auto draw = [&](double low, double high) {
    return static_cast<T>(std::uniform_real_distribution<double>(low, high)(random));
  };
  for (uint64_t i = 0; i < p.ring_rows * static_cast<uint64_t>(p.num_envs); ++i) {
    T* record = ring + i * static_cast<uint64_t>(p.record_size);
    for (size_t d = 0; d < Env::kStateDim; ++d) record[d] = draw(model.low[d], model.high[d]);
    for (size_t d = 0; d < Env::kActionDim; ++d) {
      record[Env::kStateDim + d] = draw(-model.bound[d], model.bound[d]);
    }
    const reference::Transition t = transition_of<Env>(record);
    record[Env::kStateDim + Env::kActionDim] = static_cast<T>(model.step(t.state, t.action).reward);
  }
}

// ||got - want|| <= tolerance (||want|| + floor) for one tensor of n elements. NaN fails.
template <class A, class B>
void expect_near_norm(const A* got, const B* want, size_t n, double tolerance, double floor,
                      const std::string& what) {
  double difference = 0.0, size = 0.0;
  for (size_t i = 0; i < n; ++i) {
    const double d = static_cast<double>(got[i]) - static_cast<double>(want[i]);
    difference += d * d;
    size += static_cast<double>(want[i]) * static_cast<double>(want[i]);
  }
  const double error = std::sqrt(difference) / (std::sqrt(size) + floor);
  EXPECT_TRUE(difference == 0.0 || error <= tolerance)
      << what << " is off by " << error << ", allowed " << tolerance;
}

// The same for each tensor of a network; a tensor's size counts as at least 1e-3 of the largest,
// for rounding in it comes from values of the others' size. Expects 0 in the gaps.
template <class A, class B>
void expect_near_network(const NetworkLayout& net, const A* got, const B* want, double tolerance,
                         const std::string& what) {
  double largest = 0.0;
  std::vector<std::pair<uint32_t, int>> tensors;
  for (int l = 0; l < net.layers; ++l) {
    tensors.emplace_back(net.weight[l], net.size[l] * net.size[l + 1]);
    tensors.emplace_back(net.bias[l], net.size[l + 1]);
  }
  for (const auto& [at, n] : tensors) {
    double size = 0.0;
    for (int i = 0; i < n; ++i) size += std::pow(static_cast<double>(want[at + uint32_t(i)]), 2);
    largest = std::max(largest, std::sqrt(size));
  }
  uint32_t gap = 0;
  for (size_t i = 0; i < tensors.size(); ++i) {
    const auto [at, n] = tensors[i];
    expect_near_norm(got + at, want + at, static_cast<size_t>(n), tolerance, 1e-3 * largest,
                     what + (i % 2 == 0 ? ".weight " : ".bias ") + std::to_string(i / 2));
    for (; gap < at; ++gap) EXPECT_EQ(got[gap], A(0)) << what << ": gap before tensor " << i;
    gap = at + static_cast<uint32_t>(n);
  }
}

// The networks and settings of an agent for the reference.
template <class Env, class T>
reference::Ddpg reference_of(const AgentView<T>& a) {
  reference::Ddpg d;
  d.model = &reference::model<Env>();
  d.actor = reference::unpack(a.plan.actor, a.at(a.plan.actor_params));
  d.critic = reference::unpack(a.plan.critic, a.at(a.plan.critic_params));
  d.actor_target = reference::unpack(a.plan.actor, a.at(a.plan.actor_target));
  d.critic_target = reference::unpack(a.plan.critic, a.at(a.plan.critic_target));
  d.gamma = a.hyper().gamma;
  d.reward_scale = a.plan.reward_scale;
  d.loss = a.plan.loss;
  return d;
}

// What a whole gradient may be off by, relative to its norm: the errors of about ten products, one
// behind the other. A relu whose input rounds to the other side of 0 moves the gradient by a whole
// step: in float none does in these tests; in less precision a share of that size does, and adds in
// quadrature.
template <class Runner, class T>
double gradient_tolerance(Activation a) {
  const double tolerance = 20.0 * gemm_tolerance<Runner, T>();
  return a == Activation::kRelu && tolerance > 1e-4 ? std::sqrt(tolerance) : tolerance;
}

// Whether the ring says that environment `env`'s episode ended with the record of row `row`.
template <class T>
bool end_bit(const AgentView<T>& a, uint64_t row, int env) {
  const uint64_t words = static_cast<uint64_t>((a.plan.num_envs + 31) / 32);
  return (a.ring_end()[row * words + uint64_t(env) / 32] >> (env % 32) & 1) != 0;
}

// "cpu" and the like in the names of tests.
struct RunnerNames {
  template <class Runner>
  static std::string GetName(int) {
    return Runner::kName;
  }
};

}  // namespace pendula
