#include "host/plan_report.h"

#include <fmt/format.h>

#include <optional>

#include "host/cpu_backend.h"
#include "host/device_plan.h"
#include "host/network_flop.h"
#include "host/planning.h"
#include "host/program_memory.h"

namespace pendula {
namespace {

using nlohmann::ordered_json;

constexpr double kBytesOfAdam = 36.0;  // per parameter, with the soft update: docs/performance.md

std::string plural(int64_t n, const std::string& thing) {
  return fmt::format("{} {}{}", n, thing, n == 1 ? "" : "s");
}
std::string mebibytes(uint64_t bytes) {
  return fmt::format("{:.1f} MiB", static_cast<double>(bytes) / (1 << 20));
}
std::string kibibytes(uint64_t bytes) {
  return fmt::format("{:.1f} KiB", static_cast<double>(bytes) / (1 << 10));
}

int gpu_index(const Config& c) { return c.device.size() > 5 ? std::stoi(c.device.substr(5)) : 0; }

// Of one block on a GPU that has enough of it; the rest would lie in device memory.
ordered_json program_bytes(const Plan& p) {
  const ProgramMemory m = measure_programs(p, UINT64_MAX, 1);
  return {{"rollout", m.rollout.shared_bytes},
          {"critic_gradient", m.critic_gradient.shared_bytes},
          {"actor_gradient", m.actor_gradient.shared_bytes},
          {"optimizer", m.optimizer.shared_bytes},
          {"evaluate", m.evaluate.shared_bytes}};
}

// How the products of the tuned grid plan are taken.
std::string grid_products(const GridPlan& grid) {
  const char* const actors[] = {"programs", "warps", "blocks of 64", "blocks of 128"};
  return fmt::format("{} passes of {} rows, acting in {}",
                     grid.layout.per_word == 2 ? "bf16" : "tf32", grid.layout.tile_rows,
                     actors[static_cast<int>(grid.actor)]);
}

ordered_json gpu_report(const Config& c, const Plan& p, const CudaProbe& cuda) {
  ordered_json j;
  DevicePlan plan;
  if (cuda.available) {
    plan = load_cuda_plan(c, gpu_index(c));
    j["name"] = cuda.devices[static_cast<size_t>(gpu_index(c))];
  } else {
    plan = choose_device_plan(c, p, assumed_gpu());
    j["name"] = "an H200 (assumed: no GPU here)";
  }
  j["assumed"] = !cuda.available;
  j["plan"] = plan_word(plan.kind);
  if (plan.kind == PlanKind::kGrid) {
    const int rows = plan.grid ? plan.grid->rollout_rows : kRows;
    const int64_t tiles = (p.num_envs + rows - 1) / rows;
    j["blocks"] = ordered_json{{"rollout", p.agents * tiles},
                               {"gradient", static_cast<int64_t>(p.agents) * p.partials}};
    j["products"] = plan.grid ? grid_products(*plan.grid) : "programs";
    j["rollouts_beside_updates"] = p.policy_lag != 0;
  } else {
    const int clusters = plan.setup.clusters;
    j["clusters"] = clusters;
    j["cluster_blocks"] = plan.setup.cluster;
    j["blocks"] = clusters * plan.setup.cluster;
    j["rounds"] = (p.agents + clusters - 1) / clusters;
    j["turn_iterations"] = plan.setup.turn;
    j["shared_bytes"] = plan.shared_bytes;
    j["spill_bytes"] = plan.spill_bytes();
    j["residency"] = plan.residency;
  }
  j["why"] = plan.why;
  return j;
}

ordered_json cpu_report(const Plan& p) {
  const int workers = cpu_workers(p, 0);
  const bool turns = agents_over_workers(p, workers);
  return {{"workers", workers},
          {"layout", turns ? "agents over workers" : "one agent over workers"},
          {"rounds", turns ? (p.agents + workers - 1) / workers : p.agents}};
}

ordered_json work_report(const Config& c, const EnvironmentInfo& env, const Plan& p) {
  const double batch = static_cast<double>(p.batch_size);
  const double flop =
      batch * update_flop(env.obs_dim, env.action_dim, c.actor.hidden, c.critic.hidden);
  const double bytes = batch * 4.0 * p.record_size +
                       kBytesOfAdam * static_cast<double>(p.actor.count + p.critic.count);
  return {{"flop", flop}, {"bytes", bytes}, {"limit_updates_per_second", "not measured"}};
}

std::string gpu_line(const ordered_json& g) {
  std::string line =
      fmt::format("  on {}: {} plan, ", g["name"].get<std::string>(), g["plan"].get<std::string>());
  if (g["plan"] == "grid") {
    line += fmt::format("{} for a rollout and {} for a gradient",
                        plural(g["blocks"]["rollout"], "block"),
                        g["blocks"]["gradient"].get<int64_t>());
    line += ", " + g["products"].get<std::string>();
    if (g["rollouts_beside_updates"].get<bool>()) line += ", rollouts beside updates";
  } else {
    line += plural(g["blocks"], "block");
    if (g["plan"] == "cluster") {
      line += fmt::format(" in {} of {}", plural(g["clusters"], "cluster"),
                          g["cluster_blocks"].get<int>());
    }
    const uint64_t spill = g["spill_bytes"];
    line += fmt::format(" with {} of shared memory each{} ({}), ", kibibytes(g["shared_bytes"]),
                        spill == 0 ? "" : " and " + kibibytes(spill) + " of scratch outside it",
                        g["residency"].get<std::string>());
    const int rounds = g["rounds"];
    line += rounds == 1 ? "all agents at a time"
                        : fmt::format("agents in {} rounds, turns of {} iterations", rounds,
                                      g["turn_iterations"].get<int>());
  }
  const std::string why = g["why"];
  return line + (why.empty() ? "" : "; " + why) + '\n';
}

}  // namespace

ordered_json plan_report(const Config& c, const CudaProbe& cuda) {
  const EnvironmentInfo& env = *find_environment(c.env.id);
  const Plan p = make_plan(c, env, sizeof(float)).plan;
  ordered_json j;
  j["network"] = ordered_json{{"actor", network_name(c.actor.hidden)},
                              {"critic", network_name(c.critic.hidden)}};
  j["batch_size"] = p.batch_size;  // the largest of any agent
  j["agents"] = p.agents;
  j["partial_gradients"] = p.partials;
  j["environment_tiles"] = p.env_tiles;
  j["updates_per_slice"] = p.update_slots;
  j["slices_per_iteration"] = p.slices;
  j["parameters"] = ordered_json{{"actor", p.actor.count}, {"critic", p.critic.count}};
  j["ring_rows"] = p.ring_rows;
  j["bytes"] =
      ordered_json{{"agent", p.agent_bytes}, {"work", p.work_bytes}, {"arena", p.arena_bytes}};
  j["shared_memory"] = program_bytes(p);
  if (c.device != "cpu") j["gpu"] = gpu_report(c, p, cuda);
  j["cpu"] = cpu_report(p);
  j["update"] = work_report(c, env, p);
  return j;
}

void print_plan_report(const ordered_json& j, const std::string& config_file, std::ostream& out) {
  out << fmt::format("plan of {}: {}, actor {}, critic {}, B = {}\n", config_file,
                     plural(j["agents"], "agent"), j["network"]["actor"].get<std::string>(),
                     j["network"]["critic"].get<std::string>(), j["batch_size"].get<int64_t>());
  if (j.contains("gpu")) out << gpu_line(j["gpu"]);
  const ordered_json& cpu = j["cpu"];
  out << fmt::format("  on this CPU: {}, {}", plural(cpu["workers"], "worker"),
                     cpu["layout"].get<std::string>());
  if (cpu["layout"] == "agents over workers") out << ", in " << plural(cpu["rounds"], "round");
  const ordered_json& update = j["update"];
  out << fmt::format(
      "\n  one update: {:.2f} MFLOP of products, {:.1f} KB; its limit, the device's rate over "
      "that, is {} (`pendula bench machine update` measures both)\n",
      1e-6 * update["flop"].get<double>(), 1e-3 * update["bytes"].get<double>(),
      update["limit_updates_per_second"].get<std::string>());
  out << fmt::format("  {}, {} per agent, {} in all\n",
                     plural(j["ring_rows"], "row") + " of replay", mebibytes(j["bytes"]["agent"]),
                     mebibytes(j["bytes"]["arena"]));
}

}  // namespace pendula
