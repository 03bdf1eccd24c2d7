#include "host/agent_values.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "host/config_table.h"
#include "host/distribution.h"

namespace pendula {
namespace {

const std::vector<KeySpec>& rows_that_may_differ() {
  static const std::vector<KeySpec> rows = [] {
    std::vector<KeySpec> all = config_keys(nullptr);
    std::erase_if(all, [](const KeySpec& key) { return !key.per_agent; });
    return all;
  }();
  return rows;
}

}  // namespace

std::vector<std::string> keys_that_may_differ() {
  std::vector<std::string> names;
  for (const KeySpec& key : rows_that_may_differ()) names.push_back(dotted(key.path));
  return names;
}

std::string one_for_all_text(const std::string& path) {
  std::string names;
  for (const std::string& name : keys_that_may_differ())
    names += (names.empty() ? "" : ", ") + name;
  return dotted(path) + " is one for all agents; only " + names + " may differ between them";
}

Config agent_config(const Config& config, int64_t agent) {
  Config own = config;
  own.agents = 1;
  own.population.pbt.interval = 0;  // there is nobody to learn from
  own.per_agent.clear();
  own.seed = config.seed + static_cast<uint64_t>(agent);
  if (config.per_agent.empty()) return own;
  for (const KeySpec& key : rows_that_may_differ()) {
    const auto found = config.per_agent.find(key.path);
    if (found == config.per_agent.end()) continue;
    if (found->second->is_null()) {  // noise.sigma_final, behind noise.sigma in the table
      key.set(own, own.noise.sigma);
    } else {
      key.set(own, value_of_agent(*found->second, config.seed, dotted(key.path), agent));
    }
  }
  return own;
}

nlohmann::ordered_json agent_values(const Config& own, const std::vector<std::string>& keys) {
  nlohmann::ordered_json values = nlohmann::ordered_json::object();
  for (const std::string& name : keys) {
    for (const KeySpec& key : rows_that_may_differ()) {
      if (dotted(key.path) == name) values[name] = key.get(own);
    }
  }
  return values;
}

std::vector<std::string> differing_keys(const Config& config) {
  std::vector<std::string> names;
  for (const KeySpec& key : rows_that_may_differ()) {
    const auto found = config.per_agent.find(key.path);
    if (found != config.per_agent.end() && !found->second->is_null()) {
      names.push_back(dotted(key.path));
    }
  }
  return names;
}

}  // namespace pendula
