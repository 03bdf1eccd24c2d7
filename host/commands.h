// The verbs of the command line besides `train` and `config`, with the arguments already parsed.
// Results go to `out`, narration to stderr. Each returns the exit code and throws Error.
#pragma once

#include <filesystem>
#include <optional>
#include <ostream>
#include <string>
#include <vector>

namespace pendula {

struct EvalOptions {
  std::string run;
  std::filesystem::path parent = "runs";
  int64_t episodes = 0;  // 0: eval.final_episodes of the run's config
  std::string device;    // empty: the run's config
  int threads = 0;
  bool json = false;
  bool quiet = false;  // nothing but the result: as without it
};
int run_eval(const EvalOptions& options, std::ostream& out);

struct PlayOptions {
  std::string target;  // RUN or an environment's id
  std::filesystem::path parent = "runs";
  std::string agent;  // "zero", "random", or the number of one of the run's agents; "": agent 0
  int64_t episodes = 1;
  std::optional<uint64_t> seed;  // of the episodes; empty: the run's own, 1 without a run
  std::string csv;               // file, "-" for stdout, empty: none
  bool json = false;
  bool quiet = false;
};
int run_play(const PlayOptions& options, std::ostream& out);

int run_envs(bool json, std::ostream& out);

// Puts the environment `id` through its contract (host/env_check.h), with overrides
// "env.NAME=VALUE". Gives 1 where a point of it is broken.
int run_envs_check(const std::string& id, const std::vector<std::string>& overrides, bool json,
                   std::ostream& out);

// config: a file to plan for, or empty.
int run_doctor(const std::string& config, const std::vector<std::string>& overrides, bool json,
               std::ostream& out);

int run_version(bool json, std::ostream& out);

}  // namespace pendula
