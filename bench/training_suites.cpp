#include "bench/training_suites.h"

#include <algorithm>

#include "bench/backend_work.h"
#include "bench/network.h"
#include "bench/sizes.h"
#include "host/config_check.h"
#include "host/environments.h"
#include "host/planning.h"

namespace pendula {
namespace {

constexpr int64_t kNever = int64_t{1} << 60;      // steps
constexpr double kAlmostNever = 1e-15;            // updates per step
constexpr int64_t kUpdateEnvs = 64;               // one tile
constexpr int64_t kLargeRing = int64_t{1} << 23;  // 128 MiB for Pendulum: beyond the caches
constexpr int64_t kReportSteps = int64_t{1} << 12;

// One case of a suite, before it is multiplied by threads (CPU) or precisions (CUDA).
struct Plain {
  std::string suite;
  std::string network;  // "": none in the loop
  Config config;
  int64_t updates_per_iteration = 0;
  bool mind_batch = false;  // it is a key of the rows
};

Config base_config(const std::vector<int64_t>& hidden, Sizes sizes) {
  Config c;
  c.name = "bench";
  c.seed = 7;
  c.actor.hidden = hidden;
  c.critic.hidden = hidden;
  c.replay.capacity = sizes == Sizes::kTiny ? 512 : 100000;
  c.replay.warmup_steps = std::min(c.replay.warmup_steps, c.replay.capacity);
  c.report.interval = sizes == Sizes::kTiny ? 1 : kReportSteps;
  return c;
}

// FLOP, or bytes, of one step or update: what a limit divides by.
double actor_flop(const Config& c) {
  const EnvironmentInfo& env = *find_environment(c.env.id);
  return forward_flop(layer_sizes(env.obs_dim, c.actor.hidden, env.action_dim));
}
double batch_flop(const Config& c) {
  const EnvironmentInfo& env = *find_environment(c.env.id);
  return static_cast<double>(c.ddpg.batch_size) *
         update_flop(env.obs_dim, env.action_dim, c.actor.hidden, c.critic.hidden);
}
double record_bytes(const Config& c) {
  return 4.0 * make_plan(c, *find_environment(c.env.id), 4).plan.record_size;
}

// The machine's rate of products of that shape, times `scale`: OpenBLAS's, each thread with
// products of its own, or the GPU's peak at that precision.
Ceiling product_ceiling(const Target& t, const ProductShape& s, int threads,
                        const std::string& precision, double scale) {
  Ceiling ceiling;
  ceiling.keys["suite"] = "machine";
  ceiling.keys["backend"] = t.backend;
  ceiling.keys["metric"] = "flop_per_second";
  if (t.backend == "cuda") {
    ceiling.keys["case"] = precision == "fp32" ? "fma" : "tensor_" + precision;
    ceiling.scale = scale;
    return ceiling;
  }
  ceiling.keys["case"] = "sgemm";
  ceiling.keys["m"] = s.m;
  ceiling.keys["n"] = s.n;
  ceiling.keys["k"] = s.k;
  ceiling.keys["threads"] = threads;
  ceiling.scale = scale;
  return ceiling;
}

// The machine's rate of writing to memory, as the triad or the copy says: one record per step.
Ceiling ring_ceiling(const Target& t, int threads, double bytes) {
  Ceiling ceiling;
  ceiling.keys["suite"] = "machine";
  ceiling.keys["backend"] = t.backend;
  ceiling.keys["case"] = t.backend == "cuda" ? "memory_copy" : "triad_memory";
  if (t.backend == "cpu") ceiling.keys["threads"] = threads;
  ceiling.scale = 1.0 / bytes;
  return ceiling;
}

std::vector<Ceiling> step_ceilings(const Target& t, const Plain& p, int threads,
                                   const std::string& precision) {
  if (p.suite == "env") return {ring_ceiling(t, threads, record_bytes(p.config))};
  const double updates = p.updates_per_iteration == 0
                             ? 0.0
                             : static_cast<double>(p.updates_per_iteration) /
                                   static_cast<double>(steps_per_iteration(p.config));
  const ProductShape shape =
      updates == 0.0 ? rollout_yardstick(p.config.actor.hidden)
                     : update_yardstick({p.config.actor.hidden, p.config.ddpg.batch_size});
  const double flop = actor_flop(p.config) + updates * batch_flop(p.config);
  return {product_ceiling(t, shape, threads, precision, 1.0 / flop)};
}

std::vector<Quantity> quantities(const Target& t, const Plain& p, int threads,
                                 const std::string& precision) {
  const double steps = static_cast<double>(steps_per_iteration(p.config));
  const double updates = static_cast<double>(p.updates_per_iteration);
  std::vector<Quantity> all;
  if (p.suite != "update") {
    all.push_back({"env_steps_per_second", steps, step_ceilings(t, p, threads, precision)});
  }
  if (p.suite == "train") {
    Quantity q{"updates_per_second", updates, step_ceilings(t, p, threads, precision)};
    for (Ceiling& ceiling : q.caps) ceiling.scale *= updates / steps;
    all.push_back(q);
  }
  if (p.suite == "update") {
    const ProductShape s = update_yardstick({p.config.actor.hidden, p.config.ddpg.batch_size});
    all.push_back({"updates_per_second",
                   updates,
                   {product_ceiling(t, s, threads, precision, 1.0 / batch_flop(p.config))}});
  }
  return all;
}

Case make_case(const Target& t, const Plain& p, int threads, const std::string& precision) {
  Case c;
  c.keys["suite"] = p.suite;
  c.keys["case"] = p.config.env.id;
  c.keys["backend"] = t.backend;
  if (!p.network.empty()) c.keys["network"] = p.network;
  if (p.mind_batch) c.keys["batch"] = p.config.ddpg.batch_size;
  if (p.suite != "update") {
    c.keys["num_envs"] = p.config.env.num_envs;
    c.keys["rollout_length"] = p.config.rollout.length;
  }
  c.keys["agents"] = p.config.agents;
  if (t.backend == "cpu") c.keys["threads"] = threads;
  c.keys["precision"] = precision;
  c.quantities = quantities(t, p, threads, precision);
  c.group = p.suite + (p.network.empty() ? "" : " " + p.network);
  if (p.suite == "env") c.group += " " + std::to_string(p.config.env.num_envs);
  BackendRun run;
  run.config = p.config;
  run.config.device = t.backend == "cuda" ? "cuda:" + std::to_string(t.device) : "cpu";
  run.config.simd = t.backend == "cuda" ? "auto" : t.simd;
  run.config.precision = precision == "fp32" ? Precision::kFp32 : Precision::kTf32;
  run.threads = threads;
  run.first_steps = std::min(p.config.replay.warmup_steps, p.config.replay.capacity);
  run.updates_per_iteration = p.updates_per_iteration;
  if (t.sizes == Sizes::kTiny) run.call_seconds = 1e-6;
  c.prepare = [run] { return make_backend_work(run); };
  return c;
}

std::vector<Case> make_cases(const Target& t, const std::vector<Plain>& all) {
  std::vector<Case> cases;
  for (const Plain& p : all) {
    if (t.backend == "cpu") {
      for (const int threads : t.threads) cases.push_back(make_case(t, p, threads, "fp32"));
    } else if (p.network.empty()) {
      cases.push_back(make_case(t, p, 0, "fp32"));  // no products
    } else {
      for (const char* precision : {"fp32", "tf32"}) cases.push_back(make_case(t, p, 0, precision));
    }
  }
  return cases;
}

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
  for (const RolloutSize& s : rollout_sizes(t.sizes)) {
    all.push_back({"rollout", network_name(s.hidden),
                   rollout_config(s.hidden, s.num_envs, s.length, t.sizes, kLargeRing)});
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
    all.push_back(p);
  }
  return make_cases(t, all);
}

std::vector<Case> train_cases(const Target& t) {
  std::vector<Plain> all;
  const UpdateSize update = train_update(t.sizes);
  for (const TrainSize& s : train_sizes(t.sizes)) {
    Plain p{"train", network_name(update.hidden), base_config(update.hidden, t.sizes)};
    p.config.env.num_envs = s.num_envs;
    p.config.ddpg.batch_size = update.batch;
    p.config.ddpg.updates_per_step = s.updates_per_step;
    p.config.replay.capacity = std::max(p.config.replay.capacity, 16 * s.num_envs);
    p.updates_per_iteration =
        static_cast<int64_t>(static_cast<double>(s.num_envs) * s.updates_per_step);
    p.mind_batch = true;
    all.push_back(p);
  }
  return make_cases(t, all);
}

}  // namespace pendula
