// Sampled batches as the reference draws them: the definition of kernels/replay_ring.h and
// tests/golden/make_torch_golden.py, once more from the words of Philox.
#pragma once

#include "kernels/actor_update.h"
#include "kernels/critic_update.h"
#include "tests/kernels/arena.h"

namespace pendula {

// Records that update `update` of an agent draws, as indices into the ring.
template <class T>
std::vector<uint64_t> sampled_records(const AgentView<T>& a, uint64_t update) {
  const Plan& p = a.plan;
  const uint64_t last = (a.counters().iteration + 1) * static_cast<uint64_t>(p.rollout_length);
  const uint64_t kept = p.ring_rows - (p.policy_lag == 1 ? uint64_t(p.rollout_length) : 0);
  const uint64_t rows = std::min(last - a.counters().ring_first, kept);
  std::vector<uint64_t> records;
  for (uint64_t i = 0; i < a.hyper().batch_size; ++i) {
    const Uint4 r = philox({6, uint32_t(i / 2), uint32_t(update), 0}, a.hyper().seed);
    const uint64_t word_row = i % 2 == 0 ? r.x : r.z, word_env = i % 2 == 0 ? r.y : r.w;
    const uint64_t row = last - rows + ((word_row * rows) >> 32);  // counted from the first ever
    const uint64_t env = (word_env * uint64_t(p.num_envs)) >> 32;
    records.push_back(row % p.ring_rows * uint64_t(p.num_envs) + env);
  }
  return records;
}

template <class Env, class T>
std::vector<reference::Transition> sampled_batch(const AgentView<T>& a, uint64_t update) {
  std::vector<reference::Transition> batch;
  for (uint64_t i : sampled_records(a, update)) {
    batch.push_back(
        transition_of<Env>(a.at(a.plan.ring) + i * static_cast<uint64_t>(a.plan.record_size)));
  }
  return batch;
}

// Networks, targets that differ from them, and a full ring; some updates made already.
template <class Arena>
void fill_agents(Arena& arena, uint32_t seed = 1) {
  std::mt19937 random(seed);
  const Plan& p = arena.plan;
  for (int k = 0; k < p.agents; ++k) {
    const auto a = arena.agent(k);
    for (uint64_t at : {p.actor_params, p.actor_target}) fill_network(p.actor, random, a.at(at));
    for (uint64_t at : {p.critic_params, p.critic_target}) fill_network(p.critic, random, a.at(at));
    fill_ring<typename Arena::Env>(p, random, a.at(p.ring));
    a.counters().iteration = 2 * p.ring_rows;  // the ring has been gone round twice
    a.counters().updates = 5;
    a.hyper().updates_per_step = 1.0;
  }
}

// Partial gradients added up.
template <class T>
std::vector<double> summed_gradient(const AgentView<T>& a, bool actor) {
  const uint64_t count = actor ? a.plan.actor.count : a.plan.critic.count;
  const T* grad = a.work_at(actor ? a.plan.actor_grad : a.plan.critic_grad);
  std::vector<double> sum(count, 0.0);
  for (int part = 0; part < used_partials(a.plan, a.hyper().batch_size); ++part) {
    for (uint64_t i = 0; i < count; ++i) sum[i] += grad[static_cast<uint64_t>(part) * count + i];
  }
  return sum;
}

// Mean over the batch of which = 0: critic loss, 1: Q, 2: actor loss.
template <class T>
double mean_loss(const AgentView<T>& a, int slot, int which) {
  double sum = 0.0;
  for (int part = 0; part < used_partials(a.plan, a.hyper().batch_size); ++part) {
    sum += a.work_at(a.plan.losses)[(slot * a.plan.partials + part) * 3 + which];
  }
  return sum / static_cast<double>(a.hyper().batch_size);
}

}  // namespace pendula
