// The verbs of the command line: what each takes, its help with examples first. Each function adds
// its verb to `app`; parsing runs it and sets `code`, the exit code. What a verb throws is an
// Error.
#pragma once

#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace pendula {

// What makes a run or takes one (host/cli_runs.cpp).
void add_train(CLI::App& app, int& code);
void add_sweep(CLI::App& app, int& code);
void add_eval(CLI::App& app, int& code);
void add_play(CLI::App& app, int& code);

// What looks at configs, environments and the machine (host/cli_info.cpp).
void add_config(CLI::App& app, int& code);
void add_envs(CLI::App& app, int& code);
void add_doctor(CLI::App& app, int& code);
void add_bench(CLI::App& app, int& code);

// Arguments of the form path=value are overrides, the others are not.
bool is_override(const std::string& arg);

// Splits CONFIG and overrides, which may come in any order. Throws Error(kUsage) for two configs.
void split(const std::vector<std::string>& args, std::string& file,
           std::vector<std::string>& overrides);

}  // namespace pendula
