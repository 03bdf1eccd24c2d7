// The verbs that make a run or take one.
#include <fmt/format.h>
#include <signal.h>

#include <CLI/CLI.hpp>
#include <iostream>
#include <limits>
#include <memory>

#include "host/cli.h"
#include "host/cmd_sweep.h"
#include "host/commands.h"
#include "host/config_io.h"
#include "host/error.h"
#include "host/resume.h"
#include "host/run_directory.h"
#include "host/trainer.h"

namespace pendula {
namespace {

// The config to train: that of a run to resume, or of a file.
Config config_to_train(const char* verb, const TrainOptions& options, const std::string& file,
                       const std::vector<std::string>& overrides) {
  if (!options.resume.empty()) {
    return resumed_config(resolve_run(options.resume, options.parent).run_dir, file, overrides);
  }
  if (!file.empty()) return load_config(file, overrides);
  throw Error(ExitCode::kUsage,
              fmt::format("{0} needs a CONFIG, e.g. pendula {0} configs/pendulum{1}.json, or "
                          "--resume RUN",
                          verb, verb == std::string("sweep") ? "-sweep" : ""));
}

struct TrainArguments {
  std::vector<std::string> args;
  std::string device;
  int64_t seeds = 0;
  bool json = false;
  TrainOptions options;
};

int run_train(TrainArguments& a) {
  std::string file;
  std::vector<std::string> overrides;
  split(a.args, file, overrides);
  if (!a.device.empty()) overrides.push_back("device=" + a.device);
  if (a.seeds > 0) overrides.push_back("agents=" + std::to_string(a.seeds));
  if (!a.options.resume.empty() && !a.options.init_from.empty()) {
    throw Error(ExitCode::kUsage,
                "--resume goes on with a run, --init-from starts a new one: say one of them");
  }
  const Config config = config_to_train("train", a.options, file, overrides);
  ::signal(SIGPIPE, SIG_IGN);  // whoever reads the narration may go; the training stays
  const TrainOutcome outcome = train(config, a.options);
  if (!outcome.result.is_object()) return static_cast<int>(outcome.code);
  nlohmann::ordered_json result = outcome.result;
  result["run"] = outcome.run_dir.string();
  if (a.json) {
    std::cout << result.dump(2) << '\n';
  } else {
    const auto number = [&](const char* key) {
      return result[key].is_number() ? result[key].get<double>()
                                     : std::numeric_limits<double>::quiet_NaN();
    };
    std::cout << fmt::format(
        "eval/mean_reward {:.2f} +- {:.2f} over {} episodes{}, {} steps in {:.2f} s\n{}\n",
        number("eval/mean_reward"), number("eval/std_reward"), number("eval/episodes"),
        config.agents > 1 ? fmt::format(" of each of {} agents", config.agents) : "",
        number("time/total_timesteps"), number("time/time_elapsed"), outcome.run_dir.string());
  }
  return static_cast<int>(outcome.code);
}

struct SweepArguments {
  std::vector<std::string> args;
  std::string device;
  int64_t agents = 0;
  SweepOptions options;
};

int run_sweep(SweepArguments& a) {
  std::string file;
  std::vector<std::string> overrides;
  split(a.args, file, overrides);
  if (!a.device.empty()) overrides.push_back("device=" + a.device);
  if (a.agents > 0) overrides.push_back("agents=" + std::to_string(a.agents));
  const Config config = config_to_train("sweep", a.options.train, file, overrides);
  ::signal(SIGPIPE, SIG_IGN);
  return run_sweep(config, a.options, std::cout);
}

}  // namespace

void add_train(CLI::App& app, int& code) {
  const auto t = std::make_shared<TrainArguments>();
  CLI::App* train_cmd = app.add_subcommand("train", "Train from a config, or go on with a run.");
  train_cmd->footer(
      "  pendula train configs/pendulum.json\n"
      "  pendula train configs/pendulum.json ddpg.gamma=0.98 seed=3\n"
      "  pendula train --resume latest\n"
      "  pendula train --resume latest total_timesteps=40000\n");
  train_cmd->add_option("CONFIG", t->args, "Config file, and overrides path=value");
  train_cmd->add_option("--resume", t->options.resume, "RUN to go on with, to the last bit");
  train_cmd->add_option("--init-from", t->options.init_from,
                        "RUN whose networks the new run starts with");
  train_cmd->add_option("--run-dir", t->options.parent, "Parent of the run directories")
      ->capture_default_str();
  train_cmd->add_option("--device", t->device, "auto, cpu, cuda or cuda:N (over the config's)");
  train_cmd->add_option("--seeds", t->seeds, "Train so many agents, with seeds seed, seed + 1, ...")
      ->check(CLI::Range(1, 65536));
  train_cmd
      ->add_option("--threads", t->options.threads,
                   "CPU threads (as many as are useful); the result is the same")
      ->check(CLI::Range(1, 1024));
  train_cmd->add_flag("--quiet", t->options.quiet, "No progress, no notes");
  train_cmd->add_flag("--json", t->json, "Print the result as one JSON object");
  train_cmd->callback([t, &code] { code = run_train(*t); });
}

void add_sweep(CLI::App& app, int& code) {
  const auto w = std::make_shared<SweepArguments>();
  CLI::App* sweep_cmd =
      app.add_subcommand("sweep", "Train agents whose values differ, in one run, and rank them.");
  sweep_cmd->footer(
      "  pendula sweep configs/pendulum-sweep.json\n"
      "  pendula sweep configs/pendulum.json --agents 64 "
      "'optimizer.actor_lr={\"log_uniform\": [1e-4, 1e-2]}'\n"
      "  pendula sweep --resume latest\n");
  sweep_cmd->add_option("CONFIG", w->args, "Config file, and overrides path=value");
  sweep_cmd->add_option("--agents", w->agents, "Agents to train (over the config's)")
      ->check(CLI::Range(2, 65536));
  sweep_cmd->add_option("--top", w->options.top, "Rows of each table")
      ->capture_default_str()
      ->check(CLI::Range(1, 65536));
  sweep_cmd->add_option("--resume", w->options.train.resume, "RUN to go on with, or to rank again");
  sweep_cmd->add_option("--run-dir", w->options.train.parent, "Parent of the run directories")
      ->capture_default_str();
  sweep_cmd->add_option("--device", w->device, "auto, cpu, cuda or cuda:N (over the config's)");
  sweep_cmd
      ->add_option("--threads", w->options.train.threads,
                   "CPU threads (as many as are useful); the result is the same")
      ->check(CLI::Range(1, 1024));
  sweep_cmd->add_flag("--quiet", w->options.train.quiet, "No progress, no notes");
  sweep_cmd->add_flag("--json", w->options.json, "Print what sweep.json holds");
  sweep_cmd->callback([w, &code] { code = run_sweep(*w); });
}

void add_eval(CLI::App& app, int& code) {
  const auto e = std::make_shared<EvalOptions>();
  CLI::App* eval_cmd = app.add_subcommand("eval", "Evaluate a run's policy, without noise.");
  eval_cmd->footer(
      "  pendula eval latest\n"
      "  pendula eval latest@best --episodes 1000\n");
  eval_cmd->add_option("RUN", e->run, "Run directory or `latest`, and @best or @STEP")->required();
  eval_cmd->add_option("--episodes", e->episodes, "Episodes (eval.final_episodes)")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 24));
  eval_cmd->add_option("--run-dir", e->parent, "Parent of the run directories")
      ->capture_default_str();
  eval_cmd->add_option("--device", e->device, "auto, cpu, cuda or cuda:N (over the config's)");
  eval_cmd->add_option("--threads", e->threads, "CPU threads")->check(CLI::Range(1, 1024));
  eval_cmd->add_flag("--json", e->json, "Print the result as one JSON object");
  eval_cmd->add_flag("--quiet", e->quiet, "Nothing but the result");
  eval_cmd->callback([e, &code] { code = run_eval(*e, std::cout); });
}

void add_play(CLI::App& app, int& code) {
  const auto p = std::make_shared<PlayOptions>();
  CLI::App* play_cmd = app.add_subcommand("play", "Play episodes on the CPU and write each step.");
  play_cmd->footer(
      "  pendula play latest --episodes 3 --csv steps.csv\n"
      "  pendula play latest --agent 7\n"
      "  pendula play pendulum --agent random --csv -\n");
  play_cmd->add_option("RUN|ENV", p->target, "A run, or an environment's id")->required();
  play_cmd->add_option("--agent", p->agent,
                       "Which of the run's agents plays (0), or zero or random in its place");
  play_cmd->add_option("--episodes", p->episodes, "Episodes")
      ->capture_default_str()
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 24));
  play_cmd->add_option("--seed", p->seed, "Seed of the episodes (the run's own; 1 without a run)");
  play_cmd->add_option("--csv", p->csv, "Write one row per step to this file, - for stdout");
  play_cmd->add_option("--run-dir", p->parent, "Parent of the run directories")
      ->capture_default_str();
  play_cmd->add_flag("--json", p->json, "Print the returns as one JSON object");
  play_cmd->add_flag("--quiet", p->quiet, "Nothing but the result");
  play_cmd->callback([p, &code] { code = run_play(*p, std::cout); });
}

}  // namespace pendula
