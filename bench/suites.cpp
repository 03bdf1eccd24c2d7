#include "bench/suites.h"

#include <fmt/format.h>

#include "bench/population_suites.h"
#include "bench/race_suite.h"
#include "bench/training_suites.h"
#include "host/error.h"
#include "host/suggest.h"

namespace pendula {

const std::vector<std::string>& suite_names() {
  static const std::vector<std::string> names = {"machine", "env",        "rollout",     "update",
                                                 "train",   "population", "small-batch", "race"};
  return names;
}

std::string unknown_suite(const std::string& word) {
  const auto near = nearest(word, suite_names(), plausible_edits(word));
  return fmt::format("there is no suite \"{}\"{}; there are {}", word, did_you_mean(near),
                     fmt::join(suite_names(), ", "));
}

std::vector<Case> suite_cases(const std::string& suite, const Target& target) {
  if (suite == "machine") return machine_cases(target);
  if (suite == "env") return env_cases(target);
  if (suite == "rollout") return rollout_cases(target);
  if (suite == "update") return update_cases(target);
  if (suite == "train") return train_cases(target);
  if (suite == "population") return population_cases(target);
  if (suite == "small-batch") return small_batch_cases(target);
  if (suite == "race") return race_cases(target);
  throw Error(ExitCode::kUsage, unknown_suite(suite));
}

}  // namespace pendula
