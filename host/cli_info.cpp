// The verbs that look at configs, environments and the machine.
#include <CLI/CLI.hpp>
#include <cmath>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <optional>

#include "bench/cmd_bench.h"
#include "host/cli.h"
#include "host/cmd_config.h"
#include "host/commands.h"
#include "host/config_docs.h"
#include "host/config_schema.h"
#include "host/error.h"

namespace pendula {

namespace {

struct ConfigArguments {
  std::vector<std::string> args;
  bool json = false, quiet = false;
  std::optional<int64_t> agent;
};

struct EnvsArguments {
  std::vector<std::string> args;  // of `check`
  bool json = false, quiet = false;
};

struct DoctorArguments {
  std::string plan;
  std::vector<std::string> overrides;
  bool json = false, quiet = false;
};

}  // namespace

void add_config(CLI::App& app, int& code) {
  const auto c = std::make_shared<ConfigArguments>();
  CLI::App* config_cmd = app.add_subcommand("config", "Look at configs.");
  config_cmd->footer(
      "  pendula config show configs/pendulum.json ddpg.gamma=0.98\n"
      "  pendula config check configs/*.json\n"
      "  pendula config diff a.json b.json\n"
      "  pendula config schema > config.schema.json\n");
  config_cmd->require_subcommand(1);
  const auto config_verb = [&](const char* name, const char* help) {
    CLI::App* verb = config_cmd->add_subcommand(name, help);
    verb->add_flag("--json", c->json, "Print one JSON object");
    verb->add_flag("--quiet", c->quiet, "No notes");
    return verb;
  };
  const auto config_verb_of_files = [&](const char* name, const char* help) {
    CLI::App* verb = config_verb(name, help);
    verb->add_option("ARGS", c->args, "Config files, and overrides path=value");
    return verb;
  };
  CLI::App* show_cmd = config_verb_of_files("show", "Print the resolved config, every key of it");
  show_cmd->add_option("--agent", c->agent, "Print the config of this agent alone, from 0");
  show_cmd->callback([c, &code] {
    std::string file;
    std::vector<std::string> overrides;
    split(c->args, file, overrides);
    if (file.empty()) throw Error(ExitCode::kUsage, "config show needs a CONFIG");
    code = config_show(file, overrides, c->quiet, std::cout, std::cerr, c->agent);
  });
  config_verb_of_files("check", "Check configs, all errors at once")->callback([c, &code] {
    std::vector<std::string> files, overrides;
    for (const std::string& a : c->args) (is_override(a) ? overrides : files).push_back(a);
    if (files.empty()) throw Error(ExitCode::kUsage, "config check needs a CONFIG");
    code = config_check(files, overrides, c->json, c->quiet, std::cout, std::cerr);
  });
  config_verb_of_files("diff", "Print the keys in which two configs differ")->callback([c, &code] {
    if (c->args.size() != 2) throw Error(ExitCode::kUsage, "config diff needs two configs");
    code = config_diff(c->args[0], c->args[1], c->json, std::cout);
  });
  config_verb("schema", "Print the JSON Schema of a config, for editors")->callback([] {
    std::cout << config_schema().dump(2) << '\n';
  });
  config_cmd->add_subcommand("docs", "Print docs/config.md")->group("")->callback([] {
    std::cout << config_markdown();
  });
}

void add_envs(CLI::App& app, int& code) {
  const auto v = std::make_shared<EnvsArguments>();
  CLI::App* envs_cmd = app.add_subcommand("envs", "List the environments and their parameters.");
  envs_cmd->footer(
      "  pendula envs\n"
      "  pendula envs check cartpole\n"
      "  pendula envs check cartpole env.pole_mass=0.5\n");
  envs_cmd->add_flag("--json", v->json, "Print one JSON object");
  envs_cmd->add_flag("--quiet", v->quiet, "Nothing but the result");
  CLI::App* envs_check =
      envs_cmd->add_subcommand("check", "Put an environment through its contract (envs/README.md)");
  envs_check->footer("  pendula envs check cartpole env.pole_mass=0.5\n");
  envs_check->add_option("ID", v->args, "Environment, and overrides env.NAME=VALUE")->required();
  envs_check->add_flag("--json", v->json, "Print one JSON object");
  envs_check->add_flag("--quiet", v->quiet, "Nothing but the result");
  envs_check->callback([v, &code] {
    std::string id;
    std::vector<std::string> overrides;
    split(v->args, id, overrides);
    if (id.empty()) throw Error(ExitCode::kUsage, "envs check needs an environment's id");
    code = run_envs_check(id, overrides, v->json, std::cout);
  });
  envs_cmd->callback([v, envs_cmd, &code] {
    if (envs_cmd->get_subcommands().empty()) code = run_envs(v->json, std::cout);
  });
}

void add_doctor(CLI::App& app, int& code) {
  const auto d = std::make_shared<DoctorArguments>();
  CLI::App* doctor_cmd =
      app.add_subcommand("doctor", "Say what this binary and this machine can do.");
  doctor_cmd->footer(
      "  pendula doctor\n"
      "  pendula doctor --plan configs/pendulum.json agents=1000 plan=cluster\n");
  doctor_cmd->add_option("--plan", d->plan, "Config whose plan and memory to print");
  doctor_cmd->add_option("OVERRIDES", d->overrides, "path=value");
  doctor_cmd->add_flag("--json", d->json, "Print one JSON object");
  doctor_cmd->add_flag("--quiet", d->quiet, "Nothing but the result");
  doctor_cmd->callback(
      [d, &code] { code = run_doctor(d->plan, d->overrides, d->json, std::cout); });
}

void add_bench(CLI::App& app, int& code) {
  const auto b = std::make_shared<BenchOptions>();
  CLI::App* bench_cmd =
      app.add_subcommand("bench", "Measure this machine, and what Pendula makes of it.");
  bench_cmd->footer(
      "  pendula bench\n"
      "  pendula bench machine update --short\n"
      "  pendula bench population --filter network=2x64,agents=1|64\n"
      "  pendula bench update --filter network=2x64,batch=100 --json mine.json\n"
      "  pendula bench --compare before.json after.json\n");
  bench_cmd->add_option(
      "SUITE", b->suites,
      "machine, env, rollout, update, train, population, small-batch, race (all)");
  bench_cmd->add_option("--filter", b->filters, "Rows to measure: KEY=VALUE,KEY=VALUE|VALUE,...")
      ->allow_extra_args(false);
  bench_cmd->add_option("--json", b->json, "Write the report to this file too; - for stdout alone")
      ->check([](const std::string& name) { return name.empty() ? "it takes a file" : ""; });
  bench_cmd
      ->add_option("--compare", b->compare, "Compare two reports; 1 where the second is slower")
      ->expected(2);
  bench_cmd->add_option("--device", b->device, "auto, cpu, cuda or cuda:N")->capture_default_str();
  bench_cmd->add_option("--simd", b->simd, "auto, sse2, avx2 or avx512: of the CPU")
      ->capture_default_str()
      ->check(CLI::IsMember({"auto", "sse2", "avx2", "avx512"}));
  bench_cmd->add_option("--threads", b->threads, "CPU threads, e.g. 1,2 (one, and all cores)")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->check(CLI::Range(1, 1024));
  bench_cmd
      ->add_option("--repeats", b->repeats,
                   "Repeats of each case (11); of the suite race the seeds (20)")
      ->check(CLI::Range(1, 1000));
  bench_cmd
      ->add_option("--seconds", b->seconds,
                   "Seconds of a repeat, at least (0.2); of the warm-up five times that, at most 1")
      ->check(CLI::Range(1e-6, 3600.0))
      ->check([](const std::string& text) {  // not a number is in every range
        return std::isfinite(std::atof(text.c_str())) ? "" : "it takes a number";
      });
  bench_cmd->add_flag("--short", b->short_form, "Fewer sizes and short repeats: about a minute");
  bench_cmd->add_flag("--tiny", b->tiny, "The smallest sizes: to test, not to measure");
  bench_cmd->add_flag("--list", b->list, "Name the rows and measure nothing");
  bench_cmd->add_flag("--quiet", b->quiet, "No progress");
  bench_cmd->callback([b, &code] { code = run_bench(*b, std::cout); });
}

}  // namespace pendula
