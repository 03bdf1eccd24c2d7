// What the behaviour policy adds to the actor, in units of the action bound:
//
//   gaussian   sigma eps
//   ou         nu <- (1 - ou_theta ou_dt) nu + sigma sqrt(ou_dt) eps on every step, from 0 on in
//              each episode (Uhlenbeck and Ornstein 1930; Lillicrap et al. 2015)
//
// with eps standard normal. sigma goes linearly from sigma to sigma_final over decay_steps absolute
// steps; that of environment e of N is 1 + (sigma_ladder - 1) e / (N - 1) times as large (mixed
// exploration, Li et al. 2023). Uniformly random actions with probability epsilon, and during
// warm-up.
#pragma once

#include "kernels/philox.h"
#include "kernels/plan.h"

namespace PENDULA_PROGRAMS {

// sigma once `steps` environment steps (summed over the environments) have been taken.
PENDULA_FN double sigma_at(const AgentHyper& h, uint64_t steps) {
  if (steps >= h.decay_steps) return h.sigma_final;
  const double part = static_cast<double>(steps) / static_cast<double>(h.decay_steps);
  return h.sigma + (h.sigma_final - h.sigma) * part;
}

inline constexpr int kNoiseSteps = 4;  // that one call of Philox has numbers for

// Word `step` % 4 of a call.
PENDULA_FN uint32_t step_word(uint64_t seed, Purpose purpose, uint32_t dim, uint64_t env,
                              uint64_t step) {
  return word(random(seed, purpose, dim, env, step / kNoiseSteps),
              static_cast<uint32_t>(step % kNoiseSteps));
}

// Random numbers of a tile of environments for all time steps t with the same t / kNoiseSteps; what
// is for step t lies at t % kNoiseSteps.
template <class T>
struct Noise {
  T* number;     // (kNoiseSteps, action_dim, kLd): in [-1, 1] where uniform, else eps (OU: nu, once
                 // advance_ou has been there)
  T* uniformly;  // (kNoiseSteps, kLd): 1 where the action is uniformly random, else 0; not written
                 // during warm-up, when all are
  T* normal;     // (kNoiseSteps, action_dim, kLd): eps; null unless OU
  T* ou;         // (action_dim, kLd): nu; null unless OU
};

template <class T, class B>
PENDULA_FN Noise<T> allocate_noise(B& b, const Plan& p) {
  Noise<T> noise{};
  noise.number = b.template shared<T>(kNoiseSteps * p.action_dim * B::kLd);
  noise.uniformly = b.template shared<T>(kNoiseSteps * B::kLd);
  if (p.noise == NoiseType::kOu) {
    noise.normal = b.template shared<T>(kNoiseSteps * p.action_dim * B::kLd);
    noise.ou = b.template shared<T>(p.action_dim * B::kLd);
  }
  return noise;
}

// What environments draw for the time steps of call number `call`. seed: of the agent.
struct NoiseCall {
  uint64_t seed, call;

  // 1 where the action is uniformly random.
  template <class V, class Index>
  PENDULA_FN void uniformly(Index env, Scalar<V> epsilon, V (&u)[kNoiseSteps]) const {
    const auto r = random(seed, Purpose::kEpsilon, 0, env, call);
    for (uint32_t j = 0; j < kNoiseSteps; ++j) {
      u[j] = as_real(uniform01<V>(word(r, j)) < V(epsilon), V());
    }
  }
  // Of dimension d: uniform in [-1, 1].
  template <class V, class Index>
  PENDULA_FN void actions(Index env, int d, V (&a)[kNoiseSteps]) const {
    const auto r = random(seed, Purpose::kRandomAction, static_cast<uint32_t>(d), env, call);
    for (uint32_t j = 0; j < kNoiseSteps; ++j) a[j] = uniform<V>(word(r, j), -1, 1);
  }
  // Standard normal, times `scale`.
  template <class V, class Index>
  PENDULA_FN void normals(Index env, int d, V scale, V (&z)[kNoiseSteps]) const {
    const auto w = random(seed, Purpose::kNoise, static_cast<uint32_t>(d), env, call);
    gaussian_pair(w.x, w.y, z[0], z[1]);
    gaussian_pair(w.z, w.w, z[2], z[3]);
    for (int j = 0; j < kNoiseSteps; ++j) z[j] = z[j] * scale;
  }
};

// How much larger sigma is from an environment to the next.
PENDULA_FN double ladder_rung(const Plan& p, const AgentHyper& h) {
  return (h.sigma_ladder - 1.0) / (p.num_envs > 1 ? p.num_envs - 1 : 1);
}

// The numbers of n environments, from `first` on, for time step t and its neighbours. Ends with a
// barrier.
template <int action_dim, class T, class B>
PENDULA_SHARED_FN void draw_noise(B& b, const Plan& p, const AgentHyper& hyper, bool warmup,
                                  int first, int n, uint64_t t, const Noise<T>& out) {
  const Noise<T> noise = out;
  const NoiseCall draw{hyper.seed, t / kNoiseSteps};
  const T epsilon = static_cast<T>(hyper.epsilon);
  const T rung = static_cast<T>(ladder_rung(p, hyper));
  const bool ou = p.noise == NoiseType::kOu;
  b.template for_lanes<T>(n, [=](int i, auto tag) PENDULA_INLINE {
    using V = decltype(tag);
    Words<V> env;
    count_from(static_cast<uint32_t>(first + i), env);
    const V ladder = fma(to_real<V>(env), V(rung), V(T(1)));
    V uniformly[kNoiseSteps] = {}, number[kNoiseSteps];
    if (!warmup) {
      draw.uniformly(env, epsilon, uniformly);
      for (int j = 0; j < kNoiseSteps; ++j) store(noise.uniformly + j * B::kLd + i, uniformly[j]);
    }
    for (int d = 0; d < action_dim; ++d) {
      draw.actions(env, d, number);
      if (!warmup || ou) {
        V z[kNoiseSteps];
        draw.normals(env, d, ladder, z);
        for (int j = 0; j < kNoiseSteps; ++j) {
          if (ou) {
            store(noise.normal + (j * action_dim + d) * B::kLd + i, z[j]);
          } else {
            number[j] = select(uniformly[j] == V(T(1)), number[j], z[j]);
          }
        }
      }
      for (int j = 0; j < kNoiseSteps; ++j) {
        store(noise.number + (j * action_dim + d) * B::kLd + i, number[j]);
      }
    }
  });
  b.sync();
}

// One step of the Ornstein-Uhlenbeck processes of n environments, for time step t; leaves nu where
// behaviour_action looks for it. Ends with a barrier.
template <int action_dim, class T, class B>
PENDULA_SHARED_FN void advance_ou(B& b, const AgentHyper& hyper, bool warmup, int n, uint64_t t,
                                  T sigma, const Noise<T>& out) {
  const Noise<T> noise = out;
  const int j = static_cast<int>(t % kNoiseSteps);
  const T keep = static_cast<T>(1.0 - hyper.ou_theta * hyper.ou_dt);
  const T scale = sigma * static_cast<T>(std::sqrt(hyper.ou_dt));
  b.template for_lanes<T>(n, [=](int i, auto tag) {
    using V = decltype(tag);
    for (int d = 0; d < action_dim; ++d) {
      const int at = (j * action_dim + d) * B::kLd + i;
      T* const ou = noise.ou + d * B::kLd + i;
      const V nu = fma(V(keep), load_as<V>(ou), V(scale) * load_as<V>(noise.normal + at));
      store(ou, nu);
      if (!warmup) {
        const V uniformly = load_as<V>(noise.uniformly + j * B::kLd + i);
        store(noise.number + at, select(uniformly == V(T(1)), load_as<V>(noise.number + at), nu));
      }
    }
  });
  b.sync();
}

// The action that is taken where the actor says mu, in [-1, 1].
template <class V>
PENDULA_FN V behaviour_action(V mu, V sigma, V number, V uniformly) {
  const V one(Scalar<V>(1));
  return select(uniformly == one, number, clamp(fma(sigma, number, mu), -one, one));
}

}  // namespace PENDULA_PROGRAMS
