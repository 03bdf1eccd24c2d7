// One slice of an iteration, as the list of its programs in order: the loop of Algorithm 1
// (Lillicrap et al. 2015). Backends run it: the CPU's pool with a barrier between programs, CUDA as
// the nodes of a graph. An iteration of more than kMaxUpdateSlots updates takes several slices; the
// rollout takes place in the first.
#pragma once

#include "kernels/actor_update.h"
#include "kernels/adam.h"
#include "kernels/advance.h"
#include "kernels/critic_update.h"
#include "kernels/rollout.h"

namespace PENDULA_PROGRAMS {

// run(program) for each program of a slice's updates in order. Held: see kernels/program.h. On the
// host `run` launches them, in a kernel it calls them.
#if PENDULA_CUDA
#pragma nv_exec_check_disable
#endif
template <class Env, class T, class Held = Context<Env, T>, class F>
PENDULA_FN void for_each_update_program(const Context<Env, T>& context, F run) {
  const bool clip = context.plan.max_grad_norm > 0.0;
  for (int slot = 0; slot < context.plan.update_slots; ++slot) {
    run(CriticGradient<Env, T, Held>{context, slot});
    if (clip) run(GradientSum<Env, T, Held>{context, slot, false});
    run(AdamStep<Env, T, Held>{context, slot, false});
    run(ActorGradient<Env, T, Held>{context, slot});
    if (clip) run(GradientSum<Env, T, Held>{context, slot, true});
    run(AdamStep<Env, T, Held>{context, slot, true});
  }
}

// The same for a whole slice, but for what concerns all agents together.
#if PENDULA_CUDA
#pragma nv_exec_check_disable
#endif
template <class Env, class T, class Held = Context<Env, T>, class F>
PENDULA_FN void for_each_agent_program(const Context<Env, T>& context, F run) {
  run(Rollout<Env, T, Held>{context});
  if (context.plan.policy_lag != 0) run(LagActor<Env, T, Held>{context});
  for_each_update_program<Env, T, Held>(context, run);
  run(Advance<Env, T, Held>{context});
}

// Program by program, each for all agents.
template <class Env, class T, class F>
void for_each_program(const Context<Env, T>& context, F run) {
  for_each_agent_program(context, run);
  run(SetHalt<Env, T>{context});
}

}  // namespace PENDULA_PROGRAMS
