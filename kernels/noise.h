// What the behaviour policy adds to the actor: Gaussian noise in units of the action bound, its
// sigma going linearly from sigma to sigma_final over decay_steps absolute steps; uniformly random
// actions with probability epsilon, and during warm-up.
#pragma once

#include "kernels/philox.h"
#include "kernels/plan.h"

namespace pendula::inline PENDULA_LEVEL {

// sigma once `steps` environment steps (summed over the environments) have been taken.
PENDULA_FN double sigma_at(const AgentHyper& h, uint64_t steps) {
  if (steps >= h.decay_steps) return h.sigma_final;
  const double part = static_cast<double>(steps) / static_cast<double>(h.decay_steps);
  return h.sigma + (h.sigma_final - h.sigma) * part;
}

// Word `step` % 4 of the four uniform numbers that a call gives to four steps.
PENDULA_FN uint32_t step_word(uint64_t seed, Purpose purpose, uint32_t dim, uint64_t env,
                              uint64_t step) {
  return word(random(seed, purpose, dim, env, step / 4), static_cast<uint32_t>(step & 3));
}

// The action that environment `env` takes at its time step `step`, dimension `dim`, in [-1, 1].
// mu: the actor's; not read during warm-up.
template <class T>
PENDULA_FN T behaviour_action(const AgentHyper& h, T mu, T sigma, bool warmup, uint32_t dim,
                              uint64_t env, uint64_t step) {
  bool uniformly = warmup;
  if (!warmup && h.epsilon > 0.0) {
    const uint32_t w = step_word(h.seed, Purpose::kEpsilon, 0, env, step);
    uniformly = uniform01<double>(w) < h.epsilon;
  }
  if (uniformly) {
    return uniform<T>(step_word(h.seed, Purpose::kRandomAction, dim, env, step), T(-1), T(1));
  }
  const Uint4 r = random(h.seed, Purpose::kNoise, dim, env, step / 4);
  return clamp(fma(sigma, gaussian<T>(r, static_cast<uint32_t>(step & 3)), mu), T(-1), T(1));
}

}  // namespace pendula::inline PENDULA_LEVEL
