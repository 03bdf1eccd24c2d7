#include "host/training_state.h"

#include <stdexcept>
#include <vector>

#include "host/planning.h"

namespace pendula {
namespace {

const TensorSpec* find(const TensorTable& table, const std::string& name) {
  for (const TensorSpec& t : table.tensors) {
    if (t.name == name) return &t;
  }
  return nullptr;
}

uint64_t counters_at(const Backend& backend, int64_t agent) {
  const TensorTable& table = backend.tensors();
  const TensorSpec* t = find(table, "agents.counters");
  if (t == nullptr) throw std::logic_error("the arena has no counters");
  return static_cast<uint64_t>(agent) * table.agent_bytes + t->offset;
}

uint64_t bytes_of(const TensorSpec& t) {
  uint64_t bytes = t.dtype == DType::kF32 || t.dtype == DType::kU32 ? 4 : 8;
  for (size_t d = 1; d < t.shape.size(); ++d) bytes *= static_cast<uint64_t>(t.shape[d]);
  return bytes;
}

}  // namespace

AgentCounters read_counters(const Backend& backend, int64_t agent) {
  AgentCounters c;
  backend.read(counters_at(backend, agent), sizeof c, &c);
  return c;
}

std::vector<AgentCounters> read_counters(const Backend& backend) {
  std::vector<AgentCounters> all;
  for (int64_t k = 0; k < backend.tensors().agents; ++k) all.push_back(read_counters(backend, k));
  return all;
}

void write_counters(Backend& backend, int64_t agent, const AgentCounters& c) {
  backend.write(counters_at(backend, agent), sizeof c, &c);
}

std::vector<bool> diverged_agents(const std::vector<AgentCounters>& counters) {
  std::vector<bool> diverged;
  for (const AgentCounters& c : counters) diverged.push_back(c.fault != 0);
  return diverged;
}

void restart_replay(Backend& backend, const Config& config) {
  const uint64_t length = static_cast<uint64_t>(config.rollout.length);
  const uint64_t steps = length * static_cast<uint64_t>(config.env.num_envs);
  for (int64_t k = 0; k < config.agents; ++k) {
    AgentCounters c = read_counters(backend, k);
    c.slice = 0;  // the rollout of an iteration under way is lost too: it begins anew
    c.ring_first = c.iteration * length;
    c.update_base = c.updates;
    c.update_start = (c.iteration + iterations_for(config, config.replay.warmup_steps)) * steps;
    write_counters(backend, k, c);
  }
}

void copy_actor_to_lagged(Backend& backend) {
  const std::string prefix = "agents.actor_lagged.";
  const TensorTable& table = backend.tensors();
  for (const TensorSpec& to : table.tensors) {
    if (to.name.compare(0, prefix.size(), prefix) != 0) continue;
    const TensorSpec* from = find(table, "agents.actor." + to.name.substr(prefix.size()));
    if (from == nullptr) throw std::logic_error("no actor behind " + to.name);
    std::vector<char> buffer(bytes_of(to));
    for (int64_t k = 0; k < table.agents; ++k) {
      const uint64_t base = static_cast<uint64_t>(k) * table.agent_bytes;
      backend.read(base + from->offset, buffer.size(), buffer.data());
      backend.write(base + to.offset, buffer.size(), buffer.data());
    }
  }
}

bool is_network(const std::string& name) {
  const auto starts = [&](const char* prefix) { return name.rfind(prefix, 0) == 0; };
  const bool network = starts("agents.actor.") || starts("agents.critic.") ||
                       starts("agents.actor_target.") || starts("agents.critic_target.");
  return network && name.find(".adam_") == std::string::npos;
}

}  // namespace pendula
