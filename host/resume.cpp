#include "host/resume.h"

#include <fmt/format.h>

#include <algorithm>

#include "host/checkpoint.h"
#include "host/config_check.h"
#include "host/config_io.h"
#include "host/error.h"
#include "host/files.h"
#include "host/simd.h"

namespace pendula {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kMaxBytes = uint64_t{1} << 30;  // of a JSON file of a run

// Whether a resumed run may have another value there.
bool may_change(const std::string& key) {
  for (const char* prefix : {"result.", "eval.", "checkpoint.", "stop."}) {
    if (key.rfind(prefix, 0) == 0) return true;
  }
  for (const char* free : {"total_timesteps", "device", "precision", "simd", "plan", "result"}) {
    if (key == free) return true;
  }
  return false;
}

}  // namespace

Config resumed_config(const fs::path& run_dir, const std::string& config_file,
                      const std::vector<std::string>& overrides) {
  const std::string own = (run_dir / "config.json").string();
  const Config before = load_config(own);
  const Config after = load_config(config_file.empty() ? own : config_file, overrides);
  std::string problems;
  for (const ConfigDifference& d : config_differences(before, after)) {
    if (!may_change(d.key)) problems += "\n  " + describe_diff({d});
    while (!problems.empty() && problems.back() == '\n') problems.pop_back();
  }
  if (problems.empty()) return after;
  throw Error(
      ExitCode::kUsage,
      fmt::format(
          "a resumed run goes on as it was; only total_timesteps, device, precision, "
          "simd, plan, eval.*, checkpoint.* and stop.* may change, but {} differs in{}\nLeave "
          "these out, or start a new run from its networks with --init-from {}",
          run_dir.string(), problems, run_dir.string()));
}

std::string recorded_simd_level(const fs::path& run_dir) {
  const fs::path file = run_dir / "meta.json";
  if (!path_exists(file)) return "";
  const auto meta = nlohmann::json::parse(read_text(file, kMaxBytes), nullptr, false);
  if (!meta.is_object() || !meta.contains("simd_level")) return "";
  const nlohmann::json& level = meta["simd_level"];
  return level.is_string() ? level.get<std::string>() : "";
}

std::string resumed_simd(const std::string& simd, const fs::path& run_dir) {
  if (simd != "auto") return simd;
  const std::string level = recorded_simd_level(run_dir);
  return has_simd_level(level) ? level : simd;
}

std::string viewed_simd(const std::string& simd, const fs::path& run_dir) {
  const std::string level = resumed_simd(simd, run_dir);
  return has_simd_level(level) ? level : "auto";
}

std::optional<nlohmann::ordered_json> finished_result(const Config& config,
                                                      const ResolvedRun& run) {
  const int64_t done =
      read_manifest(locate_checkpoint(run.checkpoint)).info.value(kTimestepsKey, int64_t{0});
  const int64_t total = iterations_of(config, config.total_timesteps) * steps_per_iteration(config);
  if (done > total) {
    throw Error(ExitCode::kUsage,
                fmt::format("{} is at step {}, beyond a total_timesteps of {}; raise "
                            "total_timesteps, or name an earlier checkpoint with @STEP",
                            run.checkpoint.string(), done, config.total_timesteps));
  }
  const fs::path file = run.run_dir / "result.json";
  if (done < total || !path_exists(file)) return std::nullopt;
  auto result = nlohmann::ordered_json::parse(read_text(file, kMaxBytes), nullptr, false);
  if (!result.is_object()) return std::nullopt;
  return result;
}

}  // namespace pendula
