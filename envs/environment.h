// What an environment is: see envs/README.md for the contract and an example.
#pragma once

#include "kernels/math.h"

namespace pendula {

// One parameter of an environment: a key of "env" in the config. Params<T> has the parameters as
// members of type T, defaults at the members, in the order of the environment's kParams.
struct EnvParam {
  const char* name;
  double min, max;  // allowed range, both ends included
  const char* unit;
  const char* help;
};

// What one step gives. `terminated` is 1 where the episode ended by itself, else 0; the time limit
// (truncation) is not the environment's business.
template <class R>
struct StepResult {
  R reward;
  R terminated;
};

}  // namespace pendula
