#include "bench/training_suites.h"

#include <algorithm>

#include "bench/network.h"
#include "bench/sizes.h"
#include "bench/training_case.h"

namespace pendula {
namespace {

constexpr int64_t kNever = int64_t{1} << 60;      // steps
constexpr double kAlmostNever = 1e-15;            // updates per step
constexpr int64_t kUpdateEnvs = 64;               // one tile
constexpr int64_t kLargeRing = int64_t{1} << 23;  // 128 MiB for Pendulum: beyond the caches

// From these on a GPU takes the grid plan, on tensor cores.
constexpr int64_t kGridEnvs = 4096, kGridBatch = 4096;
const std::vector<std::string> kGridPrecisions = {"tf32", "bf16"};

// A ring that is full before the measurement, of random steps, and in which no update is due.
Config rollout_config(const std::vector<int64_t>& hidden, int64_t num_envs, int64_t length,
                      Sizes sizes, int64_t ring) {
  Config c = base_config(hidden, sizes);
  c.env.num_envs = num_envs;
  c.rollout.length = length;
  c.replay.capacity = std::max(sizes == Sizes::kTiny ? 0 : ring, 2 * num_envs * length);
  c.replay.warmup_steps = c.replay.capacity;
  c.ddpg.updates_per_step = kAlmostNever;
  return c;
}

}  // namespace

std::vector<Case> env_cases(const Target& t) {
  std::vector<Plain> all;
  for (const StepSize& s : env_sizes(t.sizes)) {
    Plain p{"env", "", rollout_config({16}, s.num_envs, s.length, t.sizes, kLargeRing)};
    p.config.replay.warmup_steps = kNever;
    all.push_back(p);
  }
  return make_cases(t, all);
}

std::vector<Case> rollout_cases(const Target& t) {
  std::vector<Plain> all;
  for (const RolloutSize& s : rollout_sizes(t.sizes, t.backend == "cuda")) {
    all.push_back({"rollout", network_name(s.hidden),
                   rollout_config(s.hidden, s.num_envs, s.length, t.sizes, kLargeRing)});
    if (s.num_envs >= kGridEnvs) all.back().precisions = kGridPrecisions;
  }
  return make_cases(t, all);
}

std::vector<Case> update_cases(const Target& t) {
  std::vector<Plain> all;
  for (const UpdateSize& s : update_sizes(t.sizes, t.backend == "cuda")) {
    Plain p{"update", network_name(s.hidden), base_config(s.hidden, t.sizes)};
    p.updates_per_iteration = s.batch < 100 ? 2 : s.batch <= 128 ? 64 : s.batch <= 1024 ? 16 : 4;
    p.config.env.num_envs = kUpdateEnvs;
    p.config.ddpg.batch_size = s.batch;
    p.config.ddpg.updates_per_step =
        static_cast<double>(p.updates_per_iteration) / static_cast<double>(kUpdateEnvs);
    p.config.replay.warmup_steps = p.config.replay.capacity;
    p.mind_batch = true;
    p.mind_envs = false;
    p.counts_updates = true;
    if (s.batch >= kGridBatch) p.precisions = kGridPrecisions;
    all.push_back(p);
  }
  return make_cases(t, all);
}

std::vector<Case> train_cases(const Target& t) {
  std::vector<Plain> all;
  const UpdateSize update = train_update(t.sizes);
  for (const TrainSize& s : train_sizes(t.sizes, t.backend == "cuda")) {
    Plain p{"train", network_name(update.hidden), base_config(update.hidden, t.sizes)};
    const int64_t steps = s.num_envs * s.rollout_length;
    p.config.env.num_envs = s.num_envs;
    p.config.rollout.length = s.rollout_length;
    p.config.rollout.policy_lag = s.policy_lag;
    p.config.ddpg.batch_size = s.batch;
    p.config.ddpg.updates_per_step = static_cast<double>(s.updates) / static_cast<double>(steps);
    p.config.replay.capacity = std::max({p.config.replay.capacity, 16 * s.num_envs, 4 * steps});
    p.updates_per_iteration = s.updates;
    p.mind_lag = t.backend == "cuda";
    if (s.batch >= kGridBatch) p.precisions = kGridPrecisions;
    p.mind_batch = true;
    all.push_back(p);
  }
  return make_cases(t, all);
}

}  // namespace pendula
