#include "host/cmd_config.h"

#include <fmt/format.h>

#include "host/agent_values.h"
#include "host/config_check.h"
#include "host/config_io.h"
#include "host/error.h"

namespace pendula {
namespace {

using nlohmann::ordered_json;

ordered_json object_of(const ConfigProblem& problem) {
  constexpr const char* kKinds[] = {"json", "value", "relation"};
  return {{"kind", kKinds[static_cast<size_t>(problem.kind)]},
          {"place", problem.place},
          {"pointer", problem.pointer},
          {"text", problem.text}};
}

}  // namespace

int config_show(const std::string& file, const std::vector<std::string>& overrides, bool quiet,
                std::ostream& out, std::ostream& err, std::optional<int64_t> agent) {
  Config config = load_config(file, overrides);
  if (agent) {
    if (*agent < 0 || *agent >= config.agents) {
      throw Error(ExitCode::kUsage, fmt::format("--agent {}: {} has {} agents, of which the first "
                                                "is 0",
                                                *agent, file, config.agents));
    }
    config = agent_config(config, *agent);
  }
  out << to_json(config).dump(2) << '\n';
  if (!quiet) {
    for (const std::string& note : config_notes(config)) err << "note: " << note << '\n';
  }
  return static_cast<int>(ExitCode::kDone);
}

int config_check(const std::vector<std::string>& files, const std::vector<std::string>& overrides,
                 bool json, bool quiet, std::ostream& out, std::ostream& err) {
  ExitCode code = ExitCode::kDone;
  ordered_json results = ordered_json::array();
  for (const std::string& file : files) {
    ordered_json problems = ordered_json::array();
    std::vector<std::string> notes;
    try {
      notes = config_notes(load_config(file, overrides));
      if (!json && !quiet) {
        out << file << ": ok\n";
        for (const std::string& note : notes) err << file << ": note: " << note << '\n';
      }
    } catch (const Error& error) {
      if (const auto* wrong = dynamic_cast<const ConfigError*>(&error)) {
        for (const ConfigProblem& problem : wrong->problems()) {
          problems.push_back(object_of(problem));
        }
      } else {
        problems.push_back(
            {{"kind", "file"}, {"place", file}, {"pointer", ""}, {"text", error.what()}});
      }
      if (code == ExitCode::kDone) code = error.code();
      if (!json) err << error.what() << '\n';
    }
    results.push_back(
        {{"file", file}, {"ok", problems.empty()}, {"problems", problems}, {"notes", notes}});
  }
  if (json) {  // a name or a value may have bytes that are no text
    constexpr auto kReplace = ordered_json::error_handler_t::replace;
    out << ordered_json{{"files", results}}.dump(2, ' ', false, kReplace) << '\n';
  }
  return static_cast<int>(code);
}

int config_diff(const std::string& file_a, const std::string& file_b, bool json,
                std::ostream& out) {
  const std::vector<ConfigDifference> differences =
      config_differences(load_config(file_a), load_config(file_b));
  if (!json) {
    out << describe_diff(differences);
    return static_cast<int>(ExitCode::kDone);
  }
  ordered_json object = ordered_json::object();
  for (const ConfigDifference& d : differences) object[d.key] = {d.a, d.b};
  out << object.dump(2) << '\n';
  return static_cast<int>(ExitCode::kDone);
}

}  // namespace pendula
