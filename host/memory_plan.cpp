#include "host/memory_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "host/error.h"

namespace pendula {
namespace {

constexpr double kMiB = 1 << 20;
constexpr size_t kNamed = 3;           // uses in a sentence
constexpr double kWorthNaming = 0.01;  // of all

std::vector<MemoryUse> uses_of_arena(const Plan& p) {
  const uint64_t agents = static_cast<uint64_t>(p.agents);
  return {{"replay ring", "replay.capacity", agents * (p.agent_bytes - p.ring)},
          {"environments", "env.num_envs", agents * (p.ring - p.env_state)},
          {"networks, targets and moments", "agents", agents * (p.env_state - p.actor_params)},
          {"partial gradients", "ddpg.batch_size", agents * p.work_bytes}};
}

MemoryPlan sorted(std::vector<MemoryUse> uses) {
  std::stable_sort(uses.begin(), uses.end(),
                   [](const MemoryUse& a, const MemoryUse& b) { return a.bytes > b.bytes; });
  return {std::move(uses)};
}

// Rounded down to three digits.
int64_t round_down(int64_t value) {
  int64_t unit = 1;
  while (value / unit >= 1000) unit *= 10;
  return value / unit * unit;
}

// The largest value of a key, below the config's, that `fits`; nothing where none does.
std::optional<int64_t> largest_that_fits(int64_t least, int64_t now,
                                         const std::function<bool(int64_t)>& fits) {
  if (least >= now || !fits(least)) return std::nullopt;
  int64_t below = least, above = now;  // fits, does not
  while (above - below > 1) {
    const int64_t middle = below + (above - below) / 2;
    (fits(middle) ? below : above) = middle;
  }
  const int64_t rounded = round_down(below);
  return rounded >= least && fits(rounded) ? rounded : below;
}

struct Knob {
  int64_t least;
  int64_t* value;  // in a copy of the config
};
std::optional<Knob> knob(const std::string& key, Config& c) {
  const int64_t iteration = c.env.num_envs * c.rollout.length;
  if (c.per_agent.count("/" + key.substr(0, key.find('.')) + "/" + key.substr(key.find('.') + 1)) !=
      0) {
    return std::nullopt;
  }
  if (key == "replay.capacity") {
    return Knob{std::max(2 * iteration, c.replay.warmup_steps), &c.replay.capacity};
  }
  if (key == "env.num_envs") return Knob{1, &c.env.num_envs};
  if (key == "ddpg.batch_size") return Knob{1, &c.ddpg.batch_size};
  if (key == "agents") return Knob{1, &c.agents};
  return std::nullopt;
}

}  // namespace

uint64_t MemoryPlan::bytes() const {
  uint64_t sum = 0;
  for (const MemoryUse& use : uses) sum += use.bytes;
  return sum;
}

std::string MemoryPlan::text() const {
  const double all = static_cast<double>(bytes());
  std::string text = fmt::format("{:.1f} MiB", all / kMiB);
  const char* mark = ": ";
  for (size_t i = 0; i < std::min(kNamed, uses.size()); ++i) {
    const double part = static_cast<double>(uses[i].bytes);
    if (part < kWorthNaming * all) break;
    text += fmt::format("{}{} {:.1f}", mark, uses[i].what, part / kMiB);
    mark = ", ";
  }
  return text;
}

MemoryPlan host_memory_plan(const Plan& p, uint64_t scratch) {
  std::vector<MemoryUse> uses = uses_of_arena(p);
  uses.push_back({"scratch", "ddpg.batch_size", scratch});
  return sorted(std::move(uses));
}

MemoryPlan gpu_memory_plan(const Config& c, const Plan& p, const DevicePlan& device) {
  std::vector<MemoryUse> uses = uses_of_arena(p);
  const uint64_t agents = static_cast<uint64_t>(p.agents);
  const uint64_t blocks = static_cast<uint64_t>(device.setup.cluster * device.setup.clusters);
  const uint64_t turns = device.kind == PlanKind::kGrid ? 0 : device.spill_bytes() * blocks;
  uses.push_back({"scratch of the networks", "agents", device.launch_scratch + turns});
  if (device.grid) {
    uses.push_back({"batches and operands", "ddpg.batch_size", agents * device.grid->layout.bytes});
  }
  const int64_t episodes =
      std::max(c.eval.interval > 0 ? c.eval.episodes : 0, c.eval.final_episodes);
  uses.push_back({"evaluation", "agents",
                  agents * static_cast<uint64_t>(episodes) * (sizeof(float) + sizeof(uint32_t))});
  return sorted(std::move(uses));
}

void expect_room(const Config& config, const MemoryPlan& memory, uint64_t available,
                 const std::string& where,
                 const std::function<MemoryPlan(const Config&)>& plan_of) {
  if (memory.bytes() <= available) return;
  std::string values;
  std::vector<std::string> seen;
  for (size_t i = 0; i < memory.uses.size(); ++i) {
    const std::string& key = memory.uses[i].key;
    if (std::find(seen.begin(), seen.end(), key) != seen.end()) continue;
    seen.push_back(key);
    Config other = config;
    const auto knob_of = knob(key, other);
    if (!knob_of) continue;
    const int64_t now = *knob_of->value;
    const auto value = largest_that_fits(knob_of->least, now, [&](int64_t v) {
      *knob_of->value = v;
      try {
        return plan_of(other).bytes() <= available;
      } catch (const Error&) {
        return false;
      }
    });
    if (value) values += fmt::format("{}{}={}", values.empty() ? "" : " or ", key, *value);
  }
  throw Error(ExitCode::kMemory,
              fmt::format("out of memory{}: the run needs {}, and {:.1f} MiB are available; {}",
                          where, memory.text(), static_cast<double>(available) / kMiB,
                          values.empty() ? "no key alone makes it fit: lower several of "
                                           "replay.capacity, env.num_envs, agents, ddpg.batch_size "
                                           "and the networks' widths"
                                         : values + " would fit"));
}

}  // namespace pendula
