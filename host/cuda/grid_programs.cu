#include "host/cuda/grid_programs.h"

#include "kernels/grid_gradient.h"
#include "kernels/grid_pack.h"
#include "kernels/grid_update.h"
#include "kernels/launch.h"

namespace pendula {
namespace {

using Block = CudaBlock<Products::kFfma>;
using AnyContext = Context<AnyEnvironment, float>;

template <class Precision>
class GridProgramsOf final : public GridPrograms {
 public:
  using P = Precision;

  GridProgramsOf(const Plan& plan, const GridPlan& grid, char* arena, char* memory)
      : context_{plan, grid.layout, arena, memory},
        any_{plan, {}, arena, nullptr},
        copies_{grid.layout, memory},
        shape_(grid.shape),
        pass_bytes_(grid.pass_bytes) {}

  void pack(cudaStream_t stream) const override {
    launch<Block>(stream, PackNetworks<P>{context_, copies_}, {}, 1, nullptr);
  }
  void lag_actor(cudaStream_t stream) const override {
    launch<Block>(stream, LagActor<AnyEnvironment, float, AnyContext, GridCopies<P>>{any_, copies_},
                  {}, 1, control());
  }
  void critic(cudaStream_t stream, int slot) const override { update(stream, slot, false); }
  void actor(cudaStream_t stream, int slot) const override { update(stream, slot, true); }

 private:
  void update(cudaStream_t stream, int slot, bool actor) const {
    switch (shape_) {
      case GridShape::kNarrow:
        pass<Shape<P, 1, 4>>(stream, slot, actor);
        break;
      case GridShape::kRows64:
        pass<Shape<P, 4, 1>>(stream, slot, actor);
        break;
      case GridShape::kRows32:
        pass<Shape<P, 2, 1>>(stream, slot, actor);
        break;
      case GridShape::kRows16:
        pass<Shape<P, 1, 1>>(stream, slot, actor);
        break;
    }
    const NetworkLayout& net = actor ? context_.plan.actor : context_.plan.critic;
    const int last = net.layers - 2;
    for (int l = 1; l <= last; ++l) {
      if (l == last && l == 1) {
        gradient<true, true>(stream, slot, l, actor);
      } else if (l == last) {
        gradient<true, false>(stream, slot, l, actor);
      } else if (l == 1) {
        gradient<false, true>(stream, slot, l, actor);
      } else {
        gradient<false, false>(stream, slot, l, actor);
      }
    }
    using Copies = GridCopies<P>;
    if (context_.plan.max_grad_norm > 0.0) {
      optimize(stream,
               GradientSum<AnyEnvironment, float, AnyContext, Copies>{any_, slot, actor, copies_});
    }
    optimize(stream,
             AdamStep<AnyEnvironment, float, AnyContext, Copies>{any_, slot, actor, copies_});
  }

  template <class S>
  void pass(cudaStream_t stream, int slot, bool actor) const {
    const BlockMemory memory{pass_bytes_, 0, nullptr};
    if (actor) {
      launch<Block>(stream, ActorPass<S>{context_, slot}, memory, 1, control());
    } else {
      launch<Block>(stream, CriticPass<S>{context_, slot}, memory, 1, control());
    }
  }
  template <bool kLast, bool kFirst>
  void gradient(cudaStream_t stream, int slot, int layer, bool actor) const {
    const BlockMemory memory{kGradientBytes, 0, nullptr};
    launch<Block>(stream, WeightGradient<P, kLast, kFirst>{context_, slot, layer, actor}, memory, 1,
                  control());
  }
  template <class Program>
  void optimize(cudaStream_t stream, const Program& program) const {
    const BlockMemory memory{sizeof(float) * kAdamChunk, 0, nullptr};
    launch<Block>(stream, program, memory, 1, control());
  }
  const Control* control() const {
    return reinterpret_cast<const Control*>(context_.arena + context_.plan.control);
  }

  const GridContext context_;
  const AnyContext any_;
  const GridCopies<P> copies_;
  const GridShape shape_;
  const uint64_t pass_bytes_;
};

}  // namespace

std::unique_ptr<GridPrograms> make_grid_programs(const Plan& plan, const GridPlan& grid,
                                                 char* arena, char* memory) {
  if (grid.layout.per_word == 2) {
    return std::make_unique<GridProgramsOf<Bf16>>(plan, grid, arena, memory);
  }
  return std::make_unique<GridProgramsOf<Tf32>>(plan, grid, arena, memory);
}

}  // namespace pendula
