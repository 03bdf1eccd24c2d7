// A typed test's case: a runner and an environment.
#pragma once

#include <algorithm>
#include <string>

#include "envs/list.h"
#include "tests/kernels/point_env.h"

namespace pendula {

template <class R, class E>
struct Case {
  using Runner = R;
  using Env = E;
};
struct CaseNames {
  template <class C>
  static std::string GetName(int) {
    std::string id = C::Env::kId;
    std::replace(id.begin(), id.end(), '-', '_');
    return std::string(C::Runner::kName) + "_" + id;
  }
};
// As many cases as environments, of one runner.
#define PENDULA_CASES(Runner) \
  Case<Runner, Pendulum>, Case<Runner, CartPole>, Case<Runner, CartPoleSwingup>, Case<Runner, Point>

}  // namespace pendula
