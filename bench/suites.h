// The suites: the cases that each of them measures on one device, with their keys and limits,
// before any of them runs.
#pragma once

#include <string>
#include <vector>

#include "bench/case.h"

namespace pendula {

enum class Sizes { kFull, kShort, kTiny };  // kTiny: for tests and simulators, no measurement

struct Target {
  std::string backend = "cpu";     // "cpu" or "cuda"
  int device = 0;                  // of CUDA
  std::string simd = "sse2";       // of the CPU: one of simd_levels()
  std::vector<int> threads = {1};  // of the CPU: one row each
  Sizes sizes = Sizes::kFull;
};

// "machine", "env", "rollout", "update", "train", "population", "small-batch", "race": the order of
// the report.
const std::vector<std::string>& suite_names();

// The answer to a word that is no suite.
std::string unknown_suite(const std::string& word);

// The cases of one suite. Throws Error(kUsage) for an unknown name and Error(kDevice) where the
// device cannot be had.
std::vector<Case> suite_cases(const std::string& suite, const Target& target);

// The suite `machine`: what the machine can do (bench/cpu_probes.h, bench/cuda/probes.h).
std::vector<Case> machine_cases(const Target& target);

}  // namespace pendula
