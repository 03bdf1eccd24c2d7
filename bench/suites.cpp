#include "bench/suites.h"

#include <fmt/format.h>

#include "bench/training_suites.h"
#include "host/error.h"

namespace pendula {

const std::vector<std::string>& suite_names() {
  static const std::vector<std::string> names = {"machine", "env", "rollout", "update", "train"};
  return names;
}

std::vector<Case> suite_cases(const std::string& suite, const Target& target) {
  if (suite == "machine") return machine_cases(target);
  if (suite == "env") return env_cases(target);
  if (suite == "rollout") return rollout_cases(target);
  if (suite == "update") return update_cases(target);
  if (suite == "train") return train_cases(target);
  throw Error(ExitCode::kUsage, fmt::format("there is no suite \"{}\"; there are {}", suite,
                                            fmt::join(suite_names(), ", ")));
}

}  // namespace pendula
