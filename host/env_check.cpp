#include "host/env_check.h"

#include <fmt/format.h>

#include <cmath>
#include <cstring>

#include "host/cuda_loader.h"
#include "host/planning.h"
#include "host/play.h"
#include "host/simd.h"

namespace pendula {
namespace {

using Verdict = ContractPoint::Verdict;

constexpr int kEnvs = 70, kSteps = 120;

ContractPoint broken(ContractPoint point, std::string detail) {
  point.verdict = Verdict::kBroken;
  point.detail = std::move(detail);
  return point;
}

std::string text_of(const float* values, int n) {
  std::string text = "(";
  for (int i = 0; i < n; ++i) text += fmt::format("{}{:.9g}", i > 0 ? ", " : "", values[i]);
  return text + ")";
}

// Whether got is want, to the last bit or within float's rounding of numbers of that size.
bool agrees(double got, double want, bool exact) {
  if (exact) return got == want;
  return std::fabs(got - want) <= 2e-5 * std::fmax(1.0, std::fabs(want));
}

template <class T>
bool finite(const T* values, int n) {
  for (int i = 0; i < n; ++i) {
    if (!std::isfinite(values[i])) return false;
  }
  return true;
}

const TensorSpec& tensor(const Backend& backend, const std::string& name) {
  for (const TensorSpec& t : backend.tensors().tensors) {
    if (t.name == name) return t;
  }
  throw std::logic_error("no tensor " + name);
}

// An episode under one kind of extreme action, in type T. "" where all stays finite.
template <class T>
std::string extreme_episode(const CheckedEnvironment& env, const EnvFunctions<T>& f, double factor,
                            bool alternate) {
  const EnvironmentInfo& e = env.info;
  std::vector<T> state(static_cast<size_t>(e.state_dim)), next = state;
  std::vector<T> obs(static_cast<size_t>(e.obs_dim)), action(static_cast<size_t>(e.action_dim));
  f.reset(env.params.data(), 1, 0, 0, state.data());
  for (int t = 0; t < e.max_episode_steps; ++t) {
    for (int d = 0; d < e.action_dim; ++d) {
      const double sign = alternate && t % 2 == 1 ? -1.0 : 1.0;
      const double a = sign * factor * static_cast<double>(f.action_bound(env.params.data(), d));
      action[static_cast<size_t>(d)] = static_cast<T>(a);
    }
    f.observe(env.params.data(), state.data(), obs.data());
    const auto r = f.step(env.params.data(), state.data(), action.data(), next.data());
    if (!finite(state.data(), e.state_dim) || !finite(next.data(), e.state_dim) ||
        !finite(obs.data(), e.obs_dim) || !std::isfinite(r.reward)) {
      return fmt::format(
          "step {} of an episode with the action {:g} is not finite; clip the action "
          "to action_bound, and look for divisions by 0",
          t, static_cast<double>(action[0]));
    }
    if (r.terminated) return "";
    state = next;
  }
  return "";
}

}  // namespace

CheckedEnvironment checked_environment(const Config& config) {
  const EnvironmentInfo& info = *find_environment(config.env.id);
  return {info, env_param_values(config, info), env_functions<float>(info.id),
          env_functions<double>(info.id)};
}

Config contract_config(const Config& config) {
  Config c;
  c.seed = 12345;
  c.env = config.env;
  c.env.num_envs = kEnvs;
  c.env.max_episode_steps = 17;
  c.rollout.length = 3;
  c.actor.hidden = c.critic.hidden = {16};
  c.noise.sigma = c.noise.sigma_final = 0.5;
  c.noise.epsilon = 0.2;
  c.replay.capacity = kEnvs * (kSteps + 3);
  c.replay.warmup_steps = kEnvs * kSteps / 2;
  c.ddpg.batch_size = 8;
  c.ddpg.updates_per_step = 1e-3;
  c.report.interval = kEnvs * 1000;
  return c;
}

RecordedRollout record_rollout(Backend& backend, const Config& config, int steps) {
  const EnvironmentInfo& e = *find_environment(config.env.id);
  backend.initialise();
  const std::atomic<bool> stop{false};
  const uint64_t until = static_cast<uint64_t>(steps / config.rollout.length);
  while (backend.run(until, stop).iteration < until) {
  }
  const TensorSpec& records = tensor(backend, "agents.replay.records");
  const TensorSpec& ends = tensor(backend, "agents.replay.episode_end");
  const size_t n = static_cast<size_t>(steps) * kEnvs, size = static_cast<size_t>(records.shape[3]);
  const size_t words = static_cast<size_t>(ends.shape[2]);
  std::vector<float> raw(n * size);
  std::vector<uint32_t> bits(static_cast<size_t>(steps) * words);
  backend.read(records.offset, raw.size() * sizeof(float), raw.data());
  backend.read(ends.offset, bits.size() * sizeof(uint32_t), bits.data());
  RecordedRollout r{config.seed, kEnvs, steps, static_cast<int>(config.env.max_episode_steps),
                    {},          {},    {},    {}};
  for (size_t i = 0; i < n; ++i) {
    const float* record = raw.data() + i * size;
    const float* action = record + e.state_dim;
    r.state.insert(r.state.end(), record, action);
    r.action.insert(r.action.end(), action, action + e.action_dim);
    r.reward.push_back(action[e.action_dim]);
    r.ended.push_back((bits[i / kEnvs * words + i % kEnvs / 32] >> (i % kEnvs % 32) & 1) != 0);
  }
  return r;
}

ContractPoint check_same(const RecordedRollout& a, const RecordedRollout& b) {
  ContractPoint point{"same seed, same trajectory", Verdict::kHolds,
                      fmt::format("{} environments, {} steps, twice", a.num_envs, a.steps)};
  const auto same = [](const std::vector<float>& x, const std::vector<float>& y) {
    return x.size() == y.size() && std::memcmp(x.data(), y.data(), x.size() * sizeof x[0]) == 0;
  };
  if (same(a.state, b.state) && same(a.action, b.action) && same(a.reward, b.reward) &&
      a.ended == b.ended) {
    return point;
  }
  return broken(point, "two runs with the same seed differ; look for state outside `state`");
}

std::vector<ContractPoint> check_records(const CheckedEnvironment& env, const RecordedRollout& r,
                                         bool exact) {
  const EnvironmentInfo& e = env.info;
  const size_t S = static_cast<size_t>(e.state_dim), A = static_cast<size_t>(e.action_dim);
  ContractPoint alone{"environment i of N is the one that it is alone", Verdict::kHolds, ""};
  ContractPoint limit{"the time limit truncates and never terminates", Verdict::kHolds, ""};
  ContractPoint kept{"the state before a reset is kept", Verdict::kHolds, ""};
  int terminated = 0, truncated = 0, followed = 0;
  std::vector<float> next(S), first(S), obs(static_cast<size_t>(e.obs_dim));
  for (int i = 0; i < r.num_envs; ++i) {
    int length = 0;
    for (int t = 0; t < r.steps; ++t) {
      const size_t at =
          static_cast<size_t>(t) * static_cast<size_t>(r.num_envs) + static_cast<size_t>(i);
      const float* state = r.state.data() + at * S;
      const auto after =
          env.single.step(env.params.data(), state, r.action.data() + at * A, next.data());
      const std::string where = fmt::format("environment {}, step {}", i, t);
      ++length;
      const bool over = length == r.limit;
      if (r.ended[at] != (after.terminated || over)) {
        limit =
            broken(limit, fmt::format("{}: {} after {} steps, though step() says {} and the limit "
                                      "is {}; `terminated` must be 0 or 1 and depend on the "
                                      "state and the action alone",
                                      where, r.ended[at] ? "ended" : "goes on", length,
                                      after.terminated ? "terminated" : "not", r.limit));
        return {alone, limit, kept};
      }
      if (!agrees(r.reward[at], after.reward, exact)) {
        alone = broken(alone, fmt::format("{}: the reward {:.9g}, alone {:.9g}", where,
                                          r.reward[at], after.reward));
      }
      terminated += after.terminated ? 1 : 0;
      truncated += !after.terminated && over ? 1 : 0;
      env.single.observe(env.params.data(), next.data(), obs.data());
      if (r.ended[at] && !finite(obs.data(), e.obs_dim)) {
        kept = broken(kept, where + ": the observation after the last step is not finite");
      }
      if (r.ended[at]) {
        length = 0;
        env.single.reset(env.params.data(), r.seed, static_cast<uint64_t>(i),
                         static_cast<uint64_t>(t) + 1, first.data());
      }
      if (t + 1 == r.steps) continue;
      const float* got = state + static_cast<size_t>(r.num_envs) * S;
      const std::vector<float>& want = r.ended[at] ? first : next;
      for (size_t d = 0; d < S; ++d) {
        if (agrees(got[d], want[d], exact)) continue;
        const std::string text =
            fmt::format("{}: goes on in {}, should in {}", where, text_of(got, e.state_dim),
                        text_of(want.data(), e.state_dim));
        (r.ended[at] ? kept : alone) = broken(r.ended[at] ? kept : alone, text);
        return {alone, limit, kept};
      }
      ++followed;
    }
  }
  const auto detail = [](ContractPoint& point, std::string text) {
    if (point.verdict == Verdict::kHolds) point.detail = std::move(text);
  };
  detail(alone, fmt::format("{} of {} steps one by one{}", followed, r.steps * r.num_envs,
                            exact ? ", to the last bit" : ""));
  detail(limit, fmt::format("{} episodes terminated, {} truncated", terminated, truncated));
  detail(kept, fmt::format("{} ends of episodes", terminated + truncated));
  if (truncated == 0 && limit.verdict == Verdict::kHolds) {
    limit = {limit.name, Verdict::kNotChecked, fmt::format("no episode lasts {} steps", r.limit)};
  }
  return {alone, limit, kept};
}

ContractPoint check_extreme_actions(const CheckedEnvironment& env) {
  ContractPoint point{"finite for extreme actions", Verdict::kHolds,
                      "episodes with actions of up to 1e30 bounds"};
  for (double factor : {0.0, 1.0, -1.0, 1e6, -1e6, 1e30, -1e30}) {
    for (bool alternate : {false, true}) {
      std::string problem = extreme_episode(env, env.single, factor, alternate);
      if (problem.empty()) problem = extreme_episode(env, env.twice, factor, alternate);
      if (!problem.empty()) return broken(point, problem);
    }
  }
  return point;
}

ContractPoint check_precision(const CheckedEnvironment& env, const RecordedRollout& r,
                              const std::string& name) {
  const EnvironmentInfo& e = env.info;
  const size_t S = static_cast<size_t>(e.state_dim), A = static_cast<size_t>(e.action_dim);
  ContractPoint point{name, Verdict::kHolds, ""};
  double worst = 0.0;
  std::vector<double> state(S), action(A), next(S);
  const size_t n = r.reward.size(), envs = static_cast<size_t>(r.num_envs);
  for (size_t at = 0; at < n; ++at) {
    std::copy_n(r.state.begin() + static_cast<int64_t>(at * S), S, state.begin());
    std::copy_n(r.action.begin() + static_cast<int64_t>(at * A), A, action.begin());
    const auto after = env.twice.step(env.params.data(), state.data(), action.data(), next.data());
    const bool follows = !r.ended[at] && at + envs < n;
    for (size_t d = 0; d <= S; ++d) {
      if (d < S && !follows) continue;
      const double got = d < S ? r.state[(at + envs) * S + d] : r.reward[at];
      const double want = d < S ? next[d] : static_cast<double>(after.reward);
      const double error = std::fabs(got - want) / std::fmax(1.0, std::fabs(want));
      if (!(error <= worst)) worst = error;
      if (agrees(got, want, false)) continue;
      return broken(point, fmt::format("environment {}, step {}: {} is {:.9g}, in double {:.9g}; "
                                       "look for differences of large numbers",
                                       at % envs, at / envs,
                                       d < S ? e.state_names[d] : "the reward", got, want));
    }
  }
  point.detail = fmt::format("largest error of a step {:.1e}", worst);
  return point;
}

std::vector<ContractPoint> check_contract(const Config& config) {
  const CheckedEnvironment env = checked_environment(config);
  Config c = contract_config(config);
  std::vector<ContractPoint> points;
  c.simd = kScalarLevel;  // one call at a time has that level's bits
  const RecordedRollout scalar = record_rollout(*make_cpu_backend(c, 1), c, kSteps);
  points.push_back(check_same(scalar, record_rollout(*make_cpu_backend(c, 2), c, kSteps)));
  for (ContractPoint& point : check_records(env, scalar, true)) points.push_back(std::move(point));
  points.push_back(check_extreme_actions(env));
  for (const std::string& level : simd_levels()) {
    if (!has_simd_level(level)) continue;
    c.simd = level;
    const RecordedRollout r = record_rollout(*make_cpu_backend(c, 1), c, kSteps);
    points.push_back(check_precision(env, r, "float is close to double, " + level));
  }
  ContractPoint cuda{"CPU equals CUDA", Verdict::kNotChecked, ""};
  const CudaProbe probe = probe_cuda();
  if (probe.available) {
    const RecordedRollout r = record_rollout(*make_cuda_backend(c, 0), c, kSteps);
    cuda = check_precision(env, r, cuda.name);
    for (const ContractPoint& point : check_records(env, r, false)) {
      if (point.verdict == Verdict::kBroken) cuda = broken(cuda, point.name + ": " + point.detail);
    }
  } else {
    cuda.detail = probe.sentence;
  }
  points.push_back(cuda);
  return points;
}

}  // namespace pendula
