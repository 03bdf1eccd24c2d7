// The passes of an update in the grid plan where it is tuned: relu, tf32 or bf16 products, any
// number of hidden layers. A block takes tiles of the batch through the networks, activations in
// shared memory; it leaves partial gradients of the first layer and the head, and for the weights
// in between what the products over rows (kernels/grid_gradient.h) compute their operands from: the
// inputs, the output's delta and a bit per unit of the last hidden layer, and of hidden layers
// between the first and the last their activations and deltas. The same sums as
// kernels/critic_update.h and actor_update.h.
#pragma once

#include "kernels/grid_backward.h"
#include "kernels/tile_batch.h"

namespace PENDULA_PROGRAMS {

// What both passes share: a block's tiles of the batch of one update of one agent.
template <class S>
class GridPass {
 public:
  using P = typename S::P;
  static constexpr int kPerWord = P::kPerWord;

  PENDULA_FN GridPass(const GridContext& context, int k, int part, int slot)
      : context_(context),
        p_(context.plan),
        agent_(context.agent(k)),
        k_(k),
        part_(part),
        slot_(slot),
        batch_(static_cast<int>(agent_.hyper().batch_size)),
        inverse_(1.0f / static_cast<float>(batch_)),
        memory_(shared_memory(), context.plan) {}

  PENDULA_FN void critic() const {
    const GridLayout& g = context_.grid;
    const GridNetwork actor_target = network(true, p_.actor_target, g.actor_target);
    const GridNetwork critic_target = network(false, p_.critic_target, g.critic_target);
    const GridNetwork critic = network(false, p_.critic_params, g.critic_params);
    const TurnLayers actor_turns = turns(p_.actor), critic_turns = turns(p_.critic);
    const KeptLayers h{memory_.layers, p_.critic, S::kRows, kPerWord};
    const GridBackward<S> backward(at_, critic, h, memory_.delta);
    float* grad = partial(p_.critic_grad, p_.critic);
    float* const y = memory_.value;
    float loss_sum = 0.0f, q_sum = 0.0f;
    for (int tile = part_; tile * S::kRows < batch_; tile += parts()) {
      const int row0 = tile * S::kRows;
      load_inputs<S>(context_.inputs(k_, g.x, slot_) + row0 * kGridInputs, memory_.x);
      load_inputs<S>(context_.inputs(k_, g.next, slot_) + row0 * kGridInputs, memory_.next);
      block_sync();
      actor_target.forward<S>(at_, memory_.next, actor_turns, memory_.sums);
      act(actor_target, memory_.next);
      critic_target.forward<S>(at_, memory_.next, critic_turns, memory_.sums);
      for_rows([&](int r) {
        const float* outcome =
            context_.at(k_, g.outcome) + 2 * (static_cast<int64_t>(slot_) * g.rows + row0 + r);
        y[r] = outcome[0] + outcome[1] * critic_target.output<S>(memory_.sums, 0, r);
      });
      block_sync();
      critic.forward<S>(at_, memory_.x, h, memory_.sums);
      for_rows([&](int r) {
        const bool live = row0 + r < batch_;
        const float q = critic.output<S>(memory_.sums, 0, r);
        const LossTerm term = loss_term(p_.loss, q - y[r]);
        const float d = live ? inverse_ * term.slope : 0.0f;
        memory_.delta[r] = d;
        context_.at(k_, g.delta)[row0 + r] = d;
        memory_.value[S::kRows + r] = live ? term.value : 0.0f;
        memory_.value[2 * S::kRows + r] = live ? q : 0.0f;
      });
      block_sync();
      loss_sum += sum_of_rows<S>(memory_.value + S::kRows);
      q_sum += sum_of_rows<S>(memory_.value + 2 * S::kRows);
      finish(backward, p_.critic, row0, grad, tile == part_);
    }
    if (thread_index() == 0) {
      losses()[0] = loss_sum;
      losses()[1] = q_sum;
    }
  }

  PENDULA_FN void actor() const {
    const GridLayout& g = context_.grid;
    const GridNetwork actor = network(true, p_.actor_params, g.actor_params);
    const GridNetwork critic = network(false, p_.critic_params, g.critic_params);
    const KeptLayers h{memory_.layers, p_.actor, S::kRows, kPerWord};
    const KeptLayers critic_h{memory_.layers + kept_words(p_.actor, S::kRows, kPerWord), p_.critic,
                              S::kRows, kPerWord};
    const GridBackward<S> backward(at_, actor, h, memory_.delta);
    const GridBackward<S> through_critic(at_, critic, critic_h, memory_.delta);
    float* grad = partial(p_.actor_grad, p_.actor);
    float loss_sum = 0.0f;
    for (int tile = part_; tile * S::kRows < batch_; tile += parts()) {
      const int row0 = tile * S::kRows;
      load_inputs<S>(context_.inputs(k_, g.x, slot_) + row0 * kGridInputs, memory_.x);
      block_sync();
      actor.forward<S>(at_, memory_.x, h, memory_.sums);
      act(actor, memory_.x);
      critic.forward<S>(at_, memory_.x, critic_h, memory_.sums);
      for_rows([&](int r) {
        const bool live = row0 + r < batch_;
        memory_.delta[r] = live ? -inverse_ : 0.0f;
        memory_.value[r] = live ? -critic.output<S>(memory_.sums, 0, r) : 0.0f;
      });
      block_sync();
      loss_sum += sum_of_rows<S>(memory_.value);
      through_critic.last_delta(nullptr);
      through_critic.hidden_deltas(g, nullptr, 0, [](int) {});
      action_delta(critic_h(0), row0);
      block_sync();
      finish(backward, p_.actor, row0, grad, tile == part_);
    }
    if (thread_index() == 0) losses()[2] = loss_sum;
  }

 private:
  PENDULA_FN int parts() const { return used_partials(p_, agent_.hyper().batch_size); }
  PENDULA_FN GridNetwork network(bool actor, uint64_t params, uint64_t packed) const {
    return {actor ? p_.actor : p_.critic, actor ? context_.grid.actor : context_.grid.critic,
            agent_.at(params), context_.at<uint32_t>(k_, packed)};
  }
  PENDULA_FN TurnLayers turns(const NetworkLayout& net) const {
    return {memory_.layers, net, S::kRows, kPerWord};
  }
  PENDULA_FN float* partial(uint64_t grad, const NetworkLayout& net) const {
    return agent_.work_at(grad) + static_cast<uint64_t>(part_) * net.count;
  }
  PENDULA_FN float* losses() const {
    return agent_.work_at(p_.losses) + (slot_ * p_.partials + part_) * 3;
  }

  // f(row) by a thread for each row of the tile.
  template <class F>
  PENDULA_FN void for_rows(F f) const {
    if (thread_index() < S::kRows) f(thread_index());
  }

  // tanh of the actor's outputs into the inputs behind the observation. Ends with a barrier.
  PENDULA_FN void act(const GridNetwork& actor, uint32_t* x) const {
    for_rows([&](int r) {
      for (int a = 0; a < p_.action_dim; ++a) {
        const float mu = tanh(actor.output<S>(memory_.sums, a, r));
        x[r * kInputPitch + p_.obs_dim + a] = to_tf32(mu);
        memory_.value[(1 + a) * S::kRows + r] = mu;
      }
    });
    block_sync();
  }

  // dL/da through the tanh of the actor's head, from the critic's first delta. A warp takes kRows /
  // 8 rows.
  PENDULA_FN void action_delta(const uint32_t* d, int row0) const {
    constexpr int kEach = S::kRows / kWarps;
    const int width = p_.critic.size[1], inputs = p_.critic.size[0];
    const int words = row_words(width, kPerWord), pitch = row_pitch(width, kPerWord);
    const float* w1 = agent_.at(p_.critic_params) + p_.critic.weight[0];
    const int lane = thread_index() % 32, r0 = at_.lane.warp * kEach;
    for (int a = 0; a < p_.action_dim; ++a) {
      float sum[kEach] = {};
      for (int word = lane; word < words; word += 32) {
        PENDULA_UNROLL
        for (int i = 0; i < kPerWord; ++i) {
          const int unit = P::unit_of(word, i);
          const float w = unit < width ? w1[unit * inputs + p_.obs_dim + a] : 0.0f;
          PENDULA_UNROLL
          for (int r = 0; r < kEach; ++r) {
            sum[r] = fma(P::number(d[(r0 + r) * pitch + word], i), w, sum[r]);
          }
        }
      }
      PENDULA_UNROLL
      for (int r = 0; r < kEach; ++r) {
        const float all = sum_over_rows(sum_over_columns(sum[r]));
        const float mu = memory_.value[(1 + a) * S::kRows + r0 + r];
        const float da = all * (1.0f - mu * mu);
        if (lane == 0) {
          memory_.delta[a * S::kRows + r0 + r] = da;
          context_.at(k_, context_.grid.delta)[a * context_.grid.rows + row0 + r0 + r] = da;
        }
      }
    }
  }

  // Backward through the network that is trained. Ends with a barrier.
  PENDULA_FN void finish(const GridBackward<S>& backward, const NetworkLayout& net, int row0,
                         float* grad, bool first) const {
    const GridLayout& g = context_.grid;
    backward.head_gradient(grad, first, memory_.sums);
    backward.last_delta(context_.at<uint32_t>(k_, g.mask) +
                        static_cast<int64_t>(row0) * mask_words(net));
    backward.hidden_deltas(g, context_.at<char>(k_, g.stored), row0,
                           [&](int l) { backward.bias_gradient(l, grad, first, memory_.sums); });
    backward.first_gradient(memory_.x, grad, first);
    block_sync();
  }

  const GridContext& context_;
  const Plan& p_;
  const AgentView<float> agent_;
  const int k_, part_, slot_, batch_;
  const float inverse_;
  const PassMemory<S> memory_;
  const GridPlace<S> at_;
};

template <class S>
struct CriticPass {
  GridContext context;
  int slot;  // of the slice

  PENDULA_FN int grid() const { return context.plan.agents * context.plan.partials; }

  template <class B>
  PENDULA_FN void operator()(B& b) const {
    const auto [k, part] = place(b.index(), context.plan.partials);
    if (takes_part(context, k, part, slot)) GridPass<S>(context, k, part, slot).critic();
  }

  static PENDULA_FN bool takes_part(const GridContext& context, int k, int part, int slot) {
    const AgentView<float> agent = context.agent(k);
    return agent.update_due(agent.counters().updates + static_cast<uint64_t>(slot)) &&
           part < used_partials(context.plan, agent.hyper().batch_size);
  }
};

template <class S>
struct ActorPass {
  GridContext context;
  int slot;

  PENDULA_FN int grid() const { return context.plan.agents * context.plan.partials; }

  template <class B>
  PENDULA_FN void operator()(B& b) const {
    const auto [k, part] = place(b.index(), context.plan.partials);
    if (CriticPass<S>::takes_part(context, k, part, slot)) {
      GridPass<S>(context, k, part, slot).actor();
    }
  }
};

}  // namespace PENDULA_PROGRAMS
