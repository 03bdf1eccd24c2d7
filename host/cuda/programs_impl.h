// The body of host/cuda/programs.h for one environment and one kind of products.
#pragma once

#include "host/cuda/grid_programs.h"
#include "host/cuda/programs.h"
#include "kernels/column_trainer.h"
#include "kernels/control_cuda.h"
#include "kernels/evaluate.h"
#include "kernels/grid_rollout.h"
#include "kernels/grid_samples.h"
#include "kernels/initialise.h"
#include "kernels/iteration.h"
#include "kernels/tile_trainer.h"

namespace pendula {

template <class Env, Products kProducts>
class CudaProgramsOf final : public CudaPrograms {
 public:
  explicit CudaProgramsOf(const CudaSetup& setup) : memory_(setup.memory) {
    context_.plan = setup.plan;
    float* values = reinterpret_cast<float*>(&context_.env);
    for (size_t i = 0; i < setup.env_params.size(); ++i) {
      values[i] = static_cast<float>(setup.env_params[i]);
    }
    context_.arena = setup.arena;
    context_.page = setup.page;
  }

  void initialise(cudaStream_t stream) const override {
    start<Products::kFfma>(stream, Initialise<Env, float>{context_}, memory_.plain, nullptr);
  }
  void begin(cudaStream_t stream, uint64_t until_iteration, bool acts_beside) const override {
    start<Products::kFfma>(stream, BeginLaunch<Env, float>{context_, until_iteration, acts_beside},
                           memory_.plain, nullptr);
  }
  void slice(cudaStream_t stream, const GraphBranch& branch) const override {
    const InSlice run{*this, stream};
    const bool lag = context_.plan.policy_lag != 0;
    if (lag) {
      lag_actor(run);
      branch.part(stream, [&](cudaStream_t beside) { act(InSlice{*this, beside}, true); });
    } else {
      act(run, false);
    }
    update(run);
    if (lag) branch.join(stream);
    run(Advance<Env, float>{context_});
    run(SetHalt<Env, float>{context_});
  }
  void warmup_slice(cudaStream_t stream) const override {
    const InSlice run{*this, stream};
    if constexpr (kTuned) act_by<NoActor>(run, sizeof(float) * 4 * NoActor::kRows, false);
    run(Advance<Env, float>{context_});
    run(SetHalt<Env, float>{context_});
  }
  void use_grid(const GridPlan& grid, char* memory) override {
    grid_ = make_grid_programs(context_.plan, grid, context_.arena, memory);
    grid_plan_ = grid;
    grid_memory_ = memory;
  }
  void prepare(cudaStream_t stream) const override {
    if (grid_ != nullptr) grid_->pack(stream);
    if (context_.plan.policy_lag != 0) act(InSlice{*this, stream}, false);
  }
  void next_turn(cudaStream_t stream, cudaGraphConditionalHandle handle) const override {
    start<Products::kFfma>(stream, NextTurn<Env, float>{context_, handle}, memory_.plain, nullptr);
  }
  void turns(cudaStream_t stream, const DevicePlan& plan) const override {
    if constexpr (kTuned) {
      if (plan.columns) {
        turns_by<ColumnTrainer<Env>>(stream, plan);
      } else if (!plan.tiles) {
        turns_by<ProgramTrainer<Env, kProducts>>(stream, plan);
      } else if (plan.tiles->moments) {
        turns_by<TileTrainer<Env, 128, true>>(stream, plan);
      } else if (plan.tiles->rows == 128) {
        turns_by<TileTrainer<Env, 128, false>>(stream, plan);
      } else {
        turns_by<TileTrainer<Env, 32, false>>(stream, plan);
      }
    } else {
      turns_by<ProgramTrainer<Env, kProducts>>(stream, plan);
    }
    start<Products::kFfma>(stream, SetHalt<Env, float>{context_}, memory_.plain, nullptr);
  }
  int max_clusters(const DevicePlan& plan) const override {
    if constexpr (kTuned) {
      if (plan.columns) {
        return max_active_clusters<Env, ColumnTrainer<Env>>(plan.setup.cluster, plan.shared_bytes);
      }
    }
    return max_active_clusters<Env, ProgramTrainer<Env, kProducts>>(plan.setup.cluster,
                                                                    plan.shared_bytes);
  }
  void evaluate(cudaStream_t stream, int episodes, float* returns,
                uint32_t* lengths) const override {
    start<kProducts>(stream, Evaluate<Env, float>{context_, episodes, returns, lengths},
                     memory_.evaluate, nullptr);
  }

 private:
  // Whether the tuned plans are compiled for this environment and these products.
  static constexpr bool kTuned = kHasTiles<Env> && kProducts == Products::kTf32;

  struct InSlice;

  // A rollout; ahead: see rollout_turn().
  void act(const InSlice& run, bool ahead) const {
    if constexpr (kTuned) {
      if (grid_ != nullptr && grid_plan_.layout.per_word == 2) {
        act_in<Bf16>(run, ahead);
        return;
      }
      if (grid_ != nullptr) {
        act_in<Tf32>(run, ahead);
        return;
      }
    }
    run(Rollout<Env, float>{context_, ahead});
  }
  // The same where the grid plan is tuned.
  template <class P>
  void act_in(const InSlice& run, bool ahead) const {
    const uint64_t bytes = grid_plan_.rollout_bytes;
    switch (grid_plan_.actor) {
      case GridActor::kProgram:
        run(Rollout<Env, float>{context_, ahead});
        break;
      case GridActor::kChain:
        act_by<ChainActor<P, Env::kObsDim, Env::kActionDim>>(run, bytes, ahead);
        break;
      case GridActor::kLayers64:
        act_by<LayerActor<Shape<P, 4, 1>, Env::kObsDim, Env::kActionDim>>(run, bytes, ahead);
        break;
      case GridActor::kLayers128:
        act_by<LayerActor<Shape<P, 8, 1>, Env::kObsDim, Env::kActionDim>>(run, bytes, ahead);
        break;
    }
  }
  template <class Actor>
  void act_by(const InSlice& run, uint64_t shared_bytes, bool ahead) const {
    run.template run<Products::kFfma>(
        GridRollout<Env, Actor>{context_, grid_plan_.layout, grid_memory_, ahead},
        BlockMemory{shared_bytes, 0, nullptr});
  }

  void lag_actor(const InSlice& run) const {
    if (grid_ != nullptr) {
      grid_->lag_actor(run.stream);
    } else {
      run(LagActor<Env, float>{context_});
    }
  }

  // The updates of a slice.
  void update(const InSlice& run) const {
    if (grid_ == nullptr) {
      for_each_update_program(context_, run);
      return;
    }
    if constexpr (kTuned) {
      run.template run<Products::kFfma>(
          SampleBatches<Env>{context_, grid_plan_.layout, grid_memory_}, memory_.plain);
    }
    for (int slot = 0; slot < context_.plan.update_slots; ++slot) {
      grid_->critic(run.stream, slot);
      grid_->actor(run.stream, slot);
    }
  }

  template <class Trainer>
  void turns_by(cudaStream_t stream, const DevicePlan& plan) const {
    launch_turns<Env, Trainer>(stream, context_, plan.setup, plan.shared_bytes);
  }

  // Programs with matrix products are compiled for both kinds, the others once.
  struct InSlice {
    const CudaProgramsOf& self;
    cudaStream_t stream;

    void operator()(const Rollout<Env, float>& p) const { run<kProducts>(p, self.memory_.rollout); }
    void operator()(const CriticGradient<Env, float>& p) const {
      run<kProducts>(p, self.memory_.critic_gradient);
    }
    void operator()(const ActorGradient<Env, float>& p) const {
      run<kProducts>(p, self.memory_.actor_gradient);
    }
    void operator()(const GradientSum<Env, float>& p) const {
      run<Products::kFfma>(p, self.memory_.optimizer);
    }
    void operator()(const AdamStep<Env, float>& p) const {
      run<Products::kFfma>(p, self.memory_.optimizer);
    }
    void operator()(const LagActor<Env, float>& p) const {
      run<Products::kFfma>(p, self.memory_.plain);
    }
    void operator()(const Advance<Env, float>& p) const {
      run<Products::kFfma>(p, self.memory_.plain);
    }
    void operator()(const SetHalt<Env, float>& p) const {
      run<Products::kFfma>(p, self.memory_.plain);
    }

    template <Products kKind, class Program>
    void run(const Program& program, const BlockMemory& memory) const {
      self.start<kKind>(stream, program, memory, self.control());
    }
  };

  template <Products kKind, class Program>
  void start(cudaStream_t stream, const Program& program, const BlockMemory& memory,
             const Control* control) const {
    launch<CudaBlock<kKind>>(stream, program, memory, memory_.resident_blocks, control);
  }

  // A device address.
  const Control* control() const {
    return reinterpret_cast<const Control*>(context_.arena + context_.plan.control);
  }

  Context<Env, float> context_;
  ProgramMemory memory_;
  std::unique_ptr<GridPrograms> grid_;  // null: the programs of kernels/iteration.h
  GridPlan grid_plan_{};
  char* grid_memory_ = nullptr;
};

}  // namespace pendula

// Defines make_cuda_<Env>_<kind>, kind kFfma or kTf32.
#define PENDULA_CUDA_PROGRAMS(Env, kind)                                           \
  namespace pendula {                                                              \
  std::unique_ptr<CudaPrograms> make_cuda_##Env##_##kind(const CudaSetup& setup);  \
  std::unique_ptr<CudaPrograms> make_cuda_##Env##_##kind(const CudaSetup& setup) { \
    return std::make_unique<CudaProgramsOf<Env, Products::kind>>(setup);           \
  }                                                                                \
  }
