// The command line: what each verb takes, with examples first in its help.
#include <fmt/format.h>
#include <signal.h>

#include <CLI/CLI.hpp>
#include <cmath>
#include <cstdlib>
#include <iostream>
#include <limits>
#include <new>
#include <optional>

#include "bench/cmd_bench.h"
#include "host/cmd_config.h"
#include "host/cmd_sweep.h"
#include "host/commands.h"
#include "host/config_docs.h"
#include "host/config_io.h"
#include "host/config_schema.h"
#include "host/error.h"
#include "host/resume.h"
#include "host/run_directory.h"
#include "host/standard_streams.h"
#include "host/suggest.h"
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

// Help with the examples on top: people read the top, and CLI11 has its footer last.
class ExamplesFirst : public CLI::Formatter {
 public:
  std::string make_description(const CLI::App* app) const override {
    const std::string examples = app->get_footer();
    return (examples.empty() ? "" : "Examples:\n" + examples + "\n") +
           CLI::Formatter::make_description(app);
  }
  std::string make_footer(const CLI::App*) const override { return ""; }
};

bool is_verb(const CLI::App& app, const std::string& word) {
  for (const CLI::App* verb : app.get_subcommands(nullptr)) {
    if (verb->get_name() == word) return true;
  }
  return false;
}

// The answer to a first word that is no verb.
std::string unknown_verb(const CLI::App& app, const std::string& word) {
  std::vector<std::string> verbs;
  for (const CLI::App* verb : app.get_subcommands(nullptr)) verbs.push_back(verb->get_name());
  const auto near = nearest(word, verbs, plausible_edits(word));
  return fmt::format("there is no verb \"{}\"{}", word, did_you_mean(near));
}

int run(int argc, char** argv) {
  CLI::App app{"Pendula trains DDPG agents on a GPU, or on the CPU, from a JSON file.", "pendula"};
  app.formatter(std::make_shared<ExamplesFirst>());
  app.footer(
      "  pendula train configs/pendulum.json\n"
      "  pendula eval latest\n"
      "  pendula play latest --episodes 3 --csv steps.csv\n");
  app.require_subcommand(0, 1);
  int code = 0;
  bool version = false, json = false;
  app.add_flag("--version", version, "Version, commit, compiler, flags");
  app.add_flag("--json", json, "With --version: one JSON object");

  TrainArguments t;
  CLI::App* train_cmd = app.add_subcommand("train", "Train from a config, or go on with a run.");
  train_cmd->footer(
      "  pendula train configs/pendulum.json\n"
      "  pendula train configs/pendulum.json ddpg.gamma=0.98 seed=3\n"
      "  pendula train --resume latest\n"
      "  pendula train --resume latest total_timesteps=40000\n");
  train_cmd->add_option("CONFIG", t.args, "Config file, and overrides path=value");
  train_cmd->add_option("--resume", t.options.resume, "RUN to go on with, to the last bit");
  train_cmd->add_option("--init-from", t.options.init_from,
                        "RUN whose networks the new run starts with");
  train_cmd->add_option("--run-dir", t.options.parent, "Parent of the run directories")
      ->capture_default_str();
  train_cmd->add_option("--device", t.device, "auto, cpu, cuda or cuda:N (over the config's)");
  train_cmd->add_option("--seeds", t.seeds, "Train so many agents, with seeds seed, seed + 1, ...")
      ->check(CLI::Range(1, 65536));
  train_cmd
      ->add_option("--threads", t.options.threads,
                   "CPU threads (as many as are useful); the result is the same")
      ->check(CLI::Range(1, 1024));
  train_cmd->add_flag("--quiet", t.options.quiet, "No progress, no notes");
  train_cmd->add_flag("--json", t.json, "Print the result as one JSON object");
  train_cmd->callback([&] { code = run_train(t); });

  SweepArguments w;
  CLI::App* sweep_cmd =
      app.add_subcommand("sweep", "Train agents whose values differ, in one run, and rank them.");
  sweep_cmd->footer(
      "  pendula sweep configs/pendulum-sweep.json\n"
      "  pendula sweep configs/pendulum.json --agents 64 "
      "'optimizer.actor_lr={\"log_uniform\": [1e-4, 1e-2]}'\n"
      "  pendula sweep --resume latest\n");
  sweep_cmd->add_option("CONFIG", w.args, "Config file, and overrides path=value");
  sweep_cmd->add_option("--agents", w.agents, "Agents to train (over the config's)")
      ->check(CLI::Range(2, 65536));
  sweep_cmd->add_option("--top", w.options.top, "Rows of each table")
      ->capture_default_str()
      ->check(CLI::Range(1, 65536));
  sweep_cmd->add_option("--resume", w.options.train.resume, "RUN to go on with, or to rank again");
  sweep_cmd->add_option("--run-dir", w.options.train.parent, "Parent of the run directories")
      ->capture_default_str();
  sweep_cmd->add_option("--device", w.device, "auto, cpu, cuda or cuda:N (over the config's)");
  sweep_cmd
      ->add_option("--threads", w.options.train.threads,
                   "CPU threads (as many as are useful); the result is the same")
      ->check(CLI::Range(1, 1024));
  sweep_cmd->add_flag("--quiet", w.options.train.quiet, "No progress, no notes");
  sweep_cmd->add_flag("--json", w.options.json, "Print what sweep.json holds");
  sweep_cmd->callback([&] { code = run_sweep(w); });

  EvalOptions e;
  CLI::App* eval_cmd = app.add_subcommand("eval", "Evaluate a run's policy, without noise.");
  eval_cmd->footer(
      "  pendula eval latest\n"
      "  pendula eval latest@best --episodes 1000\n");
  eval_cmd->add_option("RUN", e.run, "Run directory or `latest`, and @best or @STEP")->required();
  eval_cmd->add_option("--episodes", e.episodes, "Episodes (eval.final_episodes)")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 24));
  eval_cmd->add_option("--run-dir", e.parent, "Parent of the run directories")
      ->capture_default_str();
  eval_cmd->add_option("--device", e.device, "auto, cpu, cuda or cuda:N (over the config's)");
  eval_cmd->add_option("--threads", e.threads, "CPU threads")->check(CLI::Range(1, 1024));
  eval_cmd->add_flag("--json", e.json, "Print the result as one JSON object");
  bool quiet = false;
  eval_cmd->add_flag("--quiet", quiet, "Nothing but the result");
  eval_cmd->callback([&] { code = run_eval(e, std::cout); });

  PlayOptions p;
  CLI::App* play_cmd = app.add_subcommand("play", "Play episodes on the CPU and write each step.");
  play_cmd->footer(
      "  pendula play latest --episodes 3 --csv steps.csv\n"
      "  pendula play latest --agent 7\n"
      "  pendula play pendulum --agent random --csv -\n");
  play_cmd->add_option("RUN|ENV", p.target, "A run, or an environment's id")->required();
  play_cmd->add_option("--agent", p.agent,
                       "Which of the run's agents plays (0), or zero or random in its place");
  play_cmd->add_option("--episodes", p.episodes, "Episodes")
      ->capture_default_str()
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 24));
  play_cmd->add_option("--seed", p.seed, "Seed of the episodes (the run's own; 1 without a run)");
  play_cmd->add_option("--csv", p.csv, "Write one row per step to this file, - for stdout");
  play_cmd->add_option("--run-dir", p.parent, "Parent of the run directories")
      ->capture_default_str();
  play_cmd->add_flag("--json", p.json, "Print the returns as one JSON object");
  play_cmd->add_flag("--quiet", p.quiet, "Nothing but the result");
  play_cmd->callback([&] { code = run_play(p, std::cout); });

  std::vector<std::string> config_args;
  bool config_json = false, config_quiet = false;
  CLI::App* config_cmd = app.add_subcommand("config", "Look at configs.");
  config_cmd->footer(
      "  pendula config show configs/pendulum.json ddpg.gamma=0.98\n"
      "  pendula config check configs/*.json\n"
      "  pendula config diff a.json b.json\n"
      "  pendula config schema > config.schema.json\n");
  config_cmd->require_subcommand(1);
  const auto config_verb = [&](const char* name, const char* help) {
    CLI::App* verb = config_cmd->add_subcommand(name, help);
    verb->add_flag("--json", config_json, "Print one JSON object");
    verb->add_flag("--quiet", config_quiet, "No notes");
    return verb;
  };
  const auto config_verb_of_files = [&](const char* name, const char* help) {
    CLI::App* verb = config_verb(name, help);
    verb->add_option("ARGS", config_args, "Config files, and overrides path=value");
    return verb;
  };
  const auto files_and_overrides = [&](std::vector<std::string>& overrides) {
    std::vector<std::string> files;
    for (const std::string& a : config_args) (is_override(a) ? overrides : files).push_back(a);
    return files;
  };
  std::optional<int64_t> config_agent;
  CLI::App* show_cmd = config_verb_of_files("show", "Print the resolved config, every key of it");
  show_cmd->add_option("--agent", config_agent, "Print the config of this agent alone, from 0");
  show_cmd->callback([&] {
    std::string file;
    std::vector<std::string> overrides;
    split(config_args, file, overrides);
    if (file.empty()) throw Error(ExitCode::kUsage, "config show needs a CONFIG");
    code = config_show(file, overrides, config_quiet, std::cout, std::cerr, config_agent);
  });
  config_verb_of_files("check", "Check configs, all errors at once")->callback([&] {
    std::vector<std::string> overrides;
    const auto files = files_and_overrides(overrides);
    if (files.empty()) throw Error(ExitCode::kUsage, "config check needs a CONFIG");
    code = config_check(files, overrides, config_json, config_quiet, std::cout, std::cerr);
  });
  config_verb_of_files("diff", "Print the keys in which two configs differ")->callback([&] {
    if (config_args.size() != 2) throw Error(ExitCode::kUsage, "config diff needs two configs");
    code = config_diff(config_args[0], config_args[1], config_json, std::cout);
  });
  config_verb("schema", "Print the JSON Schema of a config, for editors")->callback([&] {
    std::cout << config_schema().dump(2) << '\n';
  });
  config_cmd->add_subcommand("docs", "Print docs/config.md")->group("")->callback([&] {
    std::cout << config_markdown();
  });

  bool envs_json = false;
  CLI::App* envs_cmd = app.add_subcommand("envs", "List the environments and their parameters.");
  envs_cmd->footer(
      "  pendula envs\n"
      "  pendula envs check cartpole\n"
      "  pendula envs check cartpole env.pole_mass=0.5\n");
  envs_cmd->add_flag("--json", envs_json, "Print one JSON object");
  envs_cmd->add_flag("--quiet", quiet, "Nothing but the result");
  std::vector<std::string> check_args;
  CLI::App* envs_check =
      envs_cmd->add_subcommand("check", "Put an environment through its contract (envs/README.md)");
  envs_check->footer("  pendula envs check cartpole env.pole_mass=0.5\n");
  envs_check->add_option("ID", check_args, "Environment, and overrides env.NAME=VALUE")->required();
  envs_check->add_flag("--json", envs_json, "Print one JSON object");
  envs_check->add_flag("--quiet", quiet, "Nothing but the result");
  envs_check->callback([&] {
    std::string id;
    std::vector<std::string> overrides;
    split(check_args, id, overrides);
    if (id.empty()) throw Error(ExitCode::kUsage, "envs check needs an environment's id");
    code = run_envs_check(id, overrides, envs_json, std::cout);
  });
  envs_cmd->callback([&] {
    if (envs_cmd->get_subcommands().empty()) code = run_envs(envs_json, std::cout);
  });

  std::string plan;
  std::vector<std::string> plan_overrides;
  bool doctor_json = false;
  CLI::App* doctor_cmd =
      app.add_subcommand("doctor", "Say what this binary and this machine can do.");
  doctor_cmd->footer(
      "  pendula doctor\n"
      "  pendula doctor --plan configs/pendulum.json agents=1000 plan=cluster\n");
  doctor_cmd->add_option("--plan", plan, "Config whose plan and memory to print");
  doctor_cmd->add_option("OVERRIDES", plan_overrides, "path=value");
  doctor_cmd->add_flag("--json", doctor_json, "Print one JSON object");
  doctor_cmd->add_flag("--quiet", quiet, "Nothing but the result");
  doctor_cmd->callback([&] { code = run_doctor(plan, plan_overrides, doctor_json, std::cout); });

  BenchOptions b;
  CLI::App* bench_cmd =
      app.add_subcommand("bench", "Measure this machine, and what Pendula makes of it.");
  bench_cmd->footer(
      "  pendula bench\n"
      "  pendula bench machine update --short\n"
      "  pendula bench population --filter network=2x64,agents=1|64\n"
      "  pendula bench update --filter network=2x64,batch=100 --json mine.json\n"
      "  pendula bench --compare before.json after.json\n");
  bench_cmd->add_option(
      "SUITE", b.suites,
      "machine, env, rollout, update, train, population, small-batch, race (all)");
  bench_cmd->add_option("--filter", b.filters, "Rows to measure: KEY=VALUE,KEY=VALUE|VALUE,...")
      ->allow_extra_args(false);
  bench_cmd->add_option("--json", b.json, "Write the report to this file too; - for stdout alone")
      ->check([](const std::string& name) { return name.empty() ? "it takes a file" : ""; });
  bench_cmd->add_option("--compare", b.compare, "Compare two reports; 1 where the second is slower")
      ->expected(2);
  bench_cmd->add_option("--device", b.device, "auto, cpu, cuda or cuda:N")->capture_default_str();
  bench_cmd->add_option("--simd", b.simd, "auto, sse2, avx2 or avx512: of the CPU")
      ->capture_default_str()
      ->check(CLI::IsMember({"auto", "sse2", "avx2", "avx512"}));
  bench_cmd->add_option("--threads", b.threads, "CPU threads, e.g. 1,2 (one, and all cores)")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->check(CLI::Range(1, 1024));
  bench_cmd
      ->add_option("--repeats", b.repeats,
                   "Repeats of each case (11); of the suite race the seeds (20)")
      ->check(CLI::Range(1, 1000));
  bench_cmd
      ->add_option("--seconds", b.seconds,
                   "Seconds of a repeat, at least (0.2); of the warm-up five times that, at most 1")
      ->check(CLI::Range(1e-6, 3600.0))
      ->check([](const std::string& text) {  // not a number is in every range
        return std::isfinite(std::atof(text.c_str())) ? "" : "it takes a number";
      });
  bench_cmd->add_flag("--short", b.short_form, "Fewer sizes and short repeats: about a minute");
  bench_cmd->add_flag("--tiny", b.tiny, "The smallest sizes: to test, not to measure");
  bench_cmd->add_flag("--list", b.list, "Name the rows and measure nothing");
  bench_cmd->add_flag("--quiet", b.quiet, "No progress");
  bench_cmd->callback([&] { code = run_bench(b, std::cout); });

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() != 0) {
      const bool word = argc > 1 && argv[1][0] != '-';
      const bool verb = word && is_verb(app, argv[1]);
      std::cerr << "pendula: " << (word && !verb ? unknown_verb(app, argv[1]) : error.what())
                << "\nSee `pendula " << (verb ? argv[1] + std::string(" ") : "") << "--help`.\n";
      return static_cast<int>(ExitCode::kUsage);
    }
    app.exit(error, std::cout, std::cerr);  // --help
    finish_output();
    return static_cast<int>(ExitCode::kDone);
  }
  if (version) {
    run_version(json, std::cout);
  } else if (app.get_subcommands().empty()) {
    std::cerr << app.help();
    return static_cast<int>(ExitCode::kUsage);
  }
  finish_output();
  return code;
}

}  // namespace
}  // namespace pendula

int main(int argc, char** argv) {
  pendula::occupy_closed_streams();
  pendula::warn_on_stderr();
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
