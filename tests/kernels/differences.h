// The gradients of an update against central differences of the losses that its programs report.
#pragma once

#include "tests/kernels/batch.h"

namespace pendula {

// The gradient by central differences of the loss that the program itself reports, in double. The
// error of a difference with step h is of the order h^2 + 1e-16 loss / h, about 1e-9 of these
// gradients. A relu has a kink at 0: with h = 1e-5 none of the few thousand inputs of the hidden
// units here lies that close; one that did would show as an error of 1e-3, not hide one.
template <class Runner, class Env>
void check_central_differences(Config config, bool actor) {
  constexpr double kStep = 1e-5;
  TestArena<Runner, double, Env> arena(config);
  fill_agents(arena, 2);
  const Plan& p = arena.plan;
  const auto loss = [&] {
    actor ? arena.template run<ActorGradient>(0) : arena.template run<CriticGradient>(0);
    return mean_loss(arena.agent(), 0, actor ? 2 : 0);
  };
  loss();
  const std::vector<double> got = summed_gradient(arena.agent(), actor);
  const NetworkLayout& net = actor ? p.actor : p.critic;
  std::vector<double> want(net.count, 0.0);
  for (uint32_t i = 0; i < net.count; ++i) {
    double& w = arena.agent().at(actor ? p.actor_params : p.critic_params)[i];
    const double before = w;
    const auto loss_at = [&](double x) {
      arena.agent().at(actor ? p.actor_params : p.critic_params)[i] = x;
      return loss();
    };
    want[i] = (loss_at(before + kStep) - loss_at(before - kStep)) / (2.0 * kStep);
    loss_at(before);
  }
  expect_near_norm(got.data(), want.data(), want.size(), 1e-6, 0.0, actor ? "actor" : "critic");
}

}  // namespace pendula
