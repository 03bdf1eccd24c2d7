#include "host/cpu_backend.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <numeric>
#include <thread>

#include "envs/list.h"
#include "host/error.h"
#include "host/simd.h"

namespace pendula {

// One table per environment and level, each from an object of its own (host/cpu_programs_impl.h).
#define PENDULA_DECLARE(level, Env) extern const CpuPrograms cpu_##Env##_##level;
#define PENDULA_DECLARE_ALL(Env) PENDULA_LEVELS(PENDULA_DECLARE, Env)
PENDULA_ENVIRONMENTS(PENDULA_DECLARE_ALL)
#undef PENDULA_DECLARE_ALL
#undef PENDULA_DECLARE

namespace {

constexpr std::chrono::milliseconds kLaunchTime{100};
constexpr int kTurnUpdates = 16;  // of one agent, about, before another's turn

const CpuPrograms& find_programs(const std::string& env_id, const std::string& simd_level) {
#define PENDULA_TRY(level, Env) \
  if (env_id == Env::kId && simd_level == #level) return cpu_##Env##_##level;
#define PENDULA_TRY_ALL(Env) PENDULA_LEVELS(PENDULA_TRY, Env)
  PENDULA_ENVIRONMENTS(PENDULA_TRY_ALL)
#undef PENDULA_TRY_ALL
#undef PENDULA_TRY
  throw std::logic_error("no programs of " + env_id + " for " + simd_level);
}

const EnvironmentInfo& environment_of(const Config& config) {
  const EnvironmentInfo* env = find_environment(config.env.id);
  if (env != nullptr) return *env;
  throw Error(ExitCode::kUsage, "unknown environment \"" + config.env.id + "\"");
}

// Where the machine has the memory that it takes.
PlannedRun plan_with_room(const Config& config, const EnvironmentInfo& env, int threads) {
  const auto plan_of = [=](const Config& c) { return cpu_memory_plan(c, threads); };
  if (const auto available = available_memory()) {
    expect_room(config, plan_of(config), *available, "", plan_of);
  }
  return make_plan(config, env, sizeof(float));
}

// One step of an episode that is watched, kept until the episode's turn.
struct KeptStep {
  std::vector<float> state, obs, action;
  float reward;
  bool terminated, truncated;
};

}  // namespace

int cpu_workers(const Plan& p, int threads) {
  if (threads > 0) return threads;
  const int useful = std::max(p.partials, p.env_tiles) * p.agents;
  const int cores = static_cast<int>(std::thread::hardware_concurrency());
  return std::clamp(useful, 1, std::max(1, cores));
}

bool agents_over_workers(const Plan& p, int workers) { return p.agents > 1 && p.agents >= workers; }

MemoryPlan cpu_memory_plan(const Config& config, int threads) {
  const EnvironmentInfo& env = environment_of(config);
  const Plan plan = make_plan(config, env, sizeof(float)).plan;
  const CpuPrograms& programs = find_programs(env.id, choose_simd_level(config.simd));
  return host_memory_plan(
      plan, programs.scratch_bytes(plan) * static_cast<uint64_t>(cpu_workers(plan, threads)));
}

std::unique_ptr<PlayableBackend> make_cpu_backend(const Config& config, int threads) {
  return std::make_unique<CpuBackend>(config, threads);
}

CpuBackend::CpuBackend(const Config& config, int threads)
    : config_(config),
      env_(environment_of(config)),
      simd_level_(choose_simd_level(config.simd)),
      programs_(find_programs(env_.id, simd_level_)),
      planned_(plan_with_room(config, env_, threads)),
      env_params_(env_param_values(config, env_)),
      scratch_bytes_(programs_.scratch_bytes(planned_.plan)),
      arena_(planned_.plan.arena_bytes),
      page_(sizeof(HostPage) + sizeof(ReportRow) * planned_.plan.report_slots *
                                   static_cast<uint64_t>(planned_.plan.agents)),
      pool_(cpu_workers(planned_.plan, threads)),
      scratch_(scratch_bytes_ * static_cast<uint64_t>(pool_.workers())),
      setup_{planned_.plan, env_params_.data(), arena_.get(),
             reinterpret_cast<HostPage*>(page_.get())} {}

CpuWorker CpuBackend::worker(int index) {
  return {&pool_, index, pool_.workers(),
          scratch_.get() + scratch_bytes_ * static_cast<uint64_t>(index), scratch_bytes_};
}

void CpuBackend::initialise() {
  for (int k = 0; k < plan().agents; ++k) agent(k).hyper() = agent_hyper(config_, k);
  pool_.run([&](int index) { programs_.initialise(setup_, worker(index)); });
}

RunResult CpuBackend::run(uint64_t until, const std::atomic<bool>& stop) {
  HostPage& page = *setup_.page;
  const AgentCounters& counters = agent(0).counters();
  Control& c = control();
  c = {};
  c.until_iteration = until;
  c.iteration = counters.iteration;
  c.slice = static_cast<uint32_t>(counters.slice);
  // Where the state came from elsewhere, the rows before it are not in this ring.
  const uint64_t rows = rows_written(plan(), counters.iteration);
  if (page.rows_written != rows) page.rows_taken = page.rows_written = rows;
  if (c.iteration >= until) return {HaltReason::kReached, c.iteration, counters.updates, 0.0};
  launch_ = std::chrono::steady_clock::now();
  page.stop = 0;
  if (agents_over_workers(plan(), pool_.workers())) {
    run_turns(stop);
  } else {
    run_slices(stop);
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - launch_;
  return {static_cast<HaltReason>(c.halted - 1), c.iteration, counters.updates, took.count()};
}

// Passes on what asks the launch to end.
void CpuBackend::look_at(const std::atomic<bool>& stop) {
  if (stop.load(std::memory_order_relaxed)) {
    setup_.page->stop = 1 + static_cast<uint32_t>(HaltReason::kStopFlag);
  } else if (std::chrono::steady_clock::now() - launch_ > kLaunchTime) {
    setup_.page->stop = 1 + static_cast<uint32_t>(HaltReason::kTime);
  }
}

// Program by program, all workers on each.
void CpuBackend::run_slices(const std::atomic<bool>& stop) {
  pool_.run([&](int index) {
    const CpuWorker me = worker(index);
    do {
      if (index == 0) look_at(stop);
      programs_.slice(setup_, me);
    } while (control().halted == 0);
  });
}

// Agent by agent: whoever is free takes the next one and keeps it for a turn, in its caches.
void CpuBackend::run_turns(const std::atomic<bool>& stop) {
  std::atomic<int> next{0};
  int slices = turn_slices();
  pool_.run([&](int index) {
    const CpuWorker me = worker(index);
    do {
      for (int k = next++; k < plan().agents; k = next++) programs_.turn(setup_, me, k, slices);
      pool_.barrier();
      if (index == 0) {  // all agents stand at the same place
        look_at(stop);
        programs_.end_turn(setup_, me);
        next = 0;
        slices = turn_slices();
      }
      pool_.barrier();
    } while (control().halted == 0);
  });
}

// So many that an agent's networks come into the caches for something, so few that a stop need not
// wait; at most up to the launch's end, and as many as the report ring has room for.
int CpuBackend::turn_slices() const {
  const Plan& p = plan();
  if (p.slices > 1) return 1;
  const Control& c = control();
  const uint64_t room =
      (setup_.page->rows_taken + p.report_slots) * p.report_iterations - c.iteration;
  const uint64_t most = std::min(room, c.until_iteration - c.iteration);
  const uint64_t wanted = static_cast<uint64_t>(std::max(1, kTurnUpdates / p.update_slots));
  return static_cast<int>(std::clamp<uint64_t>(wanted, 1, std::max<uint64_t>(most, 1)));
}

std::vector<ReportRow> CpuBackend::take_reports() {
  HostPage& page = *setup_.page;
  const Plan& p = plan();
  const ReportRow* ring = reinterpret_cast<const ReportRow*>(setup_.page + 1);
  std::vector<ReportRow> rows;
  for (; page.rows_taken < page.rows_written; ++page.rows_taken) {
    const ReportRow* r = ring + page.rows_taken % p.report_slots * static_cast<uint64_t>(p.agents);
    rows.insert(rows.end(), r, r + p.agents);
  }
  return rows;
}

std::vector<FaultReport> CpuBackend::faults() {
  std::vector<FaultReport> all;
  for (int k = 0; k < plan().agents; ++k) {
    const AgentCounters& c = agent(k).counters();
    if (c.fault == 0) continue;
    all.push_back(
        {static_cast<Fault>(c.fault), static_cast<uint64_t>(k), c.fault_iteration, c.fault_update});
  }
  return all;
}

Evaluation CpuBackend::evaluate(int64_t episodes, const std::atomic<bool>& stop) {
  static_assert(sizeof stop == sizeof(bool));
  const size_t n = static_cast<size_t>(episodes * plan().agents);
  std::vector<float> returns(n);
  Evaluation e;
  e.lengths.resize(n);
  const CpuEvaluation to{static_cast<int>(episodes), returns.data(), e.lengths.data(),
                         reinterpret_cast<const bool*>(&stop)};
  pool_.run([&](int index) { programs_.evaluate(setup_, worker(index), to); });
  if (stop.load(std::memory_order_relaxed)) return {};
  e.returns.assign(returns.begin(), returns.end());
  return e;
}

void CpuBackend::play(PlayPolicy policy, int agent, int64_t episodes,
                      const std::function<void(const PlayStep&)>& step) {
  for (int64_t first = 0; first < episodes; first += kRows) {
    play_tile(policy, agent, first, std::min<int64_t>(kRows, episodes - first), step);
  }
}

// Plays a tile of episodes side by side, keeps their steps, and hands them out episode by episode.
void CpuBackend::play_tile(PlayPolicy policy, int agent, int64_t first, int64_t count,
                           const std::function<void(const PlayStep&)>& step) {
  const CpuWorker me = worker(0);
  PlayTile tile{};
  tile.policy = policy;
  tile.agent = agent;
  tile.first = static_cast<uint64_t>(first);
  const auto column = [&](const float* array, int dimensions, int n) {
    std::vector<float> values;
    for (int d = 0; d < dimensions; ++d) values.push_back(array[d * tile.ld + n]);
    return values;
  };
  std::vector<std::vector<KeptStep>> kept(static_cast<size_t>(count));
  bool running = true;
  for (; running; ++tile.t) {
    running = false;
    programs_.play(setup_, me, tile);
    for (int n = 0; n < count; ++n) {
      std::vector<KeptStep>& steps = kept[static_cast<size_t>(n)];
      if (!steps.empty() && (steps.back().terminated || steps.back().truncated)) continue;
      KeptStep k{column(tile.state, env_.state_dim, n),
                 column(tile.obs, env_.obs_dim, n),
                 column(tile.action, env_.action_dim, n),
                 tile.reward[n],
                 tile.terminated[n] != 0,
                 false};
      k.truncated = !k.terminated && tile.t + 1 >= plan().max_episode_steps;
      running = running || !(k.terminated || k.truncated);
      steps.push_back(std::move(k));
    }
  }
  for (int64_t n = 0; n < count; ++n) {
    int64_t t = 0;
    for (const KeptStep& k : kept[static_cast<size_t>(n)]) {
      step({first + n, t++, k.state.data(), k.obs.data(), k.action.data(), k.reward, k.terminated,
            k.truncated});
    }
  }
}

void CpuBackend::copy_agents(const std::vector<AgentCopy>& copies) {
  const Plan& p = plan();
  for (const AgentCopy& c : copies) {
    std::memcpy(agent(static_cast<int>(c.to)).state + p.actor_params,
                agent(static_cast<int>(c.from)).state + p.actor_params,
                (c.environments ? p.ring : p.env_state) - p.actor_params);
  }
}

std::vector<int64_t> CpuBackend::rank(const std::vector<double>& scores) const {
  std::vector<int64_t> order(scores.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
    return scores[static_cast<size_t>(a)] > scores[static_cast<size_t>(b)];
  });
  return order;
}

DeviceInfo CpuBackend::device() const {
  DeviceInfo d;
  d.name = "cpu";
  d.detail = simd_level_ + ", " + std::to_string(pool_.workers()) + " threads";
  d.meta = {{"device", "cpu"}, {"simd_level", simd_level_}, {"threads", pool_.workers()}};
  return d;
}

void CpuBackend::read(uint64_t offset, uint64_t bytes, void* to) const {
  std::memcpy(to, arena_.get() + offset, bytes);
}

void CpuBackend::write(uint64_t offset, uint64_t bytes, const void* from) {
  std::memcpy(arena_.get() + offset, from, bytes);
}

}  // namespace pendula
