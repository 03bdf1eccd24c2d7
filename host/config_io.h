// Configs from and to JSON: defaults, then the file, then `path=value` overrides.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "host/config.h"

namespace pendula {

// Reads the file at `path` and applies the overrides, of which the last wins. The result is
// resolved: env.params and env.max_episode_steps are filled in.
//
// Throws Error with ExitCode::kFiles where the file cannot be read, and with ExitCode::kUsage where
// the config is wrong: one line per problem, all of them at once, each with file:line:column (or
// the override), JSON pointer, value and what is allowed.
Config load_config(const std::string& path, const std::vector<std::string>& overrides = {});

// The same from text; `file_name` stands in the messages.
Config parse_config(const std::string& text, const std::string& file_name,
                    const std::vector<std::string>& overrides = {});

// Every key with its value, in the order of the table. parse_config of it gives an equal config.
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
