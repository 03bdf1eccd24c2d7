// The command line: what each verb takes, with examples first in its help.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <iostream>
#include <new>

#include "host/cmd_config.h"
#include "host/commands.h"
#include "host/config_docs.h"
#include "host/config_io.h"
#include "host/error.h"
#include "host/run_directory.h"
#include "host/trainer.h"

namespace pendula {
namespace {

// Arguments of the form path=value are overrides, the others are not.
bool is_override(const std::string& arg) { return arg.find('=') != std::string::npos; }

// Splits CONFIG and overrides, which may come in any order. Throws Error(kUsage) for two configs.
void split(const std::vector<std::string>& args, std::string& file,
           std::vector<std::string>& overrides) {
  for (const std::string& arg : args) {
    if (is_override(arg)) {
      overrides.push_back(arg);
    } else if (file.empty()) {
      file = arg;
    } else {
      throw Error(ExitCode::kUsage, "one CONFIG only, but there are \"" + file + "\" and \"" + arg +
                                        "\"; an override has the form ddpg.gamma=0.98");
    }
  }
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
  Config config;
  if (!a.options.resume.empty()) {
    config = resumed_config(resolve_run(a.options.resume, a.options.parent).run_dir, file,
                            overrides);
  } else if (file.empty()) {
    throw Error(ExitCode::kUsage,
                "train needs a CONFIG, e.g. pendula train configs/pendulum.json, or --resume RUN");
  } else {
    config = load_config(file, overrides);
  }
  const TrainOutcome outcome = train(config, a.options);
  if (outcome.result.is_object()) {
    nlohmann::ordered_json result = outcome.result;
    result["run"] = outcome.run_dir.string();
    if (a.json) {
      std::cout << result.dump(2) << '\n';
    } else {
      std::printf("eval/mean_reward %.2f +- %.2f over %lld episodes, %lld steps in %.2f s\n%s\n",
                  result["eval/mean_reward"].is_null()
                      ? std::numeric_limits<double>::quiet_NaN()
                      : result["eval/mean_reward"].get<double>(),
                  result["eval/std_reward"].is_null() ? std::numeric_limits<double>::quiet_NaN()
                                                      : result["eval/std_reward"].get<double>(),
                  static_cast<long long>(result["eval/episodes"].get<int64_t>()),
                  static_cast<long long>(result["time/total_timesteps"].get<int64_t>()),
                  result["time/time_elapsed"].get<double>(), outcome.run_dir.c_str());
    }
  }
  return static_cast<int>(outcome.code);
}

// CLI11 puts the footer last; people read the top. So the examples are the description.
std::string with_examples(const std::string& what, const std::string& examples) {
  return "Examples:\n" + examples + "\n" + what;
}

int run(int argc, char** argv) {
  CLI::App app{with_examples("Pendula trains DDPG agents on a GPU, or on the CPU, from a JSON file.",
                             "  pendula train configs/pendulum.json\n"
                             "  pendula eval latest\n"
                             "  pendula play latest --episodes 3 --csv steps.csv\n")};
  app.require_subcommand(0, 1);
  int code = 0;
  bool version = false, json = false;
  app.add_flag("--version", version, "Version, commit, compiler, flags");
  app.add_flag("--json", json, "With --version: one JSON object");

  TrainArguments t;
  CLI::App* train_cmd = app.add_subcommand(
      "train", with_examples("Train from a config, or go on with a run.",
                             "  pendula train configs/pendulum.json\n"
                             "  pendula train configs/pendulum.json ddpg.gamma=0.98 seed=3\n"
                             "  pendula train --resume latest\n"
                             "  pendula train --resume latest total_timesteps=40000\n"));
  train_cmd->add_option("CONFIG", t.args, "Config file, and overrides path=value");
  train_cmd->add_option("--resume", t.options.resume, "RUN to go on with, to the last bit");
  train_cmd->add_option("--init-from", t.options.init_from, "RUN whose networks the new run starts with");
  train_cmd->add_option("--run-dir", t.options.parent, "Parent of the run directories")
      ->capture_default_str();
  train_cmd->add_option("--device", t.device, "auto, cpu, cuda or cuda:N (over the config's)");
  train_cmd->add_option("--seeds", t.seeds, "Train so many agents, with seeds seed, seed + 1, ...")
      ->check(CLI::PositiveNumber);
  train_cmd->add_option("--threads", t.options.threads,
                        "CPU threads (as many as are useful); the result is the same")
      ->check(CLI::Range(1, 1024));
  train_cmd->add_flag("--quiet", t.options.quiet, "No progress, no notes");
  train_cmd->add_flag("--json", t.json, "Print the result as one JSON object");
  train_cmd->callback([&] { code = run_train(t); });

  EvalOptions e;
  CLI::App* eval_cmd =
      app.add_subcommand("eval", with_examples("Evaluate a run's policy, without noise.",
                                               "  pendula eval latest\n"
                                               "  pendula eval latest@best --episodes 1000\n"));
  eval_cmd->add_option("RUN", e.run, "Run directory or `latest`, and @best or @STEP")->required();
  eval_cmd->add_option("--episodes", e.episodes, "Episodes (eval.final_episodes)")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 24));
  eval_cmd->add_option("--run-dir", e.parent, "Parent of the run directories")->capture_default_str();
  eval_cmd->add_option("--device", e.device, "auto, cpu, cuda or cuda:N (over the config's)");
  eval_cmd->add_option("--threads", e.threads, "CPU threads")->check(CLI::Range(1, 1024));
  eval_cmd->add_flag("--json", e.json, "Print the result as one JSON object");
  bool quiet = false;
  eval_cmd->add_flag("--quiet", quiet, "Nothing but the result");
  eval_cmd->callback([&] { code = run_eval(e, std::cout); });

  PlayOptions p;
  CLI::App* play_cmd = app.add_subcommand(
      "play", with_examples("Play episodes on the CPU and write each step.",
                            "  pendula play latest --episodes 3 --csv steps.csv\n"
                            "  pendula play pendulum --agent random --csv -\n"));
  play_cmd->add_option("RUN|ENV", p.target, "A run, or an environment's id")->required();
  play_cmd->add_option("--agent", p.agent, "zero or random, instead of the run's actor")
      ->check(CLI::IsMember({"zero", "random"}));
  play_cmd->add_option("--episodes", p.episodes, "Episodes")
      ->capture_default_str()
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 24));
  play_cmd->add_option("--seed", p.seed, "Seed of an environment's episodes")->capture_default_str();
  play_cmd->add_option("--csv", p.csv, "Write one row per step to this file, - for stdout");
  play_cmd->add_option("--run-dir", p.parent, "Parent of the run directories")->capture_default_str();
  play_cmd->add_flag("--json", p.json, "Print the returns as one JSON object");
  play_cmd->add_flag("--quiet", quiet, "Nothing but the result");
  play_cmd->callback([&] { code = run_play(p, std::cout); });

  std::vector<std::string> config_args;
  bool config_json = false, config_quiet = false;
  CLI::App* config_cmd = app.add_subcommand(
      "config", with_examples("Look at configs.",
                              "  pendula config show configs/pendulum.json ddpg.gamma=0.98\n"
                              "  pendula config check configs/*.json\n"
                              "  pendula config diff a.json b.json\n"));
  config_cmd->require_subcommand(1);
  const auto config_verb = [&](const char* name, const char* help) {
    CLI::App* verb = config_cmd->add_subcommand(name, help);
    verb->add_option("ARGS", config_args, "Config files, and overrides path=value");
    verb->add_flag("--json", config_json, "Print one JSON object");
    verb->add_flag("--quiet", config_quiet, "No notes");
    return verb;
  };
  const auto files_and_overrides = [&](std::vector<std::string>& overrides) {
    std::vector<std::string> files;
    for (const std::string& a : config_args) (is_override(a) ? overrides : files).push_back(a);
    return files;
  };
  config_verb("show", "Print the resolved config, every key of it")->callback([&] {
    std::string file;
    std::vector<std::string> overrides;
    split(config_args, file, overrides);
    if (file.empty()) throw Error(ExitCode::kUsage, "config show needs a CONFIG");
    code = config_show(file, overrides, config_quiet, std::cout, std::cerr);
  });
  config_verb("check", "Check configs, all errors at once")->callback([&] {
    std::vector<std::string> overrides;
    const auto files = files_and_overrides(overrides);
    if (files.empty()) throw Error(ExitCode::kUsage, "config check needs a CONFIG");
    code = config_check(files, overrides, config_json, config_quiet, std::cout, std::cerr);
  });
  config_verb("diff", "Print the keys in which two configs differ")->callback([&] {
    if (config_args.size() != 2) throw Error(ExitCode::kUsage, "config diff needs two configs");
    code = config_diff(config_args[0], config_args[1], config_json, std::cout);
  });
  config_cmd->add_subcommand("docs", "Print docs/config.md")->group("")->callback([&] {
    std::cout << config_markdown();
  });

  bool envs_json = false;
  CLI::App* envs_cmd = app.add_subcommand(
      "envs", with_examples("List the environments and their parameters.", "  pendula envs\n"));
  envs_cmd->add_flag("--json", envs_json, "Print one JSON object");
  envs_cmd->add_flag("--quiet", quiet, "Nothing but the result");
  envs_cmd->callback([&] { code = run_envs(envs_json, std::cout); });

  std::string plan;
  std::vector<std::string> plan_overrides;
  bool doctor_json = false;
  CLI::App* doctor_cmd = app.add_subcommand(
      "doctor", with_examples("Say what this binary and this machine can do.",
                              "  pendula doctor\n"
                              "  pendula doctor --plan configs/pendulum.json\n"));
  doctor_cmd->add_option("--plan", plan, "Config whose plan and memory to print");
  doctor_cmd->add_option("OVERRIDES", plan_overrides, "path=value");
  doctor_cmd->add_flag("--json", doctor_json, "Print one JSON object");
  doctor_cmd->add_flag("--quiet", quiet, "Nothing but the result");
  doctor_cmd->callback([&] { code = run_doctor(plan, plan_overrides, doctor_json, std::cout); });

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);  // --help
    std::cerr << "pendula: " << error.what() << "\nSee `pendula --help`.\n";
    return static_cast<int>(ExitCode::kUsage);
  }
  if (version) return run_version(json, std::cout);
  if (app.get_subcommands().empty()) {
    std::cerr << app.help();
    return static_cast<int>(ExitCode::kUsage);
  }
  std::cout.flush();
  if (!std::cout) throw Error(ExitCode::kFiles, "cannot write to standard output");
  return code;
}

}  // namespace
}  // namespace pendula

int main(int argc, char** argv) {
  try {
    return pendula::run(argc, argv);
  } catch (const pendula::Error& error) {
    std::cerr << "pendula: " << error.what() << '\n';
    return static_cast<int>(error.code());
  } catch (const std::bad_alloc&) {
    std::cerr << "pendula: out of memory; lower replay.capacity, env.num_envs or agents\n";
    return static_cast<int>(pendula::ExitCode::kMemory);
  } catch (const std::exception& error) {
    std::cerr << "pendula: internal error: " << error.what() << "; please report it\n";
    return 1;
  }
}
