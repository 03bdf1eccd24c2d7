// `pendula envs`, `doctor` and `--version`: what there is.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <thread>

#include "host/commands.h"
#include "host/config_io.h"
#include "host/cuda_loader.h"
#include "host/env_check.h"
#include "host/environments.h"
#include "host/error.h"
#include "host/plan_report.h"
#include "host/simd.h"
#include "host/suggest.h"
#include "host/version.h"

namespace pendula {
namespace {

using nlohmann::ordered_json;

std::string simd_text() {
  return fmt::format("compiled for {}, this processor gets {}", fmt::join(simd_levels(), " "),
                     choose_simd_level("auto"));
}

}  // namespace

int run_envs(bool json, std::ostream& out) {
  ordered_json all = ordered_json::array();
  for (const EnvironmentInfo& e : environments()) {
    ordered_json params = ordered_json::object();
    for (size_t i = 0; i < e.params.size(); ++i) {
      params[e.params[i].name] = ordered_json{{"default", e.defaults[i]},
                                              {"min", e.params[i].min},
                                              {"max", e.params[i].max},
                                              {"unit", e.params[i].unit},
                                              {"help", e.params[i].help}};
    }
    all.push_back({{"id", e.id},
                   {"help", e.help},
                   {"state", e.state_names},
                   {"obs_dim", e.obs_dim},
                   {"action_dim", e.action_dim},
                   {"max_episode_steps", e.max_episode_steps},
                   {"params", params}});
    if (json) continue;
    out << fmt::format("{}: {}\n  {} state variables, {} observations, {} actions, {} steps\n",
                       e.id, e.help, e.state_dim, e.obs_dim, e.action_dim, e.max_episode_steps);
    for (size_t i = 0; i < e.params.size(); ++i) {
      out << fmt::format("  env.{:<12} {:g} {} ({})\n", e.params[i].name, e.defaults[i],
                         e.params[i].unit, e.params[i].help);
    }
  }
  if (json) out << ordered_json{{"environments", all}}.dump(2) << '\n';
  return 0;
}

int run_envs_check(const std::string& id, const std::vector<std::string>& overrides, bool json,
                   std::ostream& out) {
  if (find_environment(id) == nullptr) {
    std::vector<std::string> ids;
    for (const EnvironmentInfo& e : environments()) ids.push_back(e.id);
    throw Error(ExitCode::kUsage, fmt::format("there is no environment \"{}\"{}; there are {}", id,
                                              did_you_mean(nearest(id, ids, plausible_edits(id))),
                                              fmt::join(ids, ", ")));
  }
  for (const std::string& text : overrides) {
    const std::string key = text.substr(0, text.find('='));
    if (key.rfind("env.", 0) == 0 && key != "env.num_envs" && key != "env.max_episode_steps" &&
        key != "env.id") {
      continue;
    }
    throw Error(ExitCode::kUsage,
                "envs check takes the environment's parameters, as env.NAME=VALUE; "
                "it has no use for \"" +
                    text + "\"");
  }
  const Config config =
      parse_config(ordered_json{{"env", {{"id", id}}}}.dump(), "envs check", overrides);
  const std::vector<ContractPoint> points = check_contract(config);
  const char* const verdicts[] = {"holds", "broken", "not checked"};
  ordered_json all = ordered_json::array();
  bool ok = true;
  for (const ContractPoint& point : points) {
    const char* verdict = verdicts[static_cast<int>(point.verdict)];
    ok = ok && point.verdict != ContractPoint::Verdict::kBroken;
    all.push_back({{"point", point.name}, {"verdict", verdict}, {"detail", point.detail}});
    if (!json) out << fmt::format("{:<12} {}: {}\n", verdict, point.name, point.detail);
  }
  if (json) out << ordered_json{{"id", id}, {"ok", ok}, {"points", all}}.dump(2) << '\n';
  return ok ? 0 : 1;
}

int run_doctor(const std::string& config_file, const std::vector<std::string>& overrides, bool json,
               std::ostream& out) {
  const VersionInfo& v = version_info();
  const CudaProbe cuda = probe_cuda();
  ordered_json j;
  j["version"] = v.version;
  j["commit"] = v.commit;
  j["compiler"] = v.compiler;
  j["flags"] = v.flags;
  j["cpu"] = ordered_json{{"simd_level", choose_simd_level("auto")},
                          {"simd_levels", simd_levels()},
                          {"cores", std::thread::hardware_concurrency()}};
  j["cuda"] = ordered_json{
      {"available", cuda.available}, {"says", cuda.sentence}, {"devices", cuda.devices}};
  j["device"] = cuda.available ? "cuda" : "cpu";
  if (!config_file.empty()) j["plan"] = plan_report(load_config(config_file, overrides), cuda);
  if (json) {
    out << j.dump(2) << '\n';
    return 0;
  }
  out << fmt::format("pendula {} ({}), {}, {}\n", v.version, v.commit, v.compiler, v.flags);
  out << fmt::format("CPU: {} cores; {}\n", std::thread::hardware_concurrency(), simd_text());
  out << "CUDA: " << cuda.sentence << '\n';
  for (const std::string& d : cuda.devices) out << "  " << d << '\n';
  out << "\"device\": \"auto\" means " << j["device"].get<std::string>() << " here\n";
  if (j.contains("plan")) print_plan_report(j["plan"], config_file, out);
  return 0;
}

int run_version(bool json, std::ostream& out) {
  const VersionInfo& v = version_info();
  if (json) {
    out << ordered_json{{"version", v.version},
                        {"commit", v.commit},
                        {"compiler", v.compiler},
                        {"flags", v.flags},
                        {"simd_level", choose_simd_level("auto")},
                        {"simd_levels", simd_levels()}}
               .dump(2)
        << '\n';
  } else {
    out << fmt::format("pendula {} ({}), {}, {}, {}\n", v.version, v.commit, v.compiler, v.flags,
                       simd_text());
  }
  return 0;
}

}  // namespace pendula
