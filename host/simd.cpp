#include "host/simd.h"

#include <fmt/format.h>

#include "host/error.h"

namespace pendula {
namespace {

bool processor_has(const std::string& level) {
#if defined(__x86_64__)
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  if (level == "avx2") return avx2;
  if (level == "avx512") {
    return avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw");
  }
#endif
  return level == simd_levels().front();
}

}  // namespace

const std::vector<std::string>& simd_levels() {
  static const std::vector<std::string> levels = {
#define PENDULA_LEVEL_TEXT(level, argument) #level,
      PENDULA_LEVELS(PENDULA_LEVEL_TEXT, )
#undef PENDULA_LEVEL_TEXT
  };
  return levels;
}

bool has_simd_level(const std::string& level) {
  for (const std::string& known : simd_levels()) {
    if (level == known) return processor_has(level);
  }
  return false;
}

std::string choose_simd_level(const std::string& simd) {
  std::string best;
  for (const std::string& level : simd_levels()) {
    if (has_simd_level(level)) best = level;
  }
  if (simd == "auto") return best;
  if (has_simd_level(simd)) return simd;
  throw Error(ExitCode::kDevice,
              fmt::format("\"simd\": \"{}\" needs instructions that this processor does not have; "
                          "say \"auto\", which means \"{}\" here",
                          simd, best));
}

}  // namespace pendula
