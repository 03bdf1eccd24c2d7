#include "host/device_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "host/error.h"

namespace pendula {
namespace {

constexpr int kLargestCluster = 16;
constexpr int kTurnIterations = 50;  // that an agent stays where agents take turns,
constexpr int kTurnUpdates = 4096;   // or so many updates: a stop waits for all agents' turns
constexpr int kLookUpdates = 16;     // updates between two looks at the stop flag, about
constexpr int kSmallBatch = 1024;    // above it one agent has work for the whole GPU
constexpr int kFewTiles = 16;        // of environments, the same

uint64_t largest_shared(const ProgramMemory& m) {
  return std::max({m.rollout.shared_bytes, m.critic_gradient.shared_bytes,
                   m.actor_gradient.shared_bytes, m.optimizer.shared_bytes});
}

void take_memory(const ProgramMemory& m, TurnSetup& setup) {
  setup.rollout = m.rollout;
  setup.critic_gradient = m.critic_gradient;
  setup.actor_gradient = m.actor_gradient;
  setup.optimizer = m.optimizer;
  setup.plain = m.plain;
}

// With the networks up to `end` of the agent's part in shared memory; nothing where they do not
// fit.
std::optional<DevicePlan> resident_plan(const Plan& p, const GpuLimits& gpu, uint64_t end,
                                        const char* residency) {
  const uint64_t bytes = end - p.actor_params;
  if (bytes + kTurnShared >= gpu.shared_bytes) return std::nullopt;
  const ProgramMemory memory = measure_programs(p, gpu.shared_bytes - kTurnShared - bytes, 1);
  if (memory.turn_spill_bytes() != 0) return std::nullopt;
  DevicePlan plan;
  plan.kind = PlanKind::kBlock;
  plan.setup.resident_bytes = static_cast<uint32_t>(bytes);
  plan.setup.resident_end = end;
  plan.shared_bytes = bytes + largest_shared(memory);
  plan.residency = residency;
  take_memory(memory, plan.setup);
  return plan;
}

void spread(const Plan& p, int cluster, int clusters, DevicePlan& plan) {
  plan.setup.cluster = cluster;
  plan.setup.clusters = std::min(clusters, p.agents);
  const int updates = p.update_slots * p.slices;  // of an iteration
  const int look = std::max(1, kLookUpdates / updates);
  const int turn = std::clamp(kTurnUpdates / updates, 1, kTurnIterations);
  plan.setup.turn =
      static_cast<uint32_t>(p.agents > plan.setup.clusters ? std::max(turn, look) : look);
}

bool has_clusters(const GpuLimits& gpu) { return gpu.compute_capability >= 90; }

// Whether the networks are of two hidden layers of at most `widest` units, trained with tf32.
bool can_be_tuned(const Config& c, const Plan& p, int widest) {
  const auto fits = [=](const NetworkLayout& net) {
    return net.layers == 3 && net.widest <= widest && net.activation != Activation::kSilu;
  };
  return fits(p.actor) && fits(p.critic) && p.policy_lag == 0 &&
         p.obs_dim + p.action_dim < kTileInputs && c.precision != Precision::kFp32;
}

std::optional<DevicePlan> tile_plan(const Config& c, const Plan& p, const GpuLimits& gpu) {
  if (!can_be_tuned(c, p, kTileWidth)) return std::nullopt;
  const TileKind kind = tile_kind(gpu.compute_capability);
  const TileBytes bytes = tile_bytes(p.action_dim, kind);
  if (bytes.networks + bytes.scratch + kTurnShared > gpu.shared_bytes) return std::nullopt;
  DevicePlan plan;
  plan.kind = PlanKind::kBlock;
  plan.tiles = kind;
  plan.setup.resident_bytes = bytes.networks;
  plan.setup.rollout = measure_rollout(p, gpu.shared_bytes - kTurnShared - bytes.networks);
  plan.shared_bytes =
      bytes.networks + std::max<uint64_t>(bytes.scratch, plan.setup.rollout.shared_bytes);
  plan.residency = kind.moments ? "networks, targets and moments, as tiles"
                                : "networks and targets, as tiles; moments in L2";
  return plan;
}

std::optional<DevicePlan> block_plan(const Config& c, const Plan& p, const GpuLimits& gpu) {
  auto plan = tile_plan(c, p, gpu);
  if (!plan) plan = resident_plan(p, gpu, p.networks_end, "networks, targets and moments");
  if (!plan) plan = resident_plan(p, gpu, p.actor_m, "networks and targets; moments in L2");
  if (plan) spread(p, 1, gpu.multiprocessors, *plan);
  return plan;
}

// Networks of two hidden layers of at most 256 units, 16 columns in each block.
std::optional<DevicePlan> column_plan(const Config& c, const Plan& p, const GpuLimits& gpu) {
  if (!can_be_tuned(c, p, kWidestColumns) || !has_columns(gpu.compute_capability)) {
    return std::nullopt;
  }
  const int blocks = column_blocks(std::max(p.actor.widest, p.critic.widest));
  for (const bool moments : {true, false}) {
    const ColumnBytes bytes{kColumns * blocks, p.action_dim, moments};
    const uint64_t resident = sizeof(float) * static_cast<uint64_t>(bytes.resident());
    const uint64_t scratch = sizeof(float) * static_cast<uint64_t>(bytes.scratch());
    if (resident + scratch + kTurnShared > gpu.shared_bytes) continue;
    DevicePlan plan;
    plan.kind = PlanKind::kCluster;
    plan.columns = true;
    plan.setup.cluster = blocks;
    plan.setup.moments = moments;
    plan.setup.resident_bytes = static_cast<uint32_t>(resident);
    plan.setup.rollout = measure_rollout(p, gpu.shared_bytes - kTurnShared - resident);
    plan.shared_bytes = resident + std::max(scratch, plan.setup.rollout.shared_bytes);
    plan.residency = fmt::format("{} columns of networks and targets{}", kColumns,
                                 moments ? ", and their moments" : "; moments in L2");
    const int clusters = plan.setup.rollout.spill_bytes == 0 ? gpu.max_clusters(plan) : 0;
    if (clusters == 0) continue;
    spread(p, blocks, clusters, plan);
    plan.why = fmt::format("{} clusters of {} blocks fit at the same time", clusters, blocks);
    return plan;
  }
  return std::nullopt;
}

// Else the largest clusters that the GPU has room for.
std::optional<DevicePlan> cluster_plan(const Config& c, const Plan& p, const GpuLimits& gpu) {
  if (!has_clusters(gpu)) return std::nullopt;
  if (auto plan = column_plan(c, p, gpu)) return plan;
  DevicePlan plan;
  plan.kind = PlanKind::kCluster;
  plan.residency = "networks in L2";
  const ProgramMemory memory = measure_programs(p, gpu.shared_bytes - kTurnShared, 1);
  take_memory(memory, plan.setup);
  plan.shared_bytes = largest_shared(memory);
  for (int cluster = kLargestCluster; cluster > 1; cluster /= 2) {
    plan.setup.cluster = cluster;
    const int clusters = gpu.max_clusters(plan);
    if (clusters == 0) continue;
    spread(p, cluster, clusters, plan);
    plan.why = fmt::format("{} clusters of {} blocks fit at the same time", clusters, cluster);
    return plan;
  }
  return std::nullopt;
}

// Over the whole GPU. why: what says for this plan.
DevicePlan grid_plan(const Config& c, const Plan& p, const GpuLimits& gpu, std::string why) {
  DevicePlan plan;
  std::string why_not;
  plan.grid = choose_grid_plan(c, p, gpu.shared_bytes, why_not);
  if (!plan.grid && c.precision == Precision::kBf16) {
    throw Error(ExitCode::kUsage,
                fmt::format("\"precision\": \"bf16\" cannot be had: no tuned products, {}; use "
                            "\"tf32\"",
                            why_not));
  }
  if (!plan.grid) {
    why = fmt::format("{}{}no tuned products: {}", why, why.empty() ? "" : "; ", why_not);
  }
  plan.why = why;
  return plan;
}

[[noreturn]] void refuse(const std::string& plan, const std::string& why) {
  throw Error(ExitCode::kUsage,
              fmt::format("\"plan\": \"{}\" cannot be had: {}; use \"auto\"", plan, why));
}

DevicePlan choose_plan(const Config& c, const Plan& p, const GpuLimits& gpu) {
  const std::string too_large = fmt::format(
      "networks, targets and scratch of one agent do not fit into the {} KiB of a block's shared "
      "memory",
      gpu.shared_bytes >> 10);
  const char* const no_clusters =
      has_clusters(gpu) ? "no cluster of blocks with its shared memory fits on this GPU"
                        : "this GPU has no clusters of blocks (compute capability 9.0 has)";
  if (c.precision == Precision::kBf16 && (c.plan == "block" || c.plan == "cluster")) {
    refuse(c.plan, "it has no bf16; use \"precision\": \"tf32\", or the plan \"grid\"");
  }
  if (c.plan == "block") {
    if (auto plan = block_plan(c, p, gpu)) return *plan;
    refuse(c.plan, too_large);
  }
  if (c.plan == "cluster") {
    if (auto plan = cluster_plan(c, p, gpu)) return *plan;
    refuse(c.plan, no_clusters);
  }
  if (c.plan == "grid") return grid_plan(c, p, gpu, "");
  if (c.precision == Precision::kBf16) {
    return grid_plan(c, p, gpu, "the other plans have no bf16");
  }
  const bool fills = p.agents >= gpu.multiprocessors;  // agents alone keep the whole GPU busy
  if (!fills && (p.batch_size > kSmallBatch || p.env_tiles > kFewTiles)) {
    return grid_plan(c, p, gpu, "one agent's batch or environments fill the GPU");
  }
  if (auto plan = block_plan(c, p, gpu)) return *plan;
  if (auto plan = cluster_plan(c, p, gpu)) {
    plan->why += "; block: " + too_large;
    return *plan;
  }
  return grid_plan(c, p, gpu, "block: " + too_large + "; cluster: " + no_clusters);
}

}  // namespace

uint64_t DevicePlan::spill_bytes() const {
  return std::max({setup.rollout.spill_bytes, setup.critic_gradient.spill_bytes,
                   setup.actor_gradient.spill_bytes, setup.optimizer.spill_bytes});
}

void DevicePlan::set_spill(char* spill) {
  for (BlockMemory* m :
       {&setup.rollout, &setup.critic_gradient, &setup.actor_gradient, &setup.optimizer}) {
    m->spill = spill;
    m->spill_bytes = spill_bytes();
  }
}

GpuLimits assumed_gpu() {
  constexpr int kMultiprocessors = 132;
  return {kMultiprocessors, 227 << 10, 90,
          [](const DevicePlan& plan) { return kMultiprocessors / plan.setup.cluster; }};
}

const char* plan_word(PlanKind kind) {
  const char* const words[] = {"grid", "block", "cluster"};
  return words[static_cast<int>(kind)];
}

DevicePlan choose_device_plan(const Config& c, const Plan& p, const GpuLimits& gpu) {
  DevicePlan plan = choose_plan(c, p, gpu);
  plan.launch_scratch = measure_programs(p, gpu.shared_bytes, gpu.multiprocessors).spill_bytes();
  return plan;
}

}  // namespace pendula
