#include "host/config_io.h"

#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>

#include "host/agent_values.h"
#include "host/config_check.h"
#include "host/config_override.h"
#include "host/config_table.h"
#include "host/config_value.h"
#include "host/error.h"
#include "host/json_reader.h"
#include "host/unknown_key.h"

namespace pendula {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

// Reads a tree into a config and gathers what is wrong.
class Reader {
 public:
  explicit Reader(const std::string& file_name) : file_name_(file_name) {}

  std::vector<ConfigProblem> problems;

  Config read(const JsonValue& root) {
    if (root.kind != JsonValue::Kind::kObject) {
      problems.push_back({root.place, "", shown(root) + " is no config; a config is an object {}"});
      return {};
    }
    Config config;
    const EnvironmentInfo* env = environment_of(root, config);
    keys_ = env != nullptr ? config_keys(env) : keys_of_all_environments();
    keys_.push_back(schema_key());
    if (env != nullptr) {
      env_id_ = env->id;
      fill_in(*env, config);
    }
    walk(root, "", config);
    // Without a decay there is one sigma: the file need not give it twice.
    if (!places_.contains("/noise/sigma_final")) follow_sigma(config);
    const auto seeds = config.per_agent.find("/seed");
    if (seeds != config.per_agent.end() && seeds->second->is_array() && !seeds->second->empty()) {
      config.seed = seeds->second->front().get<uint64_t>();
    }
    if (check_relations(config) && !config.per_agent.empty()) {
      const Config first = agent_config(config, 0);
      config.ddpg = first.ddpg;
      config.optimizer = first.optimizer;
      config.noise = first.noise;
    }
    return config;
  }

 private:
  // The environment decides which keys there are, so its id is looked up before all else. nullptr:
  // the id is wrong; walk() will say so.
  static const EnvironmentInfo* environment_of(const JsonValue& root, const Config& defaults) {
    std::string id = defaults.env.id;
    for (const JsonMember& section : root.members) {
      if (section.key != "env") continue;
      for (const JsonMember& member : section.value.members) {
        if (member.key != "id") continue;
        if (!member.value.scalar.is_string()) return nullptr;
        id = member.value.scalar.get<std::string>();
      }
    }
    return find_environment(id);
  }

  // With a wrong env.id, the parameters of every environment pass, whatever their values: the one
  // mistake should not bring a line for each of them.
  static std::vector<KeySpec> keys_of_all_environments() {
    std::vector<KeySpec> keys = config_keys(nullptr);
    for (const EnvironmentInfo& env : environments()) {
      for (KeySpec& key : config_keys(&env)) {
        if (find_key(keys, key.path) != nullptr) continue;
        key.range = Range{};
        keys.push_back(std::move(key));
      }
    }
    return keys;
  }

  static void fill_in(const EnvironmentInfo& env, Config& config) {
    config.env.max_episode_steps = env.max_episode_steps;
    for (size_t i = 0; i < env.params.size(); ++i) {
      config.env.params[env.params[i].name] = env.defaults[i];
    }
  }

  static void follow_sigma(Config& config) {
    if (config.per_agent.contains("/noise/sigma")) {
      config.per_agent["/noise/sigma_final"] = std::make_shared<const json>(nullptr);
    } else {
      config.noise.sigma_final = config.noise.sigma;
    }
  }

  void walk(const JsonValue& object, const std::string& prefix, Config& config) {
    for (const JsonMember& member : object.members) {
      const std::string path = prefix + "/" + member.key;
      const bool one_name = member.key.find('/') == std::string::npos;
      const KeySpec* key = one_name ? find_key(keys_, path) : nullptr;
      if (key != nullptr) {
        places_[path] = member.value.place;
        const auto value = checked_value(*key, member.value, problems);
        if (value) {
          key->set(config, *value);
        } else {
          failed_.insert(path);
        }
      } else if (one_name && is_section(keys_, path)) {
        if (member.value.kind == JsonValue::Kind::kObject) {
          walk(member.value, path, config);
        } else {
          problems.push_back({member.value.place, path,
                              shown(member.value) +
                                  " is the wrong type; allowed: an object with the keys of " +
                                  dotted(path)});
        }
      } else {
        problems.push_back({member.place, json_pointer(prefix, member.key),
                            unknown_key_text(keys_, prefix, member.key, env_id_)});
      }
    }
  }

  // A relation between values of which one is wrong says nothing. True where all of them hold.
  bool check_relations(const Config& config) {
    const std::vector<RelationProblem> all = broken_relations(config);
    for (const RelationProblem& broken : all) {
      std::string place = file_name_;
      std::string path = broken.paths.front();
      bool known = true;
      for (const std::string& p : broken.paths) known = known && !failed_.contains(p);
      if (!known) continue;
      for (const std::string& p : broken.paths) {
        const auto found = places_.find(p);
        if (found == places_.end()) continue;  // the default: nothing to point at
        path = p;
        place = found->second;
        break;
      }
      problems.push_back({place, path, broken.text, ConfigProblem::Kind::kRelation});
    }
    return all.empty();
  }

  const std::string& file_name_;
  std::string env_id_;  // of the config's environment, if it is known
  std::vector<KeySpec> keys_;
  std::map<std::string, std::string> places_;  // of the values that file and overrides give
  std::set<std::string> failed_;
};

std::string lines_of(const std::vector<ConfigProblem>& problems) {
  constexpr size_t kMaxLines = 50;
  std::string text;
  for (size_t i = 0; i < problems.size() && i < kMaxLines; ++i) {
    text += (i > 0 ? "\n" : "") + problems[i].line();
  }
  if (problems.size() > kMaxLines) {
    text += "\n... and " + std::to_string(problems.size() - kMaxLines) + " more problems";
  }
  return text;
}

void throw_if_any(std::vector<ConfigProblem>& problems) {
  if (!problems.empty()) throw ConfigError(std::move(problems));
}

std::string read_file(const std::string& path) {
  namespace fs = std::filesystem;
  constexpr size_t kMaxBytes = 16 << 20;  // a config has kilobytes; /dev/zero has no end
  std::error_code ignored;
  const fs::file_status status = fs::status(path, ignored);
  if (!fs::exists(status)) {
    std::string text = path + ": no such file";
    for (const std::string& other :
         {path + ".json", "configs/" + path, "configs/" + path + ".json"}) {
      if (fs::is_regular_file(other, ignored)) {
        text += "; did you mean " + other + "?";
        break;
      }
    }
    throw Error(ExitCode::kFiles, text);
  }
  if (fs::is_directory(status)) {
    throw Error(ExitCode::kFiles, path + ": a directory; name a config file in it");
  }
  std::ifstream file(path, std::ios::binary);
  if (!file) throw Error(ExitCode::kFiles, path + ": cannot be opened; check its permissions");
  std::string text;
  for (char block[1 << 14]; file && text.size() <= kMaxBytes;) {
    file.read(block, sizeof block);
    text.append(block, static_cast<size_t>(file.gcount()));
  }
  if (file.bad()) throw Error(ExitCode::kFiles, path + ": cannot be read");
  if (text.size() > kMaxBytes) {
    throw Error(ExitCode::kFiles, path + ": larger than 16 MiB; this is no config");
  }
  return text;
}

}  // namespace

ConfigError::ConfigError(std::vector<ConfigProblem> problems)
    : Error(ExitCode::kUsage, lines_of(problems)), problems_(std::move(problems)) {}

Config load_config(const std::string& path, const std::vector<std::string>& overrides) {
  return parse_config(read_file(path), path, overrides);
}

Config parse_config(const std::string& text, const std::string& file_name,
                    const std::vector<std::string>& overrides) {
  Reader reader(file_name);
  JsonDocument document = read_json(text, file_name);
  for (const JsonProblem& problem : document.problems) {
    reader.problems.push_back({problem.place, "", problem.text, ConfigProblem::Kind::kJson});
  }
  if (!document
           .complete) {  // half a tree: only what the overrides themselves show is worth telling
    document.root = {};
    document.root.kind = JsonValue::Kind::kObject;
  }
  apply_overrides(overrides, document.root, reader.problems);
  if (!document.complete) throw_if_any(reader.problems);
  Config config = reader.read(document.root);
  throw_if_any(reader.problems);
  return config;
}

ordered_json to_json(const Config& config) {
  ordered_json out = ordered_json::object();
  for (const KeySpec& key : config_keys(find_environment(config.env.id))) {
    const json value = key.get(config);
    // A sigma_final that follows a sigma of each agent: left out, it is read as that again.
    if (value.is_null() && !key.nullable) continue;
    out[ordered_json::json_pointer(key.path)] = value;
  }
  return out;
}

std::vector<ConfigDifference> config_differences(const Config& a, const Config& b) {
  const std::vector<KeySpec> keys_of_a = config_keys(find_environment(a.env.id));
  const std::vector<KeySpec> keys_of_b = config_keys(find_environment(b.env.id));
  std::vector<ConfigDifference> differences;
  for (const KeySpec& key : keys_of_a) {
    const json value_a = key.get(a);
    const bool in_b = find_key(keys_of_b, key.path) != nullptr;
    const json value_b = in_b ? key.get(b) : json();
    if (!in_b || value_a != value_b) {
      differences.push_back({dotted(key.path), value_a, value_b, true, in_b});
    }
  }
  for (const KeySpec& key : keys_of_b) {
    if (find_key(keys_of_a, key.path) != nullptr) continue;
    differences.push_back({dotted(key.path), json(), key.get(b), false, true});
  }
  return differences;
}

std::string describe_diff(const std::vector<ConfigDifference>& differences) {
  std::ostringstream lines;
  for (const ConfigDifference& d : differences) {
    lines << d.key << ": " << (d.in_a ? d.a.dump() : "(none)") << " -> "
          << (d.in_b ? d.b.dump() : "(none)") << '\n';
  }
  return lines.str();
}

}  // namespace pendula
