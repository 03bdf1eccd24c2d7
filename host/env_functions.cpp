#include "host/env_functions.h"

#include <iterator>
#include <stdexcept>

#include "envs/list.h"
#include "kernels/env_tile.h"

namespace pendula {
namespace {

template <class Env, class T>
typename Env::template Params<T> params_of(const double* values) {
  typename Env::template Params<T> params;
  T* to = reinterpret_cast<T*>(&params);
  for (size_t i = 0; i < std::size(Env::kParams); ++i) to[i] = static_cast<T>(values[i]);
  return params;
}

template <class Env, class T>
EnvFunctions<T> functions_of() {
  EnvFunctions<T> f;
  f.action_bound = [](const double* params, int d) {
    return Env::action_bound(params_of<Env, T>(params), d);
  };
  f.reset = [](const double* params, uint64_t seed, uint64_t index, uint64_t step, T* state) {
    reset_state<Env, T>(params_of<Env, T>(params), seed, Purpose::kReset, index, step, state);
  };
  f.observe = [](const double* params, const T* state, T* obs) {
    Env::observe(params_of<Env, T>(params), state, obs);
  };
  f.step = [](const double* params, const T* state, const T* action, T* next) {
    const StepResult<T> r = Env::step(params_of<Env, T>(params), state, action, next);
    return typename EnvFunctions<T>::Outcome{r.reward, r.terminated != T(0)};
  };
  return f;
}

#define PENDULA_TEXT(x) PENDULA_TEXT_OF(x)
#define PENDULA_TEXT_OF(x) #x

}  // namespace

const std::string kScalarLevel = PENDULA_TEXT(PENDULA_LEVEL);

template <class T>
EnvFunctions<T> env_functions(const std::string& id) {
#define PENDULA_TRY(Env) \
  if (id == Env::kId) return functions_of<Env, T>();
  PENDULA_ENVIRONMENTS(PENDULA_TRY)
#undef PENDULA_TRY
  throw std::logic_error("no environment " + id);
}
template EnvFunctions<float> env_functions(const std::string& id);
template EnvFunctions<double> env_functions(const std::string& id);

}  // namespace pendula
