// The functions of an environment one call at a time, for what looks at single steps. Compiled for
// kScalarLevel of the processor's instructions; a lane of the programs of that level has these
// bits.
#pragma once

#include <cstdint>
#include <string>

namespace pendula {

// T: float or double. params: values of kParams, in order. State, obs and action as envs/README.md
// has them; actions in the environment's units.
template <class T>
struct EnvFunctions {
  struct Outcome {
    T reward;
    bool terminated;
  };
  T (*action_bound)(const double* params, int d);
  // The first state of the episode that environment `index` starts at time step `step` of training.
  void (*reset)(const double* params, uint64_t seed, uint64_t index, uint64_t step, T* state);
  void (*observe)(const double* params, const T* state, T* obs);
  Outcome (*step)(const double* params, const T* state, const T* action, T* next);
};

extern const std::string kScalarLevel;

// Of the environment with that id; throws std::logic_error for one that there is not.
template <class T>
EnvFunctions<T> env_functions(const std::string& id);

}  // namespace pendula
