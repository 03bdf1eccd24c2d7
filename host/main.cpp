// The command line: its frame, the answer to words that are no verb, the exit code of what is
// thrown.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <iostream>
#include <new>

#include "host/cli.h"
#include "host/commands.h"
#include "host/error.h"
#include "host/standard_streams.h"
#include "host/suggest.h"

namespace pendula {
namespace {

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

  for (const auto add :
       {add_train, add_sweep, add_eval, add_play, add_config, add_envs, add_doctor, add_bench}) {
    add(app, code);
  }

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
