// The plan: everything about a run that is constant while it lasts, as plain data that host and
// device read alike: the sizes, how the work is split, and where each tensor lies in the arena.
//
// The arena is one allocation: the agents' parts one after another (agent k at k * agent_bytes, all
// of the training state, each tensor aligned to 256 B), then the work area, which holds nothing
// that outlives a launch and is in no checkpoint. T is float in training, double in proofs.
//
// The split of every sum (kRows, kAdamChunk, partials) is a constant of the config: never of
// threads, occupancy or time. That is what makes a run's bits repeatable.
#pragma once

#include "kernels/choices.h"
#include "kernels/platform.h"
#include "kernels/report.h"

namespace pendula {

inline constexpr int kMaxLayers = 17;       // 16 hidden layers and the head
inline constexpr int kRows = 64;            // rows of a batch, or environments, in one tile
inline constexpr int kRowGroup = 8;         // rows of a tile of a batch: a multiple of it
inline constexpr int kAdamChunk = 512;      // parameters of one block of the Adam step
inline constexpr int kMaxPartials = 128;    // partial sums of one gradient
inline constexpr int kMaxUpdateSlots = 64;  // updates in one slice of an iteration, at most
inline constexpr double kSliceWork =
    2e9;                                 // and parameters x rows in it, about: a stop waits for it
inline constexpr uint64_t kAlign = 256;  // bytes

// One multi-layer perceptron. Parameters, targets and both moments are blocks of `count` elements
// with the same layout: weight l is (size[l + 1], size[l]), row-major, as in PyTorch.
struct NetworkLayout {
  int32_t layers;                // hidden layers + 1
  int32_t size[kMaxLayers + 1];  // input, hidden..., output
  uint32_t weight[kMaxLayers];   // first element of each weight
  uint32_t bias[kMaxLayers];     // first element of each bias (size[l + 1])
  uint32_t count;                // elements, gaps of the alignment included (they stay 0)
  int32_t widest;                // widest hidden layer
  Activation activation;
};

// What may differ between agents. Fields are 8 bytes each so that each is a tensor of its own.
struct AgentHyper {
  uint64_t seed;
  uint64_t batch_size;   // at most the plan's
  uint64_t decay_steps;  // of the noise
  double actor_lr, critic_lr, gamma, tau;
  double sigma, sigma_final, epsilon;
  double sigma_ladder;  // sigma of the last environment over that of the first
  double ou_theta, ou_dt;
  double updates_per_step;
};

struct AgentCounters {
  uint64_t iteration;  // iterations completed
  uint64_t updates;    // updates completed
  uint64_t fault;      // Fault; not 0: the agent is frozen
  uint64_t fault_iteration;
  uint64_t fault_update;
  uint64_t ring_first;    // first row that the replay ring holds: 0, or where it was begun anew
  uint64_t update_start;  // environment steps from which updates are counted: the warm-up's end
  uint64_t update_base;   // updates made by then
  uint64_t slice;         // slices completed of the iteration that is under way
};

// Sums since the last report row (see ReportRow in host/backend.h).
struct ReportSums {
  double updates, episodes, episode_return, episode_length;
  double critic_loss, actor_loss, q, grad_norm_actor, grad_norm_critic;
};

// Episodes that ended since population-based training last looked.
struct AgentScore {
  double return_sum, episodes;
};

struct Plan {
  int32_t agents;
  int32_t num_envs;
  int32_t state_dim, obs_dim, action_dim;
  int32_t record_size;  // elements of one replay record, see record_size()
  int32_t rollout_length;
  int32_t policy_lag;
  int32_t max_episode_steps;
  int32_t batch_size;                   // the largest of any agent
  int32_t partials;                     // partial sums of a gradient
  int32_t env_tiles;                    // tiles of kRows environments
  int32_t actor_chunks, critic_chunks;  // Adam blocks of each network
  int32_t update_slots;                 // updates in one slice: one pass over the list of phases
  int32_t slices;                       // slices of an iteration
  Loss loss;
  NoiseType noise;
  int32_t target_update_interval;
  uint64_t ring_rows;
  uint64_t warmup_steps;
  uint64_t report_iterations;  // iterations between two report rows
  uint64_t report_slots;       // rows of the report ring, each one ReportRow per agent
  double beta1, beta2, eps, weight_decay;
  double max_grad_norm;  // 0: no clipping
  double reward_scale;
  NetworkLayout actor, critic;
  Init actor_init, critic_init;

  // Byte offsets inside one agent's part. The networks lie together: parameters, targets, moments;
  // what is resident in a block's shared memory begins at actor_params and ends at actor_m or at
  // networks_end.
  uint64_t hyper, counters, report, score;
  uint64_t actor_params, critic_params, actor_target, critic_target;
  uint64_t actor_m, actor_v, critic_m, critic_v;
  uint64_t networks_end;
  uint64_t actor_lagged;
  uint64_t env_state;       // (state_dim, num_envs) T
  uint64_t episode_step;    // (num_envs) u32: steps taken in the episode
  uint64_t episode_return;  // (num_envs) T
  uint64_t ou_noise;        // (action_dim, num_envs) T; where noise is kOu
  uint64_t ring;            // (ring_rows, num_envs, record_size) T
  uint64_t ring_end;        // (ring_rows, ceil(num_envs / 32)) u32: 1 where an episode ended
  uint64_t agent_bytes;

  // Byte offsets inside one agent's work area.
  uint64_t actor_grad, critic_grad;    // (partials, count) T: partial gradients
  uint64_t actor_sumsq, critic_sumsq;  // (update_slots, chunks) T: squared gradient, per chunk
  uint64_t losses;  // (update_slots, partials, 3) T: sums of critic loss, Q, actor loss
  // (1 + policy_lag, env_tiles, 4) T: episodes, returns, lengths; environments not finite
  uint64_t rollout_sums;
  uint64_t work_bytes;   // of one agent
  uint64_t work;         // of agent 0, from the arena's start
  uint64_t control;      // Control
  uint64_t arena_bytes;  // all of it
};

// Elements of one replay record: state, action and reward, rounded up to a power of two.
constexpr int32_t record_size(int32_t state_dim, int32_t action_dim) {
  int32_t size = 4;
  while (size < state_dim + action_dim + 1) size *= 2;
  return size;
}

// Environment steps of one agent in one iteration.
PENDULA_FN uint64_t steps_per_iteration(const Plan& p) {
  return static_cast<uint64_t>(p.num_envs) * static_cast<uint64_t>(p.rollout_length);
}

// Units of the widest hidden layer of both networks.
PENDULA_FN int widest_hidden(const Plan& p) {
  return p.actor.widest > p.critic.widest ? p.actor.widest : p.critic.widest;
}

// Updates that are due once `iterations` are completed.
PENDULA_FN uint64_t updates_due(const Plan& p, const AgentCounters& c, double updates_per_step,
                                uint64_t iterations) {
  const uint64_t steps = iterations * steps_per_iteration(p);
  if (steps <= c.update_start) return 0;
  // 100 * 0.29 is 28.999...: what rounding leaves below a whole number counts as that number.
  const double due = static_cast<double>(steps - c.update_start) * updates_per_step;
  return c.update_base + static_cast<uint64_t>(due * (1.0 + 1.0 / (1ull << 50)));
}

// Report rows that an agent has written once `iterations` are completed. Row n lies in slot
// n mod report_slots of the ring.
PENDULA_FN uint64_t rows_written(const Plan& p, uint64_t iterations) {
  return iterations / p.report_iterations;
}

// An agent's batch is cut into as few tiles as hold it, all of them of tile_rows rows but the last,
// which has at least one: equal shares for the workers that take them. In groups of kRowGroup, so
// that registers of 8 lanes are full. used_partials: the partial sums that the tiles make.
PENDULA_FN int batch_tiles(uint64_t batch_size) {
  return static_cast<int>((batch_size + kRows - 1) / kRows);
}
PENDULA_FN int tile_rows(uint64_t batch_size) {
  const uint64_t groups = static_cast<uint64_t>(batch_tiles(batch_size)) * kRowGroup;
  return static_cast<int>((batch_size + groups - 1) / groups * kRowGroup);
}
PENDULA_FN int used_partials(const Plan& p, uint64_t batch_size) {
  const int tiles = batch_tiles(batch_size);
  return tiles < p.partials ? tiles : p.partials;
}

// Networks that a block holds in its shared memory while it trains an agent: what lies in the
// agent's part from actor_params on, up to `end`. base null: nothing.
struct Resident {
  char* base = nullptr;
  uint64_t end = 0;
};

// One agent's tensors.
template <class T>
struct AgentView {
  char* state;
  char* work;
  const Plan& plan;
  Resident resident;

  PENDULA_FN AgentView(char* arena, const Plan& p, int agent, Resident r = {})
      : state(arena + static_cast<uint64_t>(agent) * p.agent_bytes),
        work(arena + p.work + static_cast<uint64_t>(agent) * p.work_bytes),
        plan(p),
        resident(r) {}

  PENDULA_FN AgentHyper& hyper() const {
    return *reinterpret_cast<AgentHyper*>(state + plan.hyper);
  }
  PENDULA_FN AgentCounters& counters() const {
    return *reinterpret_cast<AgentCounters*>(state + plan.counters);
  }
  PENDULA_FN ReportSums& report() const {
    return *reinterpret_cast<ReportSums*>(state + plan.report);
  }
  PENDULA_FN AgentScore& score() const {
    return *reinterpret_cast<AgentScore*>(state + plan.score);
  }
  PENDULA_FN T* at(uint64_t offset) const {
    const bool here =
        resident.base != nullptr && offset >= plan.actor_params && offset < resident.end;
    return reinterpret_cast<T*>(here ? resident.base + (offset - plan.actor_params)
                                     : state + offset);
  }
  PENDULA_FN T* work_at(uint64_t offset) const { return reinterpret_cast<T*>(work + offset); }
  // Of the rollout of an iteration: with policy_lag 1 the next one's may be there already.
  PENDULA_FN T* rollout_sums(uint64_t iteration) const {
    const uint64_t row = iteration % (1 + static_cast<uint64_t>(plan.policy_lag));
    return work_at(plan.rollout_sums) + row * static_cast<uint64_t>(plan.env_tiles) * 4;
  }
  PENDULA_FN uint32_t* episode_step() const {
    return reinterpret_cast<uint32_t*>(state + plan.episode_step);
  }
  PENDULA_FN uint32_t* ring_end() const {
    return reinterpret_cast<uint32_t*>(state + plan.ring_end);
  }

  // Whether update `number` is to be made in this iteration.
  PENDULA_FN bool update_due(uint64_t number) const {
    const AgentCounters& c = counters();
    return c.fault == 0 && number < updates_due(plan, c, hyper().updates_per_step, c.iteration + 1);
  }
};

// Where a launch stands: lies behind the agents' work areas. The host writes it before each launch.
struct Control {
  uint64_t until_iteration;
  uint64_t launch_until;  // see launch_end()
  uint64_t iteration;     // completed by all agents
  uint64_t updates;       // completed by agent 0
  uint32_t slice;         // of the current iteration
  uint32_t halted;        // 1 + HaltReason; 0: goes on
  uint32_t turns;         // of the block plan: see kernels/turns.h
  uint32_t acts_beside;   // 1: rollouts run beside the updates of the iteration before
  uint32_t acts_ahead;    // 1: that of the next iteration is part of this slice
};

// Whether an agent makes the rollout of an iteration, if the run comes to it. With policy_lag 1 one
// that diverges makes one rollout more, which may have run beside its last updates.
PENDULA_FN bool makes_rollout(const Plan& p, const AgentCounters& c, uint64_t iteration) {
  return c.fault == 0 || (p.policy_lag != 0 && iteration <= c.fault_iteration + 1);
}

// The rollout that a program is to make: that of `iteration`, unless it is not due. ahead: the next
// iteration's, beside this one's updates.
struct RolloutTurn {
  bool due;
  uint64_t iteration;
};
PENDULA_FN RolloutTurn rollout_turn(const Plan& p, const Control& control, const AgentCounters& c,
                                    bool ahead) {
  const uint64_t iteration = c.iteration + (ahead ? 1 : 0);
  const bool here = ahead ? control.acts_ahead != 0 : c.slice == 0;
  return {here && makes_rollout(p, c, iteration), iteration};
}

// Where a launch ends at the latest: where it is to, or where the report ring is full.
PENDULA_FN uint64_t launch_end(const Plan& p, uint64_t until_iteration, uint64_t rows_taken) {
  const uint64_t room = (rows_taken + p.report_slots) * p.report_iterations;
  return until_iteration < room ? until_iteration : room;
}

// Whether the slice that comes next has the rollout of the next iteration beside it: the last one
// of an iteration, after which the launch goes on.
PENDULA_FN bool may_act_ahead(const Plan& p, const Control& c) {
  return c.acts_beside != 0 && c.slice + 1 == static_cast<uint32_t>(p.slices) &&
         c.iteration + 1 < c.launch_until;
}

// Memory that host and device share: the host watches it and asks for a stop, nothing else. The
// report ring, report_slots rows of ReportRow per agent, follows it.
struct HostPage {
  uint64_t iteration;     // device to host: completed
  uint64_t rows_written;  // device to host: rows that an agent has written by now, ever
  uint64_t rows_taken;    // host to device
  uint32_t stop;  // host to device: HaltReason + 1; the launch ends after this slice, or as soon as
                  // no rollout has run ahead
};

}  // namespace pendula
