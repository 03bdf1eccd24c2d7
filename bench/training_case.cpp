#include "bench/training_case.h"

#include <algorithm>

#include "bench/backend_work.h"
#include "bench/network.h"
#include "bench/sizes.h"
#include "host/config_check.h"
#include "host/environments.h"
#include "host/planning.h"

namespace pendula {
namespace {

constexpr int64_t kReportSteps = int64_t{1} << 12;

// FLOP, or bytes, of one step or update: what a limit divides by.
double actor_flop(const Config& c) {
  const EnvironmentInfo& env = *find_environment(c.env.id);
  return forward_flop(layer_sizes(env.obs_dim, c.actor.hidden, env.action_dim));
}
double record_bytes(const Config& c) {
  return 4.0 * make_plan(c, *find_environment(c.env.id), 4).plan.record_size;
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

double updates_per_step(const Plain& p) {
  return p.updates_per_iteration == 0 ? 0.0
                                      : static_cast<double>(p.updates_per_iteration) /
                                            static_cast<double>(steps_per_iteration(p.config));
}

// With the updates that come to a step.
double step_flop(const Plain& p) {
  if (p.network.empty()) return 0.0;
  return actor_flop(p.config) + updates_per_step(p) * batch_flop(p.config);
}

std::vector<Ceiling> step_ceilings(const Target& t, const Plain& p, int threads,
                                   const std::string& precision) {
  if (p.suite == "env") return {ring_ceiling(t, threads, record_bytes(p.config))};
  const ProductShape shape =
      updates_per_step(p) == 0.0
          ? rollout_yardstick(p.config.actor.hidden)
          : update_yardstick({p.config.actor.hidden, p.config.ddpg.batch_size});
  return {product_ceiling(t, shape, threads, precision, 1.0 / step_flop(p))};
}

std::vector<Quantity> quantities(const Target& t, const Plain& p, int threads,
                                 const std::string& precision) {
  const double steps = static_cast<double>(steps_per_iteration(p.config));
  const double updates = static_cast<double>(p.updates_per_iteration);
  std::vector<Quantity> all;
  if (!p.counts_updates) {
    all.push_back(
        {"env_steps_per_second", steps, step_ceilings(t, p, threads, precision), step_flop(p)});
  }
  if (p.suite == "train") {
    Quantity q{"updates_per_second", updates, step_ceilings(t, p, threads, precision)};
    for (Ceiling& ceiling : q.caps) ceiling.scale *= updates / steps;
    q.flop = step_flop(p) * steps / updates;
    q.samples = static_cast<double>(p.config.ddpg.batch_size);
    all.push_back(q);
  }
  if (p.counts_updates) {
    const ProductShape s = update_yardstick({p.config.actor.hidden, p.config.ddpg.batch_size});
    const double agents = static_cast<double>(p.config.agents);
    const Ceiling total = product_ceiling(t, s, threads, precision, 1.0 / batch_flop(p.config));
    all.push_back({"updates_per_second",
                   agents * updates,
                   {total},
                   batch_flop(p.config),
                   static_cast<double>(p.config.ddpg.batch_size)});
    if (p.counts_per_agent) {
      Ceiling share = total;
      share.scale /= agents;
      all.push_back({"updates_per_second_per_agent", updates, {share}});
    }
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
  if (p.mind_envs) {
    c.keys["num_envs"] = p.config.env.num_envs;
    c.keys["rollout_length"] = p.config.rollout.length;
  }
  if (p.mind_lag) c.keys["policy_lag"] = p.config.rollout.policy_lag;
  c.keys["agents"] = p.config.agents;
  if (p.mind_plan && t.backend == "cuda") c.keys["plan"] = p.config.plan;
  if (t.backend == "cpu") c.keys["threads"] = threads;
  c.keys["precision"] = precision;
  c.quantities = quantities(t, p, threads, precision);
  c.group = p.suite + (p.network.empty() ? "" : " " + p.network);
  if (p.suite == "env") c.group += " " + std::to_string(p.config.env.num_envs);
  BackendRun run;
  run.config = p.config;
  run.config.device = t.backend == "cuda" ? "cuda:" + std::to_string(t.device) : "cpu";
  run.config.simd = t.backend == "cuda" ? "auto" : t.simd;
  run.config.precision = precision == "fp32"   ? Precision::kFp32
                         : precision == "bf16" ? Precision::kBf16
                                               : Precision::kTf32;
  // Without products the precision says nothing, and tf32 is what a GPU's runs have.
  if (t.backend == "cuda" && p.network.empty()) run.config.precision = Precision::kTf32;
  run.threads = threads;
  run.first_steps = std::min(p.config.replay.warmup_steps, p.config.replay.capacity);
  run.updates_per_iteration = p.updates_per_iteration;
  run.call_seconds = t.sizes == Sizes::kTiny ? 1e-6 : p.call_seconds;
  c.prepare = [run] { return make_backend_work(run); };
  return c;
}

}  // namespace

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

double batch_flop(const Config& c) {
  const EnvironmentInfo& env = *find_environment(c.env.id);
  return static_cast<double>(c.ddpg.batch_size) *
         update_flop(env.obs_dim, env.action_dim, c.actor.hidden, c.critic.hidden);
}

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

std::vector<Case> make_cases(const Target& t, const std::vector<Plain>& all) {
  std::vector<Case> cases;
  for (const Plain& p : all) {
    if (t.backend == "cpu") {
      for (const int threads : t.threads) cases.push_back(make_case(t, p, threads, "fp32"));
    } else if (p.network.empty()) {
      cases.push_back(make_case(t, p, 0, "fp32"));  // no products
    } else {
      for (const std::string& word : p.precisions) cases.push_back(make_case(t, p, 0, word));
    }
  }
  return cases;
}

}  // namespace pendula
