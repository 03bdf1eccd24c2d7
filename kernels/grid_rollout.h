// The rollout in the grid plan where it is tuned: rollout_length steps of environments whose states
// stay in registers, one in each thread, through observe -> actor -> noise -> step -> ring. The
// same numbers as kernels/rollout.h, but for the products. Two actors:
//
//   ChainActor  hidden layers of at most 64 units: a warp takes its 32 environments through all of
//               them, the sums of a layer being the operand of the next, weights in shared memory
//   LayerActor  any others whose activations fit in shared memory: kernels/grid_layers.h
#pragma once

#include "envs/environment.h"
#include "kernels/env_tile.h"
#include "kernels/grid_update.h"
#include "kernels/noise.h"

namespace PENDULA_PROGRAMS {

inline constexpr int kChainWidth = 64;  // units
inline constexpr int kChainTiles = 2;   // of 16 environments, of a warp
inline constexpr int kChainColumns = kChainWidth / 8;

// What an actor is made of.
struct ActorData {
  const NetworkLayout& net;
  const PackedLayout& layout;
  const float* params;
  const uint32_t* packed;
  char* shared;

  PENDULA_FN GridNetwork network() const { return {net, layout, params, packed}; }
};

// Words of shared memory of a ChainActor: packed weights, then biases and heads.
PENDULA_FN int chain_words(const NetworkLayout& net, const PackedLayout& layout) {
  int words = static_cast<int>(layout.forward_words) + net.size[net.layers] * (kChainWidth + 1);
  return words + (net.layers - 1) * kChainWidth;
}

template <class Precision, int observations, int actions>
class ChainActor {
 public:
  using P = Precision;
  static constexpr int kRows = kThreads;  // environments of a block

  // Ends with a barrier.
  PENDULA_FN explicit ChainActor(const ActorData& data)
      : net_(data.net), layout_(data.layout), lane_(lane_place(thread_index())) {
    uint32_t* words = reinterpret_cast<uint32_t*>(data.shared);
    const int weights = static_cast<int>(layout_.forward_words);
    weights_ = words;
    biases_ = reinterpret_cast<float*>(words + weights);
    heads_ = biases_ + (net_.layers - 1) * kChainWidth;
    for (int i = thread_index(); i < weights; i += kThreads) words[i] = data.packed[i];
    const GridNetwork network = data.network();
    for (int i = thread_index(); i < (net_.layers - 1) * kChainWidth; i += kThreads) {
      const int l = i / kChainWidth, unit = i % kChainWidth;
      biases_[i] = unit < network.width(l) ? network.bias(l)[unit] : 0.0f;
    }
    for (int i = thread_index(); i < actions * (kChainWidth + 1); i += kThreads) {
      const int a = i / (kChainWidth + 1), unit = i % (kChainWidth + 1);
      heads_[i] = unit == kChainWidth                    ? network.head_bias(a)
                  : unit < network.width(network.last()) ? network.head(a)[unit]
                                                         : 0.0f;
    }
    block_sync();
  }

  // This thread's environment. By all threads of the warp.
  PENDULA_FN void act(const float (&obs)[observations], float (&mu)[actions]) const {
    Sums u;
    first_layer(obs, u);
    for (int l = 1; l + 1 < net_.layers; ++l) next_layer(l, u);
    for (int a = 0; a < actions; ++a) mu[a] = tanh(output(a, u));
  }

 private:
  // Element i of c[m][t]: environment 16 m + row_of(i), unit 8 t + 2 q + (i & 1).
  struct Sums {
    float c[kChainTiles][kChainColumns][4];
  };
  static constexpr int kSteps = kChainWidth / P::kPerStep;
  struct Operand {
    uint32_t a[kChainTiles][kSteps][4];
  };

  PENDULA_FN void start(int l, Sums& u) const {
    PENDULA_UNROLL
    for (int t = 0; t < kChainColumns; ++t) {
      const Pair b = load_pair(biases_ + l * kChainWidth + 8 * t + 2 * lane_.q);
      PENDULA_UNROLL
      for (int m = 0; m < kChainTiles; ++m) {
        u.c[m][t][0] = u.c[m][t][2] = b.x;
        u.c[m][t][1] = u.c[m][t][3] = b.y;
      }
    }
  }
  PENDULA_FN const PackedWords& weights(int l, int pair, int steps, int step) const {
    return reinterpret_cast<const PackedWords*>(
        weights_ + layout_.forward[l])[(pair * steps + step) * 32 + thread_index() % 32];
  }
  static PENDULA_FN void rectify(Sums& u) {
    PENDULA_UNROLL
    for (int m = 0; m < kChainTiles; ++m) {
      PENDULA_UNROLL
      for (int t = 0; t < kChainColumns; ++t) {
        PENDULA_UNROLL
        for (int i = 0; i < 4; ++i) u.c[m][t][i] = relu(u.c[m][t][i]);
      }
    }
  }

  PENDULA_FN void first_layer(const float (&obs)[observations], Sums& u) const {
    uint32_t a[kChainTiles][4] = {};
    PENDULA_UNROLL
    for (int j = 0; j < observations; ++j) {
      const uint32_t x = to_tf32(obs[j]);
      PENDULA_UNROLL
      for (int m = 0; m < kChainTiles; ++m) {
        PENDULA_UNROLL
        for (int h = 0; h < 2; ++h) {  // rows g and g + 8
          const uint32_t of_row = from_lane(x, 16 * m + 8 * h + lane_.g);
          if (lane_.q == (j & 3)) a[m][2 * (j / 4) + h] = of_row;
        }
      }
    }
    start(0, u);
    PENDULA_UNROLL
    for (int pair = 0; pair < kChainColumns / 2; ++pair) {
      if (16 * pair >= net_.size[1]) continue;
      const PackedWords w = weights(0, pair, 1, 0);
      PENDULA_UNROLL
      for (int m = 0; m < kChainTiles; ++m) {
        Tf32::mma(u.c[m][2 * pair], a[m], w.x, w.y);
        Tf32::mma(u.c[m][2 * pair + 1], a[m], w.z, w.w);
      }
    }
    rectify(u);
  }

  // Layer l from the activations of the one before, in place.
  PENDULA_FN void next_layer(int l, Sums& u) const {
    Operand in;
    PENDULA_UNROLL
    for (int m = 0; m < kChainTiles; ++m) {
      PENDULA_UNROLL
      for (int s = 0; s < kSteps; ++s) {
        if constexpr (P::kPerWord == 1) {
          const float(&c)[4] = u.c[m][s];
          const auto g = P::pack(c[0], c[1]), g8 = P::pack(c[2], c[3]);
          in.a[m][s][0] = g.at[0];
          in.a[m][s][1] = g8.at[0];
          in.a[m][s][2] = g.at[P::kWords - 1];
          in.a[m][s][3] = g8.at[P::kWords - 1];
        } else {
          PENDULA_UNROLL
          for (int i = 0; i < 2; ++i) {
            const float(&c)[4] = u.c[m][2 * s + i];
            in.a[m][s][2 * i] = P::word(c[0], c[1]);
            in.a[m][s][2 * i + 1] = P::word(c[2], c[3]);
          }
        }
      }
    }
    start(l, u);
    const int steps = sum_steps(net_.size[l], P::kPerWord);
    PENDULA_UNROLL
    for (int pair = 0; pair < kChainColumns / 2; ++pair) {
      if (16 * pair >= net_.size[l + 1]) continue;
      PENDULA_UNROLL
      for (int s = 0; s < kSteps; ++s) {
        if (s >= steps) continue;
        const PackedWords w = weights(l, pair, steps, s);
        PENDULA_UNROLL
        for (int m = 0; m < kChainTiles; ++m) {
          P::mma(u.c[m][2 * pair], in.a[m][s], w.x, w.y);
          P::mma(u.c[m][2 * pair + 1], in.a[m][s], w.z, w.w);
        }
      }
    }
    rectify(u);
  }

  // Output a of this thread's environment.
  PENDULA_FN float output(int a, const Sums& u) const {
    const float* head = heads_ + a * (kChainWidth + 1);
    float mine = 0.0f;
    PENDULA_UNROLL
    for (int m = 0; m < kChainTiles; ++m) {
      PENDULA_UNROLL
      for (int h = 0; h < 2; ++h) {
        float sum = 0.0f;
        PENDULA_UNROLL
        for (int t = 0; t < kChainColumns; ++t) {
          sum = fma(u.c[m][t][2 * h], head[8 * t + 2 * lane_.q], sum);
          sum = fma(u.c[m][t][2 * h + 1], head[8 * t + 2 * lane_.q + 1], sum);
        }
        // Environment 16 m + 8 h + g has it in lanes 4 g ..
        const int lane = thread_index() % 32;
        const float of_row = from_lane(sum_over_columns(sum), 4 * (lane % 8));
        if (lane / 8 == 2 * m + h) mine = of_row;
      }
    }
    return mine + head[kChainWidth];
  }

  template <class T>
  static PENDULA_FN T from_lane(T x, [[maybe_unused]] int lane) {
#if PENDULA_DEVICE
    x = __shfl_sync(0xffffffffu, x, lane);
#endif
    return x;
  }

  const NetworkLayout& net_;
  const PackedLayout& layout_;
  const Lane lane_;
  uint32_t* weights_;
  float* biases_;  // (layers, kChainWidth)
  float* heads_;   // (actions, kChainWidth + 1): the last one is the bias
};

// Shared memory of a LayerActor, in bytes.
template <class S>
PENDULA_FN int layer_actor_bytes(const NetworkLayout& net) {
  return static_cast<int>(sizeof(uint32_t)) *
         (S::kRows * (kInputPitch + net.size[net.layers] * S::kColumnWarps) +
          turn_words(net, S::kRows, S::P::kPerWord));
}

template <class S, int observations, int actions>
class LayerActor {
 public:
  using P = typename S::P;
  static constexpr int kRows = S::kRows;

  PENDULA_FN explicit LayerActor(const ActorData& data)
      : network_(data.network()),
        x_(reinterpret_cast<uint32_t*>(data.shared)),
        sums_(reinterpret_cast<float*>(x_ + kRows * kInputPitch)),
        turns_{reinterpret_cast<uint32_t*>(sums_ + actions * S::kColumnWarps * kRows), data.net,
               kRows, P::kPerWord} {}

  // By all threads of the block; the first kRows have an environment.
  PENDULA_FN void act(const float (&obs)[observations], float (&mu)[actions]) const {
    const int row = thread_index();
    if (row < kRows) {
      uint32_t* x = x_ + row * kInputPitch;
      for (int j = 0; j < kGridInputs; ++j) x[j] = j < observations ? to_tf32(obs[j]) : 0;
    }
    block_sync();
    network_.template forward<S>(at_, x_, turns_, sums_);
    if (row < kRows) {
      for (int a = 0; a < actions; ++a) mu[a] = tanh(network_.template output<S>(sums_, a, row));
    }
  }

 private:
  const GridNetwork network_;
  uint32_t* const x_;
  float* const sums_;
  const TurnLayers turns_;
  const GridPlace<S> at_;
};

template <class Env, class Actor>
struct GridRollout {
  static constexpr int S = Env::kStateDim, O = Env::kObsDim, A = Env::kActionDim;
  Context<Env, float> context;
  GridLayout grid_layout;
  char* memory;

  PENDULA_FN int parts() const { return (context.plan.num_envs + Actor::kRows - 1) / Actor::kRows; }
  PENDULA_FN int grid() const { return context.plan.agents * parts(); }

  template <class B>
  PENDULA_FN void operator()(B& b) const {
    const Plan& p = context.plan;
    const auto [k, part] = place(b.index(), parts());
    const AgentView<float> agent = context.agent(k);
    const AgentHyper& h = agent.hyper();
    const AgentCounters& c = agent.counters();
    if (c.fault != 0 || c.slice != 0) return;

    const bool lag = p.policy_lag != 0;
    const ActorData data{p.actor, grid_layout.actor,
                         agent.at(lag ? p.actor_lagged : p.actor_params),
                         reinterpret_cast<const uint32_t*>(
                             memory + static_cast<uint64_t>(k) * grid_layout.bytes +
                             (lag ? grid_layout.actor_lagged : grid_layout.actor_params)),
                         shared_memory()};
    const Actor actor(data);
    const int env = part * Actor::kRows + thread_index();
    const bool live = thread_index() < Actor::kRows && env < p.num_envs;
    const uint64_t steps_before = c.iteration * steps_per_iteration(p);
    const bool warmup = steps_before < p.warmup_steps;
    const uint64_t begin = c.iteration * static_cast<uint64_t>(p.rollout_length);
    uint64_t row = begin % p.ring_rows;

    Environment e = load(agent, env, live);
    Draws draws;
    for (int l = 0; l < p.rollout_length; ++l) {
      const uint64_t t = begin + static_cast<uint64_t>(l);  // time step of every environment
      float action[A] = {};
      if (!warmup) {
        float obs[O];
        Env::observe(context.env, e.state, obs);
        actor.act(obs, action);
      }
      if (l == 0 || t % kNoiseSteps == 0) draw(p, h, warmup, env, t, draws);
      const float sigma = static_cast<float>(
          sigma_at(h, steps_before + static_cast<uint64_t>(l) * static_cast<uint64_t>(p.num_envs)));
      add_noise(p, h, warmup, static_cast<int>(t % kNoiseSteps), sigma, draws, e, action);
      step(agent, env, live, t, row, action, e);
      row = row + 1 == p.ring_rows ? 0 : row + 1;
    }
    save(agent, env, live, part, e);
  }

 private:
  static constexpr int kRecord = record_size(S, A);

  // A thread's environment.
  struct Environment {
    float state[S], ou[A];
    float steps, returns;
    float ended[4];  // over the episodes that ended: 1, return, length, not finite
  };
  // For kNoiseSteps time steps.
  struct Draws {
    float number[A][kNoiseSteps], normal[A][kNoiseSteps], uniformly[kNoiseSteps];
  };

  PENDULA_FN Environment load(const AgentView<float>& agent, int env, bool live) const {
    const Plan& p = context.plan;
    Environment e{};
    if (!live) return e;
    for (int d = 0; d < S; ++d) {
      e.state[d] = agent.at(p.env_state)[static_cast<int64_t>(d) * p.num_envs + env];
    }
    if (p.noise == NoiseType::kOu) {
      for (int d = 0; d < A; ++d) {
        e.ou[d] = agent.at(p.ou_noise)[static_cast<int64_t>(d) * p.num_envs + env];
      }
    }
    e.returns = agent.at(p.episode_return)[env];
    e.steps = static_cast<float>(static_cast<int32_t>(agent.episode_step()[env]));
    return e;
  }

  // draw_noise of kernels/noise.h.
  PENDULA_FN void draw(const Plan& p, const AgentHyper& h, bool warmup, int env, uint64_t t,
                       Draws& out) const {
    const NoiseCall call{h.seed, t / kNoiseSteps};
    const uint32_t index = static_cast<uint32_t>(env);
    const float rung = static_cast<float>(ladder_rung(p, h));
    const float ladder = fma(to_real<float>(index), rung, 1.0f);
    if (!warmup) call.uniformly(index, static_cast<float>(h.epsilon), out.uniformly);
    for (int d = 0; d < A; ++d) {
      if (warmup || h.epsilon > 0.0) call.actions(index, d, out.number[d]);
      if (!warmup || p.noise == NoiseType::kOu) call.normals(index, d, ladder, out.normal[d]);
    }
  }

  // number j of four, which registers cannot be indexed by.
  static PENDULA_FN float pick(const float (&x)[kNoiseSteps], int j) {
    return j < 2 ? (j == 0 ? x[0] : x[1]) : (j == 2 ? x[2] : x[3]);
  }

  // advance_ou and behaviour_action of kernels/noise.h; the result in the environment's units.
  PENDULA_FN void add_noise(const Plan& p, const AgentHyper& h, bool warmup, int j, float sigma,
                            const Draws& draws, Environment& e, float (&action)[A]) const {
    const bool ou = p.noise == NoiseType::kOu;
    for (int d = 0; d < A; ++d) {
      float noise = warmup ? 0.0f : pick(draws.normal[d], j);
      if (ou) {
        const float keep = static_cast<float>(1.0 - h.ou_theta * h.ou_dt);
        const float scale = sigma * static_cast<float>(std::sqrt(h.ou_dt));
        noise = e.ou[d] = fma(keep, e.ou[d], scale * pick(draws.normal[d], j));
      }
      const bool uniformly = warmup || (h.epsilon > 0.0 && pick(draws.uniformly, j) == 1.0f);
      const float a = uniformly ? pick(draws.number[d], j)
                                : behaviour_action(action[d], ou ? 1.0f : sigma, noise, 0.0f);
      action[d] = a * Env::action_bound(context.env, d);
    }
  }

  // For time step t: the environment's step, the record, the end of the episode.
  PENDULA_FN void step(const AgentView<float>& agent, int env, bool live, uint64_t t, uint64_t row,
                       const float (&action)[A], Environment& e) const {
    const Plan& p = context.plan;
    float next[S];
    const StepResult<float> r = Env::step(context.env, e.state, action, next);
    struct alignas(16) Record {
      float at[kRecord];
    } record{};
    for (int d = 0; d < S; ++d) record.at[d] = e.state[d];
    for (int d = 0; d < A; ++d) record.at[S + d] = action[d];
    record.at[S + A] = r.reward;
    if (live) {
      reinterpret_cast<Record*>(agent.at(
          p.ring))[row * static_cast<uint64_t>(p.num_envs) + static_cast<uint64_t>(env)] = record;
    }
    for (int d = 0; d < S; ++d) e.state[d] = next[d];
    e.returns += r.reward;
    e.steps += 1.0f;
    const bool done =
        live && (r.terminated > 0.0f || e.steps >= static_cast<float>(p.max_episode_steps));
    mark_ends(agent, env, live, row, done);
    if (done) {
      e.ended[0] += 1.0f;
      e.ended[1] += e.returns;
      e.ended[2] += e.steps;
      e.ended[3] += not_finite(e);
      e.returns = e.steps = 0.0f;
      for (int d = 0; d < A; ++d) e.ou[d] = 0.0f;
      reset_state<Env>(context.env, agent.hyper().seed, Purpose::kReset, static_cast<uint64_t>(env),
                       t + 1, e.state);
    }
  }

  // The bits of the ring that say where episodes end: of a warp's environments, one word.
  PENDULA_FN void mark_ends(const AgentView<float>& agent, int env, bool live, uint64_t row,
                            [[maybe_unused]] bool done) const {
    uint32_t bits = 0;
#if PENDULA_DEVICE
    bits = __ballot_sync(0xffffffffu, done);
#endif
    const uint64_t words = static_cast<uint64_t>((context.plan.num_envs + 31) / 32);
    if (live && env % 32 == 0)
      agent.ring_end()[row * words + static_cast<uint64_t>(env / 32)] = bits;
  }

  // 1 where the state or the episode's return is NaN or Inf.
  static PENDULA_FN float not_finite(const Environment& e) {
    float zero = e.returns * 0.0f;
    for (int d = 0; d < S; ++d) zero = fma(e.state[d], 0.0f, zero);
    return zero == 0.0f ? 0.0f : 1.0f;
  }

  // Back to the agent's state; sums over kRows environments, in the order of kernels/rollout.h.
  PENDULA_FN void save(const AgentView<float>& agent, int env, bool live, int part,
                       Environment& e) const {
    const Plan& p = context.plan;
    if (live) {
      for (int d = 0; d < S; ++d) {
        agent.at(p.env_state)[static_cast<int64_t>(d) * p.num_envs + env] = e.state[d];
      }
      if (p.noise == NoiseType::kOu) {
        for (int d = 0; d < A; ++d) {
          agent.at(p.ou_noise)[static_cast<int64_t>(d) * p.num_envs + env] = e.ou[d];
        }
      }
      agent.at(p.episode_return)[env] = e.returns;
      agent.episode_step()[env] = static_cast<uint32_t>(static_cast<int32_t>(e.steps));
      e.ended[3] += not_finite(e);
    }
    block_sync();                                              // the actor's memory is free
    float* ended = reinterpret_cast<float*>(shared_memory());  // (4, kRows)
    for (int d = 0; d < 4 && thread_index() < Actor::kRows; ++d) {
      ended[d * Actor::kRows + thread_index()] = e.ended[d];
    }
    block_sync();
    constexpr int kTiles = Actor::kRows / kRows;
    const int warp = thread_index() / 32, lane = thread_index() % 32;
    for (int i = warp; i < 4 * kTiles; i += kWarps) {
      const int tile = i / 4, d = i % 4, whole = part * kTiles + tile;
      const float* from = ended + d * Actor::kRows + tile * kRows;
      float sum = from[lane] + from[lane + 32];
      for (int lanes = 16; lanes > 0; lanes /= 2) sum = add_over(sum, lanes);
      if (lane == 0 && whole < p.env_tiles) agent.work_at(p.rollout_sums)[whole * 4 + d] = sum;
    }
  }
};

}  // namespace PENDULA_PROGRAMS
