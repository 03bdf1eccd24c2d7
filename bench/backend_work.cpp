#include "bench/backend_work.h"

#include <fmt/format.h>

#include <cmath>

#include "host/config_check.h"
#include "host/device.h"
#include "host/error.h"

namespace pendula {
namespace {

[[noreturn]] void wrong(const std::string& what) {
  throw Error(ExitCode::kDevice, "the measured training went wrong, so its speed means nothing: " +
                                     what + "; please report it");
}

class BackendWork final : public Work {
 public:
  explicit BackendWork(const BackendRun& run)
      : run_(run), backend_(make_backend(run.config, run.threads)) {
    backend_->initialise();
    advance(iterations_of(run_.config, run_.first_steps), false);
    // As many iterations as take long enough, and until a report has been checked.
    while (advance(chunk_, true) < run_.call_seconds) chunk_ *= 2;
    while (!reported_) advance(chunk_, true);
  }

  double call() override { return advance(chunk_, true); }
  double units() const override { return static_cast<double>(chunk_); }

 private:
  // `iterations` more; the seconds that they took. updates: whether updates are due in them.
  double advance(int64_t iterations, bool updates) {
    const std::atomic<bool> stop{false};
    const uint64_t until = iteration_ + static_cast<uint64_t>(iterations);
    double seconds = 0.0;
    while (iteration_ < until) {
      const RunResult r = backend_->run(until, stop);
      seconds += r.seconds;
      iteration_ = r.iteration;
      if (r.reason == HaltReason::kDiverged) wrong("a number became NaN or infinite");
      check_reports();
      if (r.reason == HaltReason::kStopFlag) wrong("it stopped by itself");
      made_ = r.updates;
    }
    if (updates) due_ += static_cast<uint64_t>(iterations * run_.updates_per_iteration);
    if (made_ != due_) wrong(fmt::format("{} updates were due and {} made", due_, made_));
    return seconds;
  }

  void check_reports() {
    const uint64_t steps = static_cast<uint64_t>(steps_per_iteration(run_.config));
    uint64_t updates = 0;  // of agent 0, whose row comes first
    for (const ReportRow& row : backend_->take_reports()) {
      if (row.agent == 0) updates = row.updates;
      if (row.updates != updates) {  // frozen since a number became NaN, and fast
        wrong(fmt::format("agent {} made {} updates and agent 0 {}", row.agent, row.updates,
                          updates));
      }
      if (row.timesteps != row.iteration * steps) wrong("a report counts other steps");
      const bool finite = std::isfinite(row.critic_loss_sum) && std::isfinite(row.actor_loss_sum) &&
                          std::isfinite(row.episode_return_sum);
      if (!finite) wrong("a loss or a return is not finite");
      if (run_.updates_per_iteration == 0 || row.row_updates > 0) reported_ = true;
    }
  }

  BackendRun run_;
  std::unique_ptr<Backend> backend_;
  int64_t chunk_ = 1;
  uint64_t iteration_ = 0, due_ = 0, made_ = 0;
  bool reported_ = false;
};

}  // namespace

std::unique_ptr<Work> make_backend_work(const BackendRun& run) {
  return std::make_unique<BackendWork>(run);
}

}  // namespace pendula
