#include "host/trainer.h"

#include <chrono>
#include <cmath>
#include <ctime>
#include <fstream>
#include <iostream>
#include <limits>
#include <map>
#include <optional>

#include "host/checkpoint.h"
#include "host/config_check.h"
#include "host/config_io.h"
#include "host/device.h"
#include "host/metrics.h"
#include "host/planning.h"
#include "host/progress.h"
#include "host/run_directory.h"
#include "host/signals.h"
#include "host/training_state.h"
#include "host/version.h"

namespace pendula {
namespace {

using nlohmann::ordered_json;

const char* describe(Fault fault) {
  switch (fault) {
    case Fault::kReward: return "a state, an action or a reward of the rollout";
    case Fault::kCriticLoss: return "the critic's loss";
    case Fault::kCriticGradient: return "the critic's gradient";
    case Fault::kActorLoss: return "the actor's loss";
    case Fault::kActorGradient: return "the actor's gradient";
    case Fault::kNone: break;
  }
  return "nothing";
}

// Whether eval.jsonl already has the evaluation at `timesteps`.
bool evaluated_at(const std::filesystem::path& file, uint64_t timesteps) {
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);) {
    const auto row = nlohmann::json::parse(line, nullptr, false);
    if (row.is_object() && row.value(kTimestepsKey, uint64_t{0}) == timesteps) return true;
  }
  return false;
}

// The best mean over the agents in eval.jsonl, or -infinity.
double best_evaluation(const std::filesystem::path& file) {
  std::map<uint64_t, std::pair<double, int>> sums;  // by timesteps: sum and number of agents
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);) {
    const auto row = nlohmann::json::parse(line, nullptr, false);
    if (!row.is_object() || !row.contains("eval/mean_reward")) continue;
    const auto& value = row.at("eval/mean_reward");
    auto& [sum, count] = sums[row.value(kTimestepsKey, uint64_t{0})];
    sum += value.is_number() ? value.get<double>() : std::numeric_limits<double>::quiet_NaN();
    ++count;
  }
  double best = -std::numeric_limits<double>::infinity();
  for (const auto& [timesteps, s] : sums) {
    if (s.first / s.second > best) best = s.first / s.second;
  }
  return best;
}

class Training {
 public:
  Training(const Config& config, const TrainOptions& options, RunDirectory run,
           std::unique_ptr<Backend> backend)
      : config_(config),
        options_(options),
        run_(std::move(run)),
        backend_(std::move(backend)),
        metrics_(run_.metrics()),
        evaluations_(run_.evaluations()),
        progress_(std::cerr, stderr_progress(options.quiet)) {
    steps_ = static_cast<uint64_t>(config.env.num_envs) *
             static_cast<uint64_t>(config.rollout.length);
    last_ = iterations_for(config, config.total_timesteps);
    state_.total_timesteps = last_ * steps_;
  }

  // Takes up what a checkpoint of this run brought into the arena. exact: with its replay ring.
  void resume(bool exact) {
    iteration_ = read_counters(*backend_, 0).iteration;
    if (!exact) restart_replay(*backend_, config_);
    best_ = best_evaluation(run_.evaluations());
    evaluation_due_ = iteration_ > 0 && at(config_.eval.interval) &&
                      !evaluated_at(run_.evaluations(), iteration_ * steps_);
  }

  void start(const std::string& init_from, const std::filesystem::path& parent) {
    backend_->initialise();
    if (init_from.empty()) return;
    const ResolvedRun from = resolve_run(init_from, parent);
    load_checkpoint(from.checkpoint, backend_->tensors(), *backend_, is_network);
    copy_actor_to_lagged(*backend_);
  }

  TrainOutcome run() {
    begin_ = std::chrono::steady_clock::now();
    const AgentCounters counters = read_counters(*backend_, 0);
    timing_.start_timesteps = iteration_ * steps_;
    timing_.start_updates = counters.updates;
    state_.timesteps = timing_.start_timesteps;
    state_.updates = counters.updates;
    std::string reason = "total_timesteps";
    const StopSignals signals;
    while (true) {
      if (evaluation_due_ && !signals.flag()) {
        const double mean = evaluate(config_.eval.episodes);
        evaluation_due_ = false;
        if (config_.stop.eval_return && mean >= *config_.stop.eval_return) {
          reason = "stop.eval_return";
          break;
        }
      }
      if (signals.flag()) return stopped(signals.exit_code());
      if (iteration_ > 0 && iteration_ < last_ && at(config_.checkpoint.interval)) {
        save_and_go_on();
      }
      if (iteration_ >= last_) break;
      if (config_.stop.seconds && seconds() >= *config_.stop.seconds) {
        reason = "stop.seconds";
        break;
      }
      const RunResult r = backend_->run(next_boundary(), signals.flag());
      iteration_ = r.iteration;
      take_reports();
      if (r.reason == HaltReason::kDiverged) return diverged();
      if (r.reason == HaltReason::kReached && iteration_ < last_) {
        evaluation_due_ = at(config_.eval.interval);
      }
      if (signals.flag()) return stopped(signals.exit_code());
    }
    return finish(reason, signals);
  }

  const std::filesystem::path& path() const { return run_.path(); }

 private:
  double seconds() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count();
  }

  // Whether the current iteration ends an interval of so many environment steps; 0: never.
  bool at(int64_t interval) const {
    return interval > 0 && iteration_ % iterations_for(config_, interval) == 0;
  }

  uint64_t next_boundary() const {
    uint64_t next = last_;
    for (const int64_t interval : {config_.eval.interval, config_.checkpoint.interval}) {
      if (interval <= 0) continue;
      const uint64_t every = iterations_for(config_, interval);
      next = std::min(next, (iteration_ / every + 1) * every);
    }
    return next;
  }

  void take_reports() {
    timing_.seconds = seconds();
    for (const ReportRow& row : backend_->take_reports()) {
      const ordered_json json = metrics_row(row, timing_, config_.agents);
      metrics_.write(json);
      if (row.agent == 0 && json.at("rollout/ep_rew_mean").is_number()) {
        state_.train_return = json.at("rollout/ep_rew_mean").get<double>();
      }
    }
    state_.timesteps = iteration_ * steps_;
    state_.updates = read_counters(*backend_, 0).updates;
    progress_.update(state_);
  }

  // Evaluates, writes the rows, keeps the best. Returns the mean over the agents.
  double evaluate(int64_t episodes) {
    rows_ = evaluation_rows(backend_->evaluate(episodes), config_.agents, iteration_ * steps_);
    double mean = 0.0;
    for (const ordered_json& row : rows_) {
      evaluations_.write(row);
      const auto& value = row.at("eval/mean_reward");
      mean += value.is_number() ? value.get<double>() : std::numeric_limits<double>::quiet_NaN();
    }
    mean /= static_cast<double>(rows_.size());
    state_.eval_return = mean;
    progress_.evaluated(state_);
    if (mean > best_ || (std::isfinite(mean) && !std::isfinite(best_))) {
      best_ = mean;
      nlohmann::json info = checkpoint_info();
      info["eval/mean_reward"] = mean;
      attempt([&] { save_checkpoint(run_.best(), backend_->tensors(), *backend_, false, info); });
    }
    return mean;
  }

  nlohmann::json checkpoint_info() const {
    return {{kTimestepsKey, iteration_ * steps_},
            {"time/updates", read_counters(*backend_, 0).updates},
            {"iteration", iteration_},
            {"name", config_.name},
            {"seed", config_.seed}};
  }

  void save() {
    const int64_t step = static_cast<int64_t>(iteration_ * steps_);
    save_checkpoint(run_.checkpoint(step), backend_->tensors(), *backend_,
                    config_.checkpoint.replay == ReplaySaving::kFull, checkpoint_info());
    prune_checkpoints(run_.path(), config_.checkpoint.keep_last);
  }

  void save_and_go_on() {
    attempt([&] { save(); });
  }

  // A checkpoint that cannot be written does not stop the training; it is said once.
  template <class F>
  void attempt(F save) {
    try {
      save();
    } catch (const Error& error) {
      if (!save_failed_) {
        progress_.clear();
        std::cerr << "pendula: warning: " << error.what()
                  << "; training goes on, without checkpoints until there is room\n";
      }
      save_failed_ = true;
    }
  }

  TrainOutcome stopped(ExitCode code) {
    progress_.finish(state_);
    save();
    if (!options_.quiet) {
      std::cerr << "pendula: stopped and saved at step " << iteration_ * steps_
                << (config_.checkpoint.replay == ReplaySaving::kNone
                        ? " (without the replay ring: the resume will not be exact)"
                        : "")
                << ". Go on with:\n  pendula train --resume " << run_.path().string() << '\n';
    }
    return {code, run_.path(), nullptr};
  }

  TrainOutcome diverged() {
    progress_.finish(state_);
    for (const FaultReport& f : backend_->faults()) {
      std::cerr << "pendula: agent " << f.agent << ": a NaN or an Inf, first seen in "
                << describe(f.fault) << " at iteration " << f.iteration << " (step "
                << f.iteration * steps_ << "), update " << f.update << '\n';
    }
    const auto stored = list_checkpoints(run_.path());
    std::cerr << "pendula: the run diverged; nothing of it was saved after that. Lower the learning "
                 "rates, or set optimizer.max_grad_norm or ddpg.reward_scale. ";
    if (stored.empty()) {
      std::cerr << "There is no checkpoint from before.\n";
    } else {
      std::cerr << "The last good checkpoint is " << stored.back().dir.string() << '\n';
    }
    return {ExitCode::kDiverged, run_.path(), nullptr};
  }

  TrainOutcome finish(const std::string& reason, const StopSignals& signals) {
    save();  // before the evaluation, so that a signal during it costs nothing
    const double mean = evaluate(config_.eval.final_episodes);
    progress_.finish(state_);
    ordered_json result;
    result["name"] = config_.name;
    result["eval/mean_reward"] = std::isfinite(mean) ? ordered_json(mean) : ordered_json(nullptr);
    result["eval/std_reward"] = rows_.front().at("eval/std_reward");
    result["eval/mean_ep_length"] = rows_.front().at("eval/mean_ep_length");
    result["eval/episodes"] = config_.eval.final_episodes;
    result["time/total_timesteps"] = iteration_ * steps_;
    result["time/updates"] = read_counters(*backend_, 0).updates;
    result["time/time_elapsed"] = seconds();
    result["seed"] = config_.seed;
    result["stopped_by"] = reason;
    if (config_.agents > 1) result["agents"] = rows_;
    run_.write_result(result);
    return {signals.exit_code(), run_.path(), result};
  }

  const Config& config_;
  const TrainOptions& options_;
  RunDirectory run_;
  std::unique_ptr<Backend> backend_;
  MetricsWriter metrics_;
  MetricsWriter evaluations_;
  Progress progress_;
  ProgressState state_;
  RunTiming timing_;
  std::chrono::steady_clock::time_point begin_;
  uint64_t steps_ = 0;      // environment steps of an iteration
  uint64_t iteration_ = 0;  // completed
  uint64_t last_ = 0;       // iterations of the whole run
  double best_ = -std::numeric_limits<double>::infinity();
  bool evaluation_due_ = false;
  bool save_failed_ = false;
  std::vector<ordered_json> rows_;  // of the last evaluation
};

ordered_json meta(const DeviceInfo& device) {
  const VersionInfo& v = version_info();
  ordered_json m;
  m["version"] = v.version;
  m["commit"] = v.commit;
  m["compiler"] = v.compiler;
  m["flags"] = v.flags;
  for (const auto& [key, value] : device.meta.items()) m[key] = value;
  return m;
}

}  // namespace

Config resumed_config(const std::filesystem::path& run_dir, const std::string& config_file,
                      const std::vector<std::string>& overrides) {
  const std::string own = (run_dir / "config.json").string();
  const Config before = load_config(own);
  const Config after = config_file.empty() ? load_config(own, overrides)
                                           : load_config(config_file, overrides);
  std::string problems;
  for (const ConfigDifference& d : config_differences(before, after)) {
    const auto starts = [&](const char* prefix) { return d.key.rfind(prefix, 0) == 0; };
    const bool free = d.key == "total_timesteps" || d.key == "device" || d.key == "precision" ||
                      d.key == "result" || starts("result.") || starts("eval.") ||
                      starts("checkpoint.") || starts("stop.");
    if (!free) problems += "\n  " + describe_diff({d});
  }
  if (!problems.empty()) {
    throw Error(ExitCode::kUsage,
                "a resumed run goes on as it was; only total_timesteps, device, precision, eval.*, "
                "checkpoint.* and stop.* may change, but " + run_dir.string() + " differs in" +
                    problems + "\nLeave these out, or start a new run with --init-from");
  }
  return after;
}

TrainOutcome train(const Config& config, const TrainOptions& options) {
  std::unique_ptr<Backend> backend = make_backend(config, options.threads);
  const DeviceInfo device = backend->device();
  std::optional<ResolvedRun> from;
  if (!options.resume.empty()) from = resolve_run(options.resume, options.parent);
  RunDirectory run = from ? RunDirectory::open(from->run_dir)
                          : RunDirectory::create(options.parent, config.name, config.seed,
                                                 std::time(nullptr));
  LoadedCheckpoint loaded{};
  if (from) {  // nothing of the run is touched before its checkpoint has been found whole
    loaded = load_checkpoint(from->checkpoint, backend->tensors(), *backend);
    run.rewind(loaded.info.value(kTimestepsKey, int64_t{0}));
  }
  run.write_config(to_json(config));
  run.write_meta(meta(device));
  if (!options.quiet) {
    for (const std::string& note : config_notes(config)) std::cerr << "note: " << note << '\n';
    std::cerr << "pendula: " << (from ? "resuming " : "training ") << config.name << " on "
              << device.name << " (" << device.detail << "), run " << run.path().string() << '\n';
  }
  Training training(config, options, std::move(run), std::move(backend));
  if (!from) {
    training.start(options.init_from, options.parent);
    return training.run();
  }
  training.resume(loaded.exact);
  if (!loaded.exact && !options.quiet) {
    std::cerr << "pendula: " << from->checkpoint.string()
              << " has no replay ring: it is filled anew before updates go on, and the resumed run "
                 "will not equal an uninterrupted one\n";
  }
  return training.run();
}

}  // namespace pendula
