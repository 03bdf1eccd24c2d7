// What tests of equal bits share: a config that has a little of everything, the bytes of a
// backend's state by name, and runs of the CPU backend.
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "host/cpu_backend.h"

namespace pendula {

// Several tiles of environments, several partial sums, a ring that is gone round twice in 40
// iterations (32 rows of 70), a warm-up of 8 iterations.
inline Config bits_config() {
  Config c;
  c.seed = 11;
  c.env.num_envs = 70;
  c.env.max_episode_steps = 9;
  c.rollout.length = 2;
  c.actor.hidden = {33, 17};
  c.critic.hidden = {65};
  c.critic.activation = Activation::kSilu;
  c.ddpg.batch_size = 150;
  c.ddpg.updates_per_step = 0.02;  // 2.8 updates in an iteration
  c.optimizer.max_grad_norm = 1.0;
  c.noise.epsilon = 0.1;
  c.replay.capacity = 70 * 32 + 5;
  c.replay.warmup_steps = 70 * 16;
  c.report.interval = 70 * 6;
  return c;
}
inline constexpr uint64_t kIterations = 40;

using State = std::map<std::string, std::string>;  // the bytes of each tensor of each agent

inline State state_of(const CpuBackend& backend, int64_t agent = -1) {
  const TensorTable& table = backend.tensors();
  State state;
  for (const TensorSpec& t : table.tensors) {
    uint64_t bytes = t.dtype == DType::kF32 || t.dtype == DType::kU32 ? 4 : 8;
    for (size_t d = 1; d < t.shape.size(); ++d) bytes *= static_cast<uint64_t>(t.shape[d]);
    for (int64_t k = 0; k < table.agents; ++k) {
      if (agent >= 0 && k != agent) continue;
      std::string value(bytes, '\0');
      backend.read(static_cast<uint64_t>(k) * table.agent_bytes + t.offset, bytes, value.data());
      state[t.name + (agent >= 0 ? "" : " " + std::to_string(k))] = value;
    }
  }
  return state;
}
inline void restore(CpuBackend& backend, const State& state) {
  const TensorTable& table = backend.tensors();
  for (const TensorSpec& t : table.tensors) {
    for (int64_t k = 0; k < table.agents; ++k) {
      const std::string& value = state.at(t.name + " " + std::to_string(k));
      backend.write(static_cast<uint64_t>(k) * table.agent_bytes + t.offset, value.size(),
                    value.data());
    }
  }
}
// Names the tensors that differ.
inline void expect_equal(const State& got, const State& want) {
  ASSERT_EQ(got.size(), want.size());
  ASSERT_GT(got.size(), 30u);
  for (const auto& [name, value] : want) EXPECT_TRUE(got.at(name) == value) << name << " differs";
}

// Runs to `until` in as many launches as it takes. Returns the report rows.
inline std::vector<ReportRow> run_to(CpuBackend& backend, uint64_t until) {
  const std::atomic<bool> stop{false};
  std::vector<ReportRow> rows;
  while (true) {
    const RunResult r = backend.run(until, stop);
    for (const ReportRow& row : backend.take_reports()) rows.push_back(row);
    if (r.reason != HaltReason::kTime) return rows;
  }
}
inline std::unique_ptr<CpuBackend> started(const Config& c, int threads = 1) {
  auto backend = std::make_unique<CpuBackend>(c, threads);
  backend->initialise();
  return backend;
}
inline State whole_run(const Config& c, int threads = 1) {
  const auto backend = started(c, threads);
  run_to(*backend, kIterations);
  return state_of(*backend);
}

}  // namespace pendula
