#include "host/grid_plan.h"

#include <fmt/format.h>

#include <algorithm>

#include "kernels/grid_rollout.h"

namespace pendula {
namespace {

constexpr int kManyTiles = 128;  // of environments: they fill a GPU

template <class P>
std::optional<GridPlan> grid_plan_of(const Plan& p, uint64_t shared_bytes) {
  std::optional<GridPlan> plan;
  const auto try_shape = [&]<class S>(S, GridShape shape) {
    if (plan || pass_bytes<S>(p) > shared_bytes) return;
    plan.emplace();
    plan->shape = shape;
    plan->pass_bytes = pass_bytes<S>(p);
    plan->layout.tile_rows = S::kRows;
  };
  if (widest_hidden(p) <= kChainWidth) try_shape(Shape<P, 1, 4>(), GridShape::kNarrow);
  try_shape(Shape<P, 4, 1>(), GridShape::kRows64);
  try_shape(Shape<P, 2, 1>(), GridShape::kRows32);
  try_shape(Shape<P, 1, 1>(), GridShape::kRows16);
  return plan;
}

GridLayout lay_out(const Plan& p, int per_word, int tile_rows) {
  GridLayout g{};
  g.per_word = per_word;
  g.tile_rows = tile_rows;
  g.rows = batch_tiles(static_cast<uint64_t>(p.batch_size)) * kGridRows;
  g.actor = packed_layout(p.actor, per_word);
  g.critic = packed_layout(p.critic, per_word);
  uint64_t used = 0;
  const auto take = [&](uint64_t words) {
    const uint64_t at = used;
    used += (words * sizeof(float) + kAlign - 1) / kAlign * kAlign;
    return at;
  };
  const uint64_t rows = static_cast<uint64_t>(g.rows);
  const uint64_t samples = rows * static_cast<uint64_t>(p.update_slots);
  g.actor_params = take(g.actor.words);
  g.critic_params = take(g.critic.words);
  g.actor_target = take(g.actor.forward_words);
  g.critic_target = take(g.critic.forward_words);
  if (p.policy_lag != 0) g.actor_lagged = take(g.actor.forward_words);
  g.x = take(samples * kGridInputs);
  g.next = take(samples * kGridInputs);
  g.outcome = take(samples * 2);
  g.delta = take(rows * static_cast<uint64_t>(p.action_dim));
  g.mask = take(rows * static_cast<uint64_t>(std::max(mask_words(p.actor), mask_words(p.critic))));
  const auto stored = [&](const NetworkLayout& net) {
    uint64_t words = 0;
    for (int l = 1; l + 2 < net.layers; ++l) words += 2 * stored_words(net, l, g);
    return words;
  };
  g.stored = take(std::max(stored(p.actor), stored(p.critic)));
  g.bytes = used;
  return g;
}

template <class P>
void choose_actor(const Plan& p, uint64_t shared_bytes, GridPlan& plan) {
  using Half = Shape<P, 4, 1>;
  using Whole = Shape<P, 8, 1>;
  const uint64_t chain =
      sizeof(uint32_t) * static_cast<uint64_t>(chain_words(p.actor, plan.layout.actor));
  const auto take = [&](GridActor actor, int rows, uint64_t bytes) {
    constexpr uint64_t kSums = 4;  // of each environment, when the actor is done
    plan.actor = actor;
    plan.rollout_rows = rows;
    plan.rollout_bytes = std::max(bytes, kSums * sizeof(float) * static_cast<uint64_t>(rows));
  };
  const auto layers = [&]<class S>(S) {
    return static_cast<uint64_t>(layer_actor_bytes<S>(p.actor));
  };
  plan.actor = GridActor::kProgram;
  plan.rollout_rows = kRows;
  if (p.actor.widest <= kChainWidth && chain <= shared_bytes) {
    take(GridActor::kChain, kThreads, chain);
  } else if (p.num_envs >= kManyTiles * Whole::kRows && layers(Whole()) <= shared_bytes) {
    take(GridActor::kLayers128, Whole::kRows, layers(Whole()));
  } else if (layers(Half()) <= shared_bytes) {
    take(GridActor::kLayers64, Half::kRows, layers(Half()));
  }
}

}  // namespace

std::optional<GridPlan> choose_grid_plan(const Config& c, const Plan& p, uint64_t shared_bytes,
                                         std::string& why) {
  const auto fits = [](const NetworkLayout& net) {
    return net.layers > 1 && net.activation == Activation::kRelu;
  };
  if (c.precision == Precision::kFp32) {
    why = "fp32 is multiplied by no tensor core";
  } else if (!fits(p.actor) || !fits(p.critic)) {
    why = "they take networks of relu and at least one hidden layer";
  } else if (p.obs_dim + p.action_dim >= kGridInputs) {
    why = fmt::format("they take at most {} observations and actions", kGridInputs - 1);
  } else {
    const bool bf16 = c.precision == Precision::kBf16;
    auto plan = bf16 ? grid_plan_of<Bf16>(p, shared_bytes) : grid_plan_of<Tf32>(p, shared_bytes);
    if (plan) {
      plan->layout = lay_out(p, bf16 ? 2 : 1, plan->layout.tile_rows);
      if (bf16) {
        choose_actor<Bf16>(p, shared_bytes, *plan);
      } else {
        choose_actor<Tf32>(p, shared_bytes, *plan);
      }
      return plan;
    }
    why = fmt::format(
        "activations of 16 samples do not fit into the {} KiB of a block's shared memory",
        shared_bytes >> 10);
  }
  return std::nullopt;
}

}  // namespace pendula
