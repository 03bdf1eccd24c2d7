#include "bench/population_suites.h"

#include <algorithm>

#include "bench/network.h"
#include "bench/sizes.h"
#include "bench/training_case.h"
#include "host/cuda_loader.h"
#include "host/error.h"

namespace pendula {
namespace {

constexpr int64_t kEnvs = 16;             // and so many updates per iteration
constexpr int64_t kRing = 1 << 14;        // 256 KiB for Pendulum: thousands fit on a GPU
constexpr int64_t kReportIterations = 4;  // a row of every agent is awaited before the measurement
constexpr int64_t kGridAgents = 16;       // more of them are not for the grid plan
constexpr double kGpuCallSeconds = 0.1;   // so that an agent's turn is as long as in training

// On a GPU the plans that a run of that config can have there.
std::vector<std::string> plans_for(const Target& t, Config c) {
  if (t.backend == "cpu") return {"auto"};
  std::vector<std::string> plans;
  for (const char* plan : {"grid", "block", "cluster"}) {
    c.plan = plan;
    try {
      load_cuda_plan(c, t.device);
    } catch (const Error& error) {
      if (error.code() != ExitCode::kUsage) throw;
      continue;
    }
    plans.push_back(plan);
  }
  return plans;
}

Plain update_only(const std::string& suite, const std::vector<int64_t>& hidden, int64_t batch,
                  int64_t agents, Sizes sizes) {
  Plain p{suite, network_name(hidden), base_config(hidden, sizes)};
  Config& c = p.config;
  c.agents = agents;
  c.env.num_envs = kEnvs;
  c.ddpg.batch_size = batch;
  c.ddpg.updates_per_step = 1.0;
  c.replay.capacity = std::min(c.replay.capacity, kRing);
  c.replay.warmup_steps = c.replay.capacity;
  c.report.interval = std::min(c.report.interval, kEnvs * kReportIterations);
  p.updates_per_iteration = kEnvs;
  p.mind_batch = true;
  p.mind_envs = false;
  p.mind_plan = true;
  p.counts_updates = true;
  p.precisions = {"tf32"};
  return p;
}

void add_plans(const Target& t, const Plain& p, std::vector<Plain>& all) {
  for (const std::string& plan : plans_for(t, p.config)) {
    if (plan == "grid" && p.config.agents > kGridAgents) continue;
    all.push_back(p);
    all.back().config.plan = plan;
  }
}

}  // namespace

std::vector<Case> population_cases(const Target& t) {
  std::vector<Plain> all;
  const bool cuda = t.backend == "cuda";
  for (const PopulationSize& s : population_sizes(t.sizes, cuda)) {
    for (const int64_t agents : s.agents) {
      Plain p = update_only("population", s.hidden, s.batch, agents, t.sizes);
      p.counts_per_agent = true;
      if (cuda) p.call_seconds = kGpuCallSeconds;
      add_plans(t, p, all);
    }
  }
  return make_cases(t, all);
}

std::vector<Case> small_batch_cases(const Target& t) {
  std::vector<Plain> all;
  for (const UpdateSize& s : small_batch_sizes(t.sizes, t.backend == "cuda")) {
    add_plans(t, update_only("small-batch", s.hidden, s.batch, 1, t.sizes), all);
  }
  return make_cases(t, all);
}

}  // namespace pendula
