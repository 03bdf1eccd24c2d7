// How a launch of the CUDA backend begins and goes on: the programs before and at the end of the
// body of its WHILE node. They run whether or not the launch has halted.
#pragma once

#include <cuda_runtime.h>

#include "kernels/program.h"

namespace PENDULA_PROGRAMS {

// Before the loop: where the launch stands, from the counters and the host page. One block.
template <class Env, class T>
struct BeginLaunch {
  Context<Env, T> context;
  uint64_t until_iteration;
  bool acts_beside;  // rollouts run beside updates

  PENDULA_FN int grid() const { return 1; }

  template <class B>
  PENDULA_FN void operator()(B& b) const {
    const auto& ctx = context;
    const uint64_t until = until_iteration;
    const bool beside = acts_beside;
    b.for_each(1, [&](int) {
      const uint64_t iteration = ctx.agent(0).counters().iteration;
      Control& c = ctx.control();
      c.until_iteration = until;
      c.iteration = iteration;
      c.updates = ctx.agent(0).counters().updates;
      c.slice = static_cast<uint32_t>(ctx.agent(0).counters().slice);
      c.halted = iteration >= until ? 1 + static_cast<uint32_t>(HaltReason::kReached) : 0;
      c.turns = 0;
      // Where the state came from elsewhere, the rows before it are not in this ring.
      const uint64_t rows = rows_written(ctx.plan, iteration);
      if (B::load_shared(&ctx.page->rows_written) != rows) {
        B::store_shared(&ctx.page->rows_taken, rows);
        B::store_shared(&ctx.page->rows_written, rows);
      }
      c.launch_until = launch_end(ctx.plan, until, B::load_shared(&ctx.page->rows_taken));
      c.acts_beside = beside ? 1 : 0;
      c.acts_ahead = may_act_ahead(ctx.plan, c) ? 1 : 0;
      B::store_shared(&ctx.page->iteration, iteration);
    });
  }
};

// At the end of the body: another turn unless the launch has halted. One block.
template <class Env, class T>
struct NextTurn {
  Context<Env, T> context;
  cudaGraphConditionalHandle handle;

  PENDULA_FN int grid() const { return 1; }

  template <class B>
  PENDULA_FN void operator()(B& b) const {
    const auto& ctx = context;
    [[maybe_unused]] const cudaGraphConditionalHandle h = handle;
    b.for_each(1, [&](int) {
      [[maybe_unused]] const bool goes_on = ctx.control().halted == 0;
#if PENDULA_DEVICE
      cudaGraphSetConditional(h, goes_on ? 1 : 0);
#endif
    });
  }
};

}  // namespace PENDULA_PROGRAMS
