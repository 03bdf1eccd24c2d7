#include "host/pbt.h"

#include <algorithm>
#include <cfloat>
#include <cmath>
#include <limits>
#include <stdexcept>

#include "host/config_table.h"
#include "host/distribution.h"
#include "host/planning.h"
#include "host/training_state.h"
#include "kernels/philox.h"

namespace pendula {
namespace {

// Purpose::kPbt: dim 0 for the agent to copy, 1 + k for what becomes of key k.

// "ddpg.gamma" -> "/ddpg/gamma"
std::string pointer_of(const std::string& key) {
  std::string path = '/' + key;
  std::replace(path.begin(), path.end(), '.', '/');
  return path;
}

// The member behind a key's path with dots.
double& value_of(AgentHyper& h, const std::string& key) {
  if (key == "optimizer.actor_lr") return h.actor_lr;
  if (key == "optimizer.critic_lr") return h.critic_lr;
  if (key == "ddpg.gamma") return h.gamma;
  if (key == "ddpg.tau") return h.tau;
  if (key == "noise.sigma") return h.sigma;
  if (key == "noise.sigma_final") return h.sigma_final;
  if (key == "noise.sigma_ladder") return h.sigma_ladder;
  if (key == "noise.epsilon") return h.epsilon;
  throw std::logic_error("population-based training does not know " + key);
}

double clamped(double value, const std::string& key) {
  const std::vector<KeySpec> keys = config_keys(nullptr);
  const Range range = find_key(keys, pointer_of(key))->range;
  // Training computes in single precision, where the open end must not be reached either.
  const double min = range.open_min ? std::max<double>(range.min, FLT_MIN) : range.min;
  return std::clamp(value, min, range.max);
}

// What the agent does with the hyperparameters that it copied.
void explore(AgentHyper& h, const Config& config, uint64_t number, int64_t agent,
             const Draw& draw) {
  const PbtConfig& pbt = config.population.pbt;
  for (size_t k = 0; k < pbt.keys.size(); ++k) {
    const Uint4 words = random(config.seed, Purpose::kPbt, static_cast<uint32_t>(1 + k),
                               static_cast<uint64_t>(agent), number);
    const uint64_t seed = static_cast<uint64_t>(words.w) << 32 | words.z;
    std::optional<double> value;
    if (draw && static_cast<double>(words.x) * 0x1p-32 < pbt.resample) {
      value = draw(pbt.keys[k], seed, agent);
    }
    double& member = value_of(h, pbt.keys[k]);
    if (!value) value = (words.y & 1) != 0 ? member * pbt.perturb : member / pbt.perturb;
    member = clamped(*value, pbt.keys[k]);
  }
  if (h.decay_steps == 0) h.sigma_final = h.sigma;  // one sigma all the time
}

const TensorSpec& tensor(const TensorTable& table, const std::string& name) {
  for (const TensorSpec& t : table.tensors) {
    if (t.name == name) return t;
  }
  throw std::logic_error("the arena has no " + name);
}

template <class Struct>
std::vector<Struct> read_all(const Backend& backend, const std::string& name) {
  const TensorTable& table = backend.tensors();
  std::vector<Struct> all(static_cast<size_t>(table.agents));
  uint64_t at = tensor(table, name).offset;
  for (Struct& one : all) {
    backend.read(at, sizeof one, &one);
    at += table.agent_bytes;
  }
  return all;
}

template <class Struct>
void write_one(Backend& backend, const std::string& name, int64_t agent, const Struct& value) {
  const TensorTable& table = backend.tensors();
  backend.write(static_cast<uint64_t>(agent) * table.agent_bytes + tensor(table, name).offset,
                sizeof value, &value);
}

}  // namespace

std::vector<Exploit> exploits(const Config& config, uint64_t number,
                              const std::vector<RankedAgent>& agents,
                              const std::vector<int64_t>& ranked, const Draw& draw) {
  // Without an episode that ended nobody knows how good an agent is: it is left alone.
  std::vector<int64_t> order;
  for (const int64_t k : ranked) {
    const RankedAgent& agent = agents[static_cast<size_t>(k)];
    if (agent.mean_return || agent.diverged) order.push_back(k);
  }
  const size_t count = std::max<size_t>(
      1, static_cast<size_t>(config.population.pbt.fraction * static_cast<double>(order.size())));
  size_t best = 0;
  std::vector<Exploit> all;
  if (order.size() < 2) return all;
  while (best < count && agents[static_cast<size_t>(order[best])].mean_return) ++best;
  if (best == 0) return all;
  for (size_t i = order.size() - count; i < order.size(); ++i) {
    Exploit e;
    e.to = order[i];
    const RankedAgent& to = agents[static_cast<size_t>(e.to)];
    const Uint4 words = random(config.seed, Purpose::kPbt, 0, static_cast<uint64_t>(e.to), number);
    e.from = order[below(words.x, static_cast<uint32_t>(best))];
    const RankedAgent& from = agents[static_cast<size_t>(e.from)];
    e.from_return = from.mean_return;
    e.to_return = to.mean_return;
    e.revived = to.diverged;
    e.hyper = from.hyper;
    e.hyper.seed = to.hyper.seed;
    explore(e.hyper, config, number, e.to, draw);
    all.push_back(e);
  }
  return all;
}

std::vector<Exploit> exploit(Backend& backend, const Config& config, uint64_t iteration) {
  std::vector<AgentCounters> counters = read_counters(backend);
  const auto hypers = read_all<AgentHyper>(backend, "agents.seed");  // its first member
  const auto scores = read_all<AgentScore>(backend, "agents.score");
  std::vector<RankedAgent> agents(counters.size());
  std::vector<double> keys(counters.size(), -std::numeric_limits<double>::infinity());
  for (size_t k = 0; k < agents.size(); ++k) {
    agents[k].hyper = hypers[k];
    agents[k].diverged = counters[k].fault != 0;
    const double mean = scores[k].return_sum / scores[k].episodes;
    if (agents[k].diverged || !std::isfinite(mean)) continue;
    agents[k].mean_return = mean;
    keys[k] = mean;
  }
  const uint64_t every = iterations_for(config, config.population.pbt.interval);
  const Draw draw = [&](const std::string& key, uint64_t seed,
                        int64_t agent) -> std::optional<double> {
    const auto spec = config.per_agent.find(pointer_of(key));
    if (spec == config.per_agent.end() || !spec->second->is_object()) return std::nullopt;
    return value_of_agent(*spec->second, seed, key, agent).get<double>();
  };
  const std::vector<Exploit> all =
      exploits(config, iteration / every, agents, backend.rank(keys), draw);
  std::vector<AgentCopy> copies;
  for (const Exploit& e : all) copies.push_back({e.from, e.to, e.revived});
  backend.copy_agents(copies);
  const uint64_t length = static_cast<uint64_t>(config.rollout.length);
  const uint64_t steps = length * static_cast<uint64_t>(config.env.num_envs);
  for (const Exploit& e : all) {
    write_one(backend, "agents.seed", e.to, e.hyper);
    AgentCounters& c = counters[static_cast<size_t>(e.to)];
    const AgentHyper& before = hypers[static_cast<size_t>(e.to)];
    // The number of Adam's next step goes with its moments.
    const uint64_t updates = counters[static_cast<size_t>(e.from)].updates;
    if (e.revived) {
      c.fault = c.fault_iteration = c.fault_update = 0;
      write_one(backend, "agents.report", e.to, ReportSums{});  // its sums are no numbers
      c.ring_first = iteration * length;
      c.update_base = c.updates = updates;
      c.update_start = (iteration + iterations_for(config, config.replay.warmup_steps)) * steps;
    } else if (e.hyper.updates_per_step != before.updates_per_step || c.updates != updates) {
      // From here on the new rate counts; at once it would call for updates of the past.
      c.update_base = c.updates = updates;
      c.update_start = std::max(c.update_start, iteration * steps);
    } else {
      continue;
    }
    write_counters(backend, e.to, c);
  }
  for (size_t k = 0; k < agents.size(); ++k) {
    write_one(backend, "agents.score", static_cast<int64_t>(k), AgentScore{});
  }
  return all;
}

nlohmann::ordered_json exploit_row(const Exploit& e, const PbtConfig& pbt, uint64_t timesteps) {
  const auto number = [](std::optional<double> value) {
    return value ? nlohmann::ordered_json(*value) : nlohmann::ordered_json(nullptr);
  };
  nlohmann::ordered_json row;
  row["time/total_timesteps"] = timesteps;
  row["from"] = e.from;
  row["to"] = e.to;
  row["from_return"] = number(e.from_return);
  row["to_return"] = number(e.to_return);
  if (e.revived) row["revived"] = true;
  AgentHyper h = e.hyper;
  for (const std::string& key : pbt.keys) row[key] = value_of(h, key);
  return row;
}

}  // namespace pendula
