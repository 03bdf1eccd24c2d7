// The end of a slice: Advance adds up what the blocks left behind, looks for a NaN or an Inf, moves
// the counters and writes report rows; SetHalt decides whether the launch goes on.
#pragma once

#include "kernels/math.h"
#include "kernels/program.h"

namespace PENDULA_PROGRAMS {

// One block per agent.
template <class Env, class T, class Held = Context<Env, T>>
struct Advance {
  Held context;

  PENDULA_FN int parts() const { return 1; }
  PENDULA_FN int grid() const { return context.plan.agents; }

  template <class B>
  PENDULA_FN void operator()(B& b) const {
    const Plan& p = context.plan;
    const AgentView<T> a = context.agent(b.index(), b.resident());
    const uint64_t updates = a.counters().updates;
    const uint64_t slice = a.counters().slice;
    const bool frozen = a.counters().fault != 0;
    const bool last = slice + 1 == static_cast<uint64_t>(p.slices);
    const int partials = used_partials(p, a.hyper().batch_size);
    const double inverse = 1.0 / static_cast<double>(a.hyper().batch_size);
    int made = 0;
    while (made < p.update_slots && a.update_due(updates + static_cast<uint64_t>(made))) ++made;

    ReportSums sum = a.report();
    AgentScore score = a.score();
    Fault fault = Fault::kNone;
    uint64_t fault_update = updates;
    if (slice == 0 && !frozen) {
      double rollout[4];
      for (int d = 0; d < 4; ++d) {
        const T* sums = a.rollout_sums(a.counters().iteration) + d;
        rollout[d] = b.template reduce<double>(
            p.env_tiles, [=](int i) { return static_cast<double>(sums[i * 4]); });
      }
      sum.episodes += rollout[0];
      sum.episode_return += rollout[1];
      sum.episode_length += rollout[2];
      score.episodes += rollout[0];
      score.return_sum += rollout[1];
      if (!(rollout[3] == 0.0)) fault = Fault::kReward;
    }
    for (int slot = 0; slot < made; ++slot) {
      const T* losses = a.work_at(p.losses) + slot * p.partials * 3;
      double part[3];
      for (int d = 0; d < 3; ++d) {
        part[d] = inverse * b.template reduce<double>(partials, [=](int i) {
          return static_cast<double>(losses[i * 3 + d]);
        });
      }
      const T* sumsq_critic = a.work_at(p.critic_sumsq) + slot * p.critic_chunks;
      const T* sumsq_actor = a.work_at(p.actor_sumsq) + slot * p.actor_chunks;
      const double critic_norm = std::sqrt(b.template reduce<double>(
          p.critic_chunks, [=](int i) { return static_cast<double>(sumsq_critic[i]); }));
      const double actor_norm = std::sqrt(b.template reduce<double>(
          p.actor_chunks, [=](int i) { return static_cast<double>(sumsq_actor[i]); }));
      sum.updates += 1.0;
      sum.critic_loss += part[0];
      sum.q += part[1];
      sum.actor_loss += part[2];
      sum.grad_norm_critic += critic_norm;
      sum.grad_norm_actor += actor_norm;
      if (fault == Fault::kNone) {
        fault_update = updates + static_cast<uint64_t>(slot);
        if (!finite(part[0]) || !finite(part[1])) {
          fault = Fault::kCriticLoss;
        } else if (!finite(critic_norm)) {
          fault = Fault::kCriticGradient;
        } else if (!finite(part[2])) {
          fault = Fault::kActorLoss;
        } else if (!finite(actor_norm)) {
          fault = Fault::kActorGradient;
        }
      }
    }
    b.sync();  // every thread has read the counters
    b.for_each(1, [&](int) {
      AgentCounters& c = a.counters();
      if (fault != Fault::kNone) {
        c.fault = static_cast<uint64_t>(fault);
        c.fault_iteration = c.iteration;
        c.fault_update = fault_update;
      }
      c.updates = updates + static_cast<uint64_t>(made);
      if (last) c.iteration += 1;
      c.slice = last ? 0 : slice + 1;
      const bool row = last && c.iteration % p.report_iterations == 0;
      if (row) write_row(a, sum, b.index());
      a.report() = row ? ReportSums{} : sum;
      a.score() = score;
    });
  }

 private:
  static PENDULA_FN bool finite(double x) { return x - x == 0.0; }

  PENDULA_FN void write_row(const AgentView<T>& a, const ReportSums& sum, int agent) const {
    const Plan& p = context.plan;
    const AgentCounters& c = a.counters();
    const uint64_t slot = (rows_written(p, c.iteration) - 1) % p.report_slots;
    ReportRow& r =
        context
            .report_ring()[slot * static_cast<uint64_t>(p.agents) + static_cast<uint64_t>(agent)];
    r.agent = static_cast<uint64_t>(agent);
    r.iteration = c.iteration;
    r.timesteps = c.iteration * steps_per_iteration(p);
    r.updates = c.updates;
    r.row_updates = static_cast<uint64_t>(sum.updates);
    r.row_episodes = static_cast<uint64_t>(sum.episodes);
    r.episode_return_sum = sum.episode_return;
    r.episode_length_sum = sum.episode_length;
    r.critic_loss_sum = sum.critic_loss;
    r.actor_loss_sum = sum.actor_loss;
    r.q_sum = sum.q;
    r.grad_norm_actor_sum = sum.grad_norm_actor;
    r.grad_norm_critic_sum = sum.grad_norm_critic;
  }
};

// One block, once all agents stand at the same place. A stop that is asked for ends the launch
// after any slice, everything else after an iteration. Where the rollout of the iteration that
// follows has been made already, the launch goes on: it ends where every agent is as if no rollout
// had run ahead, and all agents have diverged once none makes a rollout any more (rollout_turn()).
// store_shared makes what was written before visible to the host first.
template <class Env, class T, class Held = Context<Env, T>>
struct SetHalt {
  Held context;

  PENDULA_FN int grid() const { return 1; }

  template <class B>
  PENDULA_FN void operator()(B& b) const {
    const Plan& p = context.plan;
    const auto& ctx = context;
    const double running = b.template reduce<double>(p.agents, [&](int k) {
      const AgentCounters& c = ctx.agent(k).counters();
      return makes_rollout(p, c, c.iteration) ? 1.0 : 0.0;
    });
    b.for_each(1, [&](int) {
      Control& c = ctx.control();
      HostPage* page = ctx.page;
      const AgentCounters& first = ctx.agent(0).counters();
      const uint32_t stop = B::load_shared(&page->stop);
      c.iteration = first.iteration;
      c.updates = first.updates;
      c.slice = static_cast<uint32_t>(first.slice);
      uint32_t why = stop;
      if (c.slice == 0) {
        c.launch_until = launch_end(p, c.until_iteration, B::load_shared(&page->rows_taken));
        const bool next_is_missing = c.acts_beside != 0 && c.acts_ahead == 0;
        if (running == 0.0) {
          why = 1 + static_cast<uint32_t>(HaltReason::kDiverged);
          c.acts_ahead = 0;  // frozen agents have none
        } else if (c.iteration >= c.until_iteration) {
          why = 1 + static_cast<uint32_t>(HaltReason::kReached);
        } else if (stop == 0 && (c.iteration >= c.launch_until || next_is_missing)) {
          why = 1 + static_cast<uint32_t>(HaltReason::kTime);
        }
        B::store_shared(&page->rows_written, rows_written(p, c.iteration));
        B::store_shared(&page->iteration, c.iteration);
      }
      if (c.acts_ahead == 0) c.halted = why;
      c.acts_ahead = why == 0 && may_act_ahead(p, c) ? 1 : 0;
    });
  }
};

}  // namespace PENDULA_PROGRAMS
