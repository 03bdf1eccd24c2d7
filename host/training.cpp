#include "host/training.h"

#include <chrono>
#include <cmath>
#include <iostream>
#include <limits>
#include <set>
#include <utility>

#include "host/checkpoint.h"
#include "host/narration.h"
#include "host/pbt.h"
#include "host/planning.h"
#include "host/progress.h"
#include "host/run_log.h"
#include "host/run_records.h"
#include "host/training_state.h"

namespace pendula {
namespace {

using nlohmann::ordered_json;

class Training {
 public:
  Training(const Config& config, const TrainOptions& options, const StopSignals& signals,
           RunDirectory run, std::unique_ptr<Backend> backend)
      : config_(config),
        options_(options),
        signals_(signals),
        run_(std::move(run)),
        backend_(std::move(backend)),
        log_(run_, config),
        progress_(std::cerr, stderr_progress(options.quiet)) {
    steps_ =
        static_cast<uint64_t>(config.env.num_envs) * static_cast<uint64_t>(config.rollout.length);
    last_ = iterations_for(config, config.total_timesteps);
    state_.total_timesteps = last_ * steps_;
    state_.agents = static_cast<uint64_t>(config.agents);
  }

  // Takes up what a checkpoint of this run brought into the arena. exact: with its replay ring.
  void resume(bool exact) {
    const AgentCounters counters = read_counters(*backend_, 0);
    iteration_ = counters.iteration;
    if (!exact) restart_replay(*backend_, config_);
    if (is_checkpoint(run_.best())) {
      best_ = read_manifest(run_.best()).info.value("eval/mean_reward", best_);
    }
    // The checkpoint may be older than the evaluation of its own step, or of the end of a shorter
    // run; that row is gone (see train()), and the evaluation is repeated to the same numbers.
    const bool boundary = iteration_ > 0 && iteration_ < last_ && counters.slice == 0;
    evaluation_due_ = boundary && at(config_.eval.interval);
    exploit_due_ = boundary && at(config_.population.pbt.interval);
    if (exact) saved_ = iteration_;
    for (const FaultReport& f : backend_->faults()) told_.insert(f.agent);  // when it happened
    state_.diverged = told_.size();
  }

  TrainOutcome run() {
    begin_ = std::chrono::steady_clock::now();
    timing_.start_timesteps = iteration_ * steps_;
    timing_.start_updates = read_counters(*backend_, 0).updates;
    state_.timesteps = timing_.start_timesteps;
    state_.updates = timing_.start_updates;
    while (!signals_.flag()) {
      if (evaluation_due_) {
        if (!evaluate(config_.eval.episodes)) break;
        progress_.evaluated(state_);
        evaluation_due_ = false;
        if (reached_return()) {
          if (!evaluate(config_.eval.final_episodes)) break;
          if (reached_return()) return finish("stop.eval_return");
        }
      }
      if (signals_.flag()) break;
      if (checkpoint_due_) {
        attempt([&] { save(); });
        checkpoint_due_ = false;
      }
      if (iteration_ >= last_) return evaluate_and_finish("total_timesteps");
      if (config_.stop.seconds && seconds() >= *config_.stop.seconds) {
        return evaluate_and_finish("stop.seconds");
      }
      if (exploit_due_) exploit_and_explore();
      const uint64_t before = iteration_;
      const RunResult r = backend_->run(next_boundary(), signals_.flag());
      iteration_ = r.iteration;
      state_.updates = r.updates;
      saved_.reset();
      const bool inside = iteration_ > before && iteration_ < last_;
      evaluation_due_ = inside && at(config_.eval.interval);
      checkpoint_due_ = inside && at(config_.checkpoint.interval);
      exploit_due_ = inside && at(config_.population.pbt.interval);
      take_reports();
      watch_faults();
      if (r.reason == HaltReason::kDiverged) return diverged();
      // An evaluation, the end or a stop is about to tell the same with more in it.
      if (!evaluation_due_ && iteration_ < last_ && !signals_.flag()) progress_.update(state_);
    }
    return stopped();
  }

 private:
  // Of this process's training so far.
  double seconds() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count();
  }

  // Whether the last evaluation reached the return at which to stop.
  bool reached_return() const {
    return config_.stop.eval_return && *state_.eval_return >= *config_.stop.eval_return;
  }

  // Whether the current iteration ends an interval of so many environment steps; 0: never.
  bool at(int64_t interval) const {
    return interval > 0 && iteration_ % iterations_for(config_, interval) == 0;
  }

  uint64_t next_boundary() const {
    uint64_t next = last_;
    for (const int64_t interval :
         {config_.eval.interval, config_.checkpoint.interval, config_.population.pbt.interval}) {
      if (interval <= 0) continue;
      const uint64_t every = iterations_for(config_, interval);
      next = std::min(next, (iteration_ / every + 1) * every);
    }
    return next;
  }

  void take_reports() {
    timing_.seconds = seconds();
    const auto train_return =
        log_.write_reports(backend_->take_reports(), read_counters(*backend_), timing_);
    if (train_return) state_.train_return = train_return;
    state_.timesteps = iteration_ * steps_;
  }

  // Just before the launch that goes on with the copies: evaluation and checkpoint of this step are
  // of the agents as they were, and a resume from it repeats the exploit.
  void exploit_and_explore() {
    exploit_due_ = false;
    for (const Exploit& e : exploit(*backend_, config_, iteration_)) {
      log_.write_exploit(exploit_row(e, config_.population.pbt, iteration_ * steps_));
      if (e.revived) told_.erase(static_cast<uint64_t>(e.to));
    }
    state_.diverged = told_.size();
  }

  // Says once of each agent that it diverged.
  void watch_faults() {
    std::vector<FaultReport> news;
    for (const FaultReport& f : backend_->faults()) {
      if (told_.insert(f.agent).second) news.push_back(f);
    }
    state_.diverged = told_.size();
    if (news.empty()) return;
    progress_.clear();
    tell_faults(news, steps_);
  }

  // Evaluates, writes the rows, keeps the best. False where a signal came first.
  bool evaluate(int64_t episodes) {
    const double begin = seconds();
    const Evaluation evaluation = backend_->evaluate(episodes, signals_.flag());
    if (evaluation.returns.empty()) return false;
    const double mean =
        log_.write_evaluation(evaluation, iteration_ * steps_, read_counters(*backend_)).mean;
    state_.eval_return = mean;
    if (mean > best_ || (std::isfinite(mean) && !std::isfinite(best_))) {
      best_ = mean;
      nlohmann::json info = checkpoint_info();
      info["eval/mean_reward"] = mean;
      attempt([&] { save_checkpoint(run_.best(), backend_->tensors(), *backend_, false, info); });
    }
    evaluating_ += seconds() - begin;
    return true;
  }

  nlohmann::json checkpoint_info() const {
    return {{kTimestepsKey, iteration_ * steps_},
            {"time/updates", state_.updates},
            {"iteration", iteration_},
            {"name", config_.name},
            {"seed", config_.seed}};
  }

  void save() {
    if (saved_ == iteration_) return;
    const int64_t step = static_cast<int64_t>(iteration_ * steps_);
    save_checkpoint(run_.checkpoint(step), backend_->tensors(), *backend_,
                    config_.checkpoint.replay == ReplaySaving::kFull, checkpoint_info());
    saved_ = iteration_;
    prune_checkpoints(run_.path(), config_.checkpoint.keep_last);
  }

  // What `write` failed with, or nothing.
  template <class F>
  static std::string failure_of(F write) {
    try {
      write();
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  }

  // A checkpoint that cannot be written does not stop the training; it is said once.
  template <class F>
  void attempt(F save) {
    const std::string failure = failure_of(save);
    if (failure.empty() || save_failed_) return;
    save_failed_ = true;
    progress_.clear();
    std::cerr << "pendula: warning: " << failure
              << "; training goes on, and the next checkpoint is tried again\n";
  }

  TrainOutcome stopped() {
    // A stop may cut an iteration before its end, where divergence is looked for.
    if (state_.diverged == state_.agents) return diverged();
    progress_.finish(state_);
    const std::string unsaved = failure_of([&] { save(); });
    if (!unsaved.empty()) {
      tell_unsaved("stopped at step " + std::to_string(iteration_ * steps_), unsaved, run_.path());
      return {ExitCode::kFiles, run_.path(), nullptr};
    }
    if (!options_.quiet) tell_stopped(config_, iteration_ * steps_, run_.path());
    return {signals_.exit_code(), run_.path(), nullptr};
  }

  TrainOutcome diverged() {
    progress_.finish(state_);
    tell_diverged(run_.path());
    return {ExitCode::kDiverged, run_.path(), nullptr};
  }

  TrainOutcome evaluate_and_finish(const std::string& reason) {
    // Tried again by finish(), which tells a failure.
    failure_of([&] { save(); });
    if (!evaluate(config_.eval.final_episodes)) return stopped();
    return finish(reason);
  }

  // The last evaluation was the final one.
  TrainOutcome finish(const std::string& reason) {
    std::string unsaved = failure_of([&] { save(); });  // nothing, where it has been saved
    progress_.finish(state_);
    const ordered_json result = result_record(
        config_, {reason, iteration_ * steps_, state_.updates, seconds(), evaluating_}, log_.rows(),
        log_.summary());
    if (unsaved.empty()) unsaved = failure_of([&] { run_.write_result(result); });
    if (unsaved.empty()) return {signals_.exit_code(), run_.path(), result};
    tell_unsaved("the run came to its end", unsaved, run_.path());
    return {ExitCode::kFiles, run_.path(), result};
  }

  const Config& config_;
  const TrainOptions& options_;
  const StopSignals& signals_;
  RunDirectory run_;
  std::unique_ptr<Backend> backend_;
  RunLog log_;
  Progress progress_;
  ProgressState state_;
  RunTiming timing_;
  std::chrono::steady_clock::time_point begin_;
  uint64_t steps_ = 0;             // environment steps of an iteration
  uint64_t iteration_ = 0;         // completed
  uint64_t last_ = 0;              // iterations of the whole run
  std::optional<uint64_t> saved_;  // the iteration of the newest checkpoint, where it is whole
  double best_ = -std::numeric_limits<double>::infinity();
  double evaluating_ = 0;  // seconds of evaluations and of what they keep
  bool evaluation_due_ = false;
  bool checkpoint_due_ = false;
  bool exploit_due_ = false;
  bool save_failed_ = false;
  std::set<uint64_t> told_;  // agents of which it has been said that they diverged
};

}  // namespace

TrainOutcome run_training(const Config& config, const TrainOptions& options,
                          const StopSignals& signals, RunDirectory run,
                          std::unique_ptr<Backend> backend, std::optional<bool> resumed) {
  Training training(config, options, signals, std::move(run), std::move(backend));
  if (resumed) training.resume(*resumed);
  return training.run();
}

}  // namespace pendula
