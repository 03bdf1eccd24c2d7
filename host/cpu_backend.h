// The CPU backend of one environment: the programs of kernels/ on a pool of workers, one block per
// worker at a time. Bits do not depend on the number of workers.
#pragma once

#include <chrono>
#include <cstring>
#include <memory>

#include "host/backend.h"
#include "host/host_memory.h"
#include "host/measuring_block.h"
#include "host/planning.h"
#include "host/play.h"
#include "host/pool.h"
#include "kernels/block_cpu.h"
#include "kernels/evaluate.h"
#include "kernels/initialise.h"
#include "kernels/iteration.h"

namespace pendula {

// Parameters of an environment in the order of its kParams.
template <class Env, class T>
typename Env::template Params<T> env_params(const Config& config) {
  typename Env::template Params<T> params;
  T* values = reinterpret_cast<T*>(&params);
  for (size_t i = 0; i < std::size(Env::kParams); ++i) {
    const auto it = config.env.params.find(Env::kParams[i].name);
    if (it != config.env.params.end()) values[i] = static_cast<T>(it->second);
  }
  return params;
}

template <class Env, class T>
class CpuBackend final : public PlayableBackend {
 public:
  CpuBackend(const Config& config, int threads)
      : planned_(make_plan(config, *find_environment(Env::kId), sizeof(T))),
        config_(config),
        arena_(planned_.plan.arena_bytes),
        page_(sizeof(HostPage) + sizeof(ReportRow) * planned_.plan.report_slots *
                                     static_cast<uint64_t>(planned_.plan.agents)),
        pool_(workers(planned_.plan, threads)),
        scratch_bytes_(scratch_bytes(planned_.plan)),
        scratch_(scratch_bytes_ * static_cast<size_t>(pool_.workers())) {
    context_.plan = planned_.plan;
    context_.env = env_params<Env, T>(config);
    context_.arena = arena_.get();
    context_.page = reinterpret_cast<HostPage*>(page_.get());
  }

  void initialise() override {
    for (int k = 0; k < context_.plan.agents; ++k) {
      context_.agent(k).hyper() = agent_hyper(config_, k);
    }
    run_program(Initialise<Env, T>{context_});
  }

  RunResult run(uint64_t until, const std::atomic<bool>& stop) override {
    Control& control = context_.control();
    control = {};
    control.until_iteration = until;
    const AgentCounters& counters = context_.agent(0).counters();
    control.iteration = counters.iteration;
    control.slice = static_cast<uint32_t>(counters.slice);
    HostPage& page = *context_.page;
    control.rows_written = page.rows_written;
    if (control.iteration >= until) {
      return {HaltReason::kReached, control.iteration, counters.updates};
    }
    const auto begin = std::chrono::steady_clock::now();
    page.stop = 0;
    pool_.run([&](int worker) {
      CpuRunner runner{*this, worker};
      while (true) {
        if (worker == 0) {
          if (stop.load(std::memory_order_relaxed)) {
            page.stop = 1 + static_cast<uint32_t>(HaltReason::kStopFlag);
          } else if (std::chrono::steady_clock::now() - begin > kLaunchTime) {
            page.stop = 1 + static_cast<uint32_t>(HaltReason::kTime);
          }
        }
        for_each_program(context_, runner);
        if (control.halted != 0) break;
      }
    });
    return {static_cast<HaltReason>(control.halted - 1), control.iteration, counters.updates};
  }

  std::vector<ReportRow> take_reports() override {
    HostPage& page = *context_.page;
    const Plan& p = context_.plan;
    std::vector<ReportRow> rows;
    for (; page.rows_taken < page.rows_written; ++page.rows_taken) {
      const ReportRow* r = context_.report_ring() +
                           page.rows_taken % p.report_slots * static_cast<uint64_t>(p.agents);
      rows.insert(rows.end(), r, r + p.agents);
    }
    return rows;
  }

  std::vector<FaultReport> faults() override {
    std::vector<FaultReport> all;
    for (int k = 0; k < context_.plan.agents; ++k) {
      const AgentCounters& c = context_.agent(k).counters();
      if (c.fault != 0) {
        all.push_back({static_cast<Fault>(c.fault), static_cast<uint64_t>(k), c.fault_iteration,
                       c.fault_update});
      }
    }
    return all;
  }

  using Backend::evaluate;
  Evaluation evaluate(int64_t episodes, const std::atomic<bool>& stop) override {
    const size_t n = static_cast<size_t>(episodes * context_.plan.agents);
    std::vector<T> returns(n);
    Evaluation e;
    e.lengths.resize(n);
    const Evaluate<Env, T> program{context_, static_cast<int>(episodes), returns.data(),
                                   e.lengths.data(), reinterpret_cast<const bool*>(&stop)};
    static_assert(sizeof stop == sizeof(bool));
    pool_.run([&](int worker) { run_share(program, worker, &stop); });
    if (stop.load(std::memory_order_relaxed)) return {};
    e.returns.assign(returns.begin(), returns.end());
    return e;
  }

  void play(PlayPolicy policy, int64_t episodes,
            const std::function<void(const PlayStep&)>& step) override {
    for (int64_t first = 0; first < episodes; first += kRows) {
      play_tile(policy, first, std::min<int64_t>(kRows, episodes - first), step);
    }
  }

  const TensorTable& tensors() const override { return planned_.tensors; }

  DeviceInfo device() const override {
    DeviceInfo d;
    d.name = "cpu";
    d.detail = std::string(kSimdLevel) + ", " + std::to_string(pool_.workers()) + " threads";
    d.meta = {{"device", "cpu"}, {"simd_level", kSimdLevel}, {"threads", pool_.workers()}};
    return d;
  }

  void read(uint64_t offset, uint64_t bytes, void* to) const override {
    std::memcpy(to, arena_.get() + offset, bytes);
  }
  void write(uint64_t offset, uint64_t bytes, const void* from) override {
    std::memcpy(arena_.get() + offset, from, bytes);
  }

  const Context<Env, T>& context() const { return context_; }

 private:
  static constexpr std::chrono::milliseconds kLaunchTime{100};

  // Runs this worker's share of a program, then waits for the others.
  struct CpuRunner {
    CpuBackend& backend;
    int worker;
    template <class Program>
    void operator()(const Program& program) {
      backend.run_share(program, worker);
      backend.pool_.barrier();
    }
  };

  // This worker's blocks of a program; leaves the rest undone where *stop is set.
  template <class Program>
  void run_share(const Program& program, int worker, const std::atomic<bool>* stop = nullptr) {
    const int blocks = program.grid();
    const Scratch scratch{scratch_.get() + scratch_bytes_ * static_cast<size_t>(worker),
                          scratch_bytes_};
    for (int i = pool_.begin(blocks, worker); i < pool_.end(blocks, worker); ++i) {
      if (stop != nullptr && stop->load(std::memory_order_relaxed)) return;
      CpuBlock block(i, scratch);
      program(block);
    }
  }

  template <class Program>
  void run_program(const Program& program) {
    pool_.run([&](int worker) { run_share(program, worker); });
  }

  // Plays a tile of episodes side by side, keeps their steps, and hands them out episode by
  // episode.
  void play_tile(PlayPolicy policy, int64_t first, int64_t count,
                 const std::function<void(const PlayStep&)>& callback) {
    constexpr int S = Env::kStateDim, O = Env::kObsDim, A = Env::kActionDim, kLd = CpuBlock::kLd;
    struct Kept {
      float state[S], obs[O], action[A], reward;
      bool terminated, truncated;
    };
    const Plan& p = context_.plan;
    const AgentView<T> agent = context_.agent(0);
    const uint64_t seed = agent.hyper().seed;
    CpuBlock b(0, {scratch_.get(), scratch_bytes_});
    const Environments<T> e = allocate_environments<T>(b, p);
    const Hidden<T> hidden = allocate_hidden<T>(b, p.actor, false);
    for (int n = 0; n < kRows; ++n) {
      T state[S];
      reset_state<Env, T>(context_.env, seed, Purpose::kEvalReset, static_cast<uint64_t>(first + n),
                          0, state);
      for (int d = 0; d < S; ++d) e.state[d * kLd + n] = state[d];
      for (int d = 0; d < A; ++d) e.action[d * kLd + n] = T(0);
    }
    std::vector<std::vector<Kept>> kept(static_cast<size_t>(count));
    bool running = true;
    for (int t = 0; running; ++t) {
      running = false;
      observe_tile<Env>(b, context_.env, e);
      if (policy == PlayPolicy::kActor) act_tile(b, p.actor, agent.at(p.actor_params), hidden, e);
      for (int n = 0; policy == PlayPolicy::kRandom && n < count; ++n) {
        for (int d = 0; d < A; ++d) {
          const uint32_t w = step_word(seed, Purpose::kPlayAction, static_cast<uint32_t>(d),
                                       static_cast<uint64_t>(first + n), static_cast<uint64_t>(t));
          e.action[d * kLd + n] = uniform<T>(w, T(-1), T(1));
        }
      }
      step_tile<Env>(b, context_.env, e);
      for (int n = 0; n < count; ++n) {
        std::vector<Kept>& steps = kept[static_cast<size_t>(n)];
        if (!steps.empty() && (steps.back().terminated || steps.back().truncated)) continue;
        Kept k;
        for (int d = 0; d < S; ++d) k.state[d] = static_cast<float>(e.state[d * kLd + n]);
        for (int d = 0; d < O; ++d) k.obs[d] = static_cast<float>(e.obs[d * kLd + n]);
        for (int d = 0; d < A; ++d) {
          k.action[d] =
              static_cast<float>(e.action[d * kLd + n] * Env::action_bound(context_.env, d));
        }
        k.reward = static_cast<float>(e.reward[n]);
        k.terminated = e.terminated[n] != T(0);
        k.truncated = !k.terminated && t + 1 >= p.max_episode_steps;
        running = running || !(k.terminated || k.truncated);
        steps.push_back(k);
        for (int d = 0; d < S; ++d) e.state[d * kLd + n] = e.next[d * kLd + n];
      }
    }
    for (int64_t n = 0; n < count; ++n) {
      int64_t t = 0;
      for (const Kept& k : kept[static_cast<size_t>(n)]) {
        callback({first + n, t++, k.state, k.obs, k.action, k.reward, k.terminated, k.truncated});
      }
    }
  }

  static int workers(const Plan& p, int threads) {
    if (threads > 0) return threads;
    const int useful = std::max(p.partials, p.env_tiles) * p.agents;
    const int cores = static_cast<int>(std::thread::hardware_concurrency());
    return std::clamp(useful, 1, std::max(1, cores));
  }

  static size_t scratch_bytes(const Plan& p) {
    MeasuringBlock<CpuBlock::kLd> m;
    allocate_batch<T>(m, p);
    allocate_rollout<T>(m, p);
    allocate_hidden<T>(m, p.actor, false);
    allocate_hidden<T>(m, p.critic, false);
    allocate_hidden<T>(m, p.critic, true);
    allocate_hidden<T>(m, p.actor, true);
    m.shared<T>(kAdamChunk);
    m.shared<T>((16 + p.action_dim) * CpuBlock::kLd);
    const int widest = std::max({p.actor.widest, p.critic.widest, p.obs_dim + p.action_dim});
    return (m.bytes() + transpose_bytes<T>(widest, kRows) + 4096) / 4096 * 4096;
  }

  PlannedRun planned_;
  Config config_;
  HostMemory arena_;
  HostMemory page_;
  Pool pool_;
  size_t scratch_bytes_;
  HostMemory scratch_;
  Context<Env, T> context_;
};

}  // namespace pendula

// Defines make_cpu_backend_<Env>(); one file of the build per environment does.
#define PENDULA_CPU_ENVIRONMENT(Env)                                                           \
  namespace pendula {                                                                          \
  std::unique_ptr<PlayableBackend> make_cpu_backend_##Env(const Config& config, int threads) { \
    return std::make_unique<CpuBackend<Env, float>>(config, threads);                          \
  }                                                                                            \
  }
