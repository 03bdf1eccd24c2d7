#include "host/environments.h"

#include <iterator>

#include "envs/list.h"

namespace pendula {
namespace {

template <class Env>
EnvironmentInfo describe() {
  EnvironmentInfo e;
  e.id = Env::kId;
  e.help = Env::kHelp;
  e.state_dim = Env::kStateDim;
  e.obs_dim = Env::kObsDim;
  e.action_dim = Env::kActionDim;
  e.max_episode_steps = Env::kMaxEpisodeSteps;
  e.params.assign(std::begin(Env::kParams), std::end(Env::kParams));
  const typename Env::template Params<double> defaults;
  static_assert(sizeof defaults == sizeof(double) * std::size(Env::kParams),
                "Params has one member of type T for each row of kParams");
  const double* values = reinterpret_cast<const double*>(&defaults);
  e.defaults.assign(values, values + std::size(Env::kParams));
  e.state_names.assign(std::begin(Env::kStateNames), std::end(Env::kStateNames));
  return e;
}

}  // namespace

const std::vector<EnvironmentInfo>& environments() {
  static const std::vector<EnvironmentInfo> all = {
#define PENDULA_DESCRIBE(Env) describe<Env>(),
      PENDULA_ENVIRONMENTS(PENDULA_DESCRIBE)
#undef PENDULA_DESCRIBE
  };
  return all;
}

const EnvironmentInfo* find_environment(const std::string& id) {
  for (const EnvironmentInfo& e : environments()) {
    if (e.id == id) return &e;
  }
  return nullptr;
}

}  // namespace pendula
