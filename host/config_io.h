// Configs from and to JSON: defaults, then the file, then `path=value` overrides.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "host/config.h"
#include "host/config_value.h"
#include "host/error.h"

namespace pendula {

// What is wrong with a config. Its message has a line of each problem, of at most 50.
class ConfigError : public Error {
 public:
  explicit ConfigError(std::vector<ConfigProblem> problems);
  const std::vector<ConfigProblem>& problems() const { return problems_; }

 private:
  std::vector<ConfigProblem> problems_;
};

// Reads the file at `path` and applies the overrides, of which the last wins. The result is
// resolved: env.params and env.max_episode_steps are filled in.
//
// Throws Error with ExitCode::kFiles where the file cannot be read, and ConfigError with
// ExitCode::kUsage where the config is wrong: one line per problem, all of them at once, each with
// file:line:column (or the override), JSON pointer, value and what is allowed.
Config load_config(const std::string& path, const std::vector<std::string>& overrides = {});

// The same from text; `file_name` stands in the messages.
Config parse_config(const std::string& text, const std::string& file_name,
                    const std::vector<std::string>& overrides = {});

// Every key with its value, in the order of the table; without a noise.sigma_final that follows a
// noise.sigma of each agent. parse_config of it gives an equal config.
nlohmann::ordered_json to_json(const Config& config);

// A key whose value differs between two configs. Where one's environment lacks the key, in_a or
// in_b is false and its value null.
struct ConfigDifference {
  std::string key;  // "ddpg.gamma"
  nlohmann::json a, b;
  bool in_a, in_b;
};

// Empty for equal configs. In the order of the table.
std::vector<ConfigDifference> config_differences(const Config& a, const Config& b);

// One line "ddpg.gamma: 0.99 -> 0.98" each, "(none)" where one side does not know the key.
std::string describe_diff(const std::vector<ConfigDifference>& differences);

}  // namespace pendula
