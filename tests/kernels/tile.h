// A tile of a sampled batch and its TD targets, as the updates make them.
#pragma once

#include "tests/kernels/batch.h"

namespace pendula {

// What sample_tile and td_target leave for the first tile, (features, kRows) each.
template <class Env, class T>
struct TileProgram {
  Context<Env, T> context;
  uint64_t update;
  int first;
  T *x, *next_x, *reward, *continues, *y;

  PENDULA_FN int grid() const { return 1; }
  template <class B>
  PENDULA_FN void operator()(B& b) const {
    const Plan& p = context.plan;
    const TileProgram t = *this;
    const AgentView<T> agent = context.agent(0);
    const Batch<T> batch = allocate_batch<T>(b, p);
    T* target = b.template shared<T>(B::kLd);
    const Turns<T> turns = allocate_turns<T>(b, widest_hidden(p));
    sample_tile<Env>(b, agent, context.env, update, first, kRows, batch);
    td_target(b, agent, kRows, batch, turns, target);
    b.sync();
    b.for_each(kRows, [=](int n) {
      for (int d = 0; d < p.obs_dim + p.action_dim; ++d) {
        t.x[d * kRows + n] = batch.x[d * B::kLd + n];
        t.next_x[d * kRows + n] = batch.next_x[d * B::kLd + n];
      }
      t.reward[n] = batch.reward[n];
      t.continues[n] = batch.continues[n];
      t.y[n] = target[n];
    });
  }
};

template <class T>
struct Tile {
  std::vector<T> x, next_x, reward, continues, y;
};
template <class Runner, class Arena>
auto run_tile(Arena& arena, uint64_t update, int first) {
  using T = std::remove_pointer_t<decltype(arena.agent().at(0))>;
  const size_t features = static_cast<size_t>((arena.plan.obs_dim + arena.plan.action_dim) * kRows);
  typename Runner::template Buffer<T> x(features), next_x(features), reward(kRows), ends(kRows),
      y(kRows);
  arena.context.plan = arena.plan;
  arena.run_program(TileProgram<typename Arena::Env, T>{
      arena.context, update, first, x.data(), next_x.data(), reward.data(), ends.data(), y.data()});
  return Tile<T>{x.download(), next_x.download(), reward.download(), ends.download(), y.download()};
}

}  // namespace pendula
