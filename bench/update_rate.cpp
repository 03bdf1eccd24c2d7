// Updates per second of the CPU backend on one thread: Pendulum, 8 environments, 2x64, B = 128, one
// update per environment step (the steps are part of the time).
//
//   update_rate [SECONDS [WARMUP]]     prints one JSON object
//
// The losses must be finite and the updates as many as the steps: a fast wrong number is no result.
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <memory>
#include <stdexcept>

#include "host/play.h"

namespace pendula {
namespace {

constexpr uint64_t kEnvs = 8;
constexpr uint64_t kWarmup = 125;           // iterations before the first update
constexpr uint64_t kReportInterval = 1024;  // iterations per report row
constexpr uint64_t kChunk = 64;             // iterations between looks at the clock

Config bench_config() {
  Config c;
  c.seed = 7;
  c.env.num_envs = kEnvs;
  c.actor.hidden = {64, 64};
  c.critic.hidden = {64, 64};
  c.ddpg.batch_size = 128;
  c.ddpg.updates_per_step = 1.0;
  c.precision = Precision::kFp32;
  c.replay.capacity = int64_t{1} << 18;
  c.replay.warmup_steps = kWarmup * kEnvs;
  c.report.interval = kReportInterval * kEnvs;
  return c;
}

class Bench {
 public:
  Bench() : backend_(make_cpu_backend(bench_config(), 1)) {
    backend_->initialise();
    run_until(kWarmup);
  }

  // Runs for at least `seconds`, and says how many it took.
  double run(double seconds) {
    const auto begin = std::chrono::steady_clock::now();
    double elapsed = 0.0;
    while (elapsed < seconds) {
      run_until(iteration_ + kChunk);
      elapsed = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    }
    check_reports();
    return elapsed;
  }

  uint64_t updates() const { return (iteration_ - kWarmup) * kEnvs; }

 private:
  void run_until(uint64_t until) {
    const std::atomic<bool> stop{false};
    while (iteration_ < until) {
      const RunResult r = backend_->run(until, stop);
      if (r.reason == HaltReason::kDiverged) throw std::runtime_error("training diverged");
      if (r.reason != HaltReason::kReached) check_reports();  // they may be many
      iteration_ = r.iteration;
    }
  }

  void check_reports() {
    for (const ReportRow& row : backend_->take_reports()) {
      if (!std::isfinite(row.critic_loss_sum)) throw std::runtime_error("the loss is not finite");
      if (row.iteration >= kWarmup + kReportInterval &&
          row.row_updates != kReportInterval * kEnvs) {
        throw std::runtime_error("there were not as many updates as steps");
      }
    }
  }

  std::unique_ptr<Backend> backend_;
  uint64_t iteration_ = 0;
};

int run(int argc, char** argv) {
  const double seconds = argc > 1 ? std::atof(argv[1]) : 2.0;
  const double warmup = argc > 2 ? std::atof(argv[2]) : 1.0;
  Bench bench;
  bench.run(warmup);
  const uint64_t before = bench.updates();
  const double elapsed = bench.run(seconds);
  const uint64_t updates = bench.updates() - before;
  std::printf("{\"updates_per_second\": %.1f, \"updates\": %llu, \"seconds\": %.4f}\n",
              static_cast<double>(updates) / elapsed, static_cast<unsigned long long>(updates),
              elapsed);
  return 0;
}

}  // namespace
}  // namespace pendula

int main(int argc, char** argv) {
  try {
    return pendula::run(argc, argv);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "update_rate: %s\n", e.what());
    return 1;
  }
}
