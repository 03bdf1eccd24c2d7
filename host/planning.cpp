#include "host/planning.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "host/agent_values.h"
#include "host/error.h"

namespace pendula {
namespace {

uint64_t align(uint64_t bytes) { return (bytes + kAlign - 1) / kAlign * kAlign; }

NetworkLayout network_layout(const NetworkConfig& config, int input, int output) {
  NetworkLayout n{};
  n.activation = config.activation;
  n.layers = static_cast<int32_t>(config.hidden.size()) + 1;
  if (n.layers > kMaxLayers) {
    throw Error(ExitCode::kUsage, "a network has at most 16 hidden layers");
  }
  n.size[0] = input;
  for (int l = 0; l + 1 < n.layers; ++l) {
    n.size[l + 1] = static_cast<int32_t>(config.hidden[static_cast<size_t>(l)]);
    n.widest = std::max(n.widest, n.size[l + 1]);
  }
  n.size[n.layers] = output;
  constexpr uint32_t kAlignElements = 64;  // 256 bytes of float
  uint64_t count = 0;
  const auto take = [&](uint64_t elements) {
    const uint64_t at = count;
    count += (elements + kAlignElements - 1) / kAlignElements * kAlignElements;
    return static_cast<uint32_t>(at);
  };
  for (int l = 0; l < n.layers; ++l) {
    n.weight[l] = take(static_cast<uint64_t>(n.size[l]) * static_cast<uint64_t>(n.size[l + 1]));
    n.bias[l] = take(static_cast<uint64_t>(n.size[l + 1]));
  }
  if (count > INT32_MAX / 2) {
    throw Error(ExitCode::kUsage, "a network has more than 2^30 parameters; make it narrower");
  }
  n.count = static_cast<uint32_t>(count);
  return n;
}

// Hands out bytes of an agent's part, and notes the tensors that lie there.
class PartBuilder {
 public:
  PartBuilder(TensorTable& table, int64_t agents, uint64_t element)
      : table_(table), agents_(agents), element_(element) {}

  uint64_t bytes(uint64_t n) {
    const uint64_t at = used_;
    used_ += align(n);
    return at;
  }
  uint64_t tensor(const std::string& name, DType type, std::vector<int64_t> shape,
                  bool replay = false) {
    uint64_t n = type == DType::kF32 || type == DType::kU32 ? 4 : 8;
    for (int64_t d : shape) n *= static_cast<uint64_t>(d);
    const uint64_t at = bytes(n);
    note(name, type, std::move(shape), at, replay);
    return at;
  }
  uint64_t reals(const std::string& name, std::vector<int64_t> shape, bool replay = false) {
    return tensor(name, real(), std::move(shape), replay);
  }
  void note(const std::string& name, DType type, std::vector<int64_t> shape, uint64_t offset,
            bool replay = false) {
    shape.insert(shape.begin(), agents_);
    table_.tensors.push_back({"agents." + name, type, std::move(shape), offset, replay});
  }
  // A network's block: `suffix` tells parameters ("") from moments (".adam_m").
  uint64_t network(const std::string& name, const NetworkLayout& net, const std::string& suffix) {
    const uint64_t at = bytes(net.count * element_);
    for (int l = 0; l < net.layers; ++l) {
      const std::string layer = name + ".layers." + std::to_string(l);
      note(layer + ".weight" + suffix, real(), {net.size[l + 1], net.size[l]},
           at + net.weight[l] * element_);
      note(layer + ".bias" + suffix, real(), {net.size[l + 1]}, at + net.bias[l] * element_);
    }
    return at;
  }
  uint64_t used() const { return used_; }

 private:
  DType real() const { return element_ == 4 ? DType::kF32 : DType::kF64; }

  TensorTable& table_;
  int64_t agents_;
  uint64_t element_;
  uint64_t used_ = 0;
};

void lay_out_agent(Plan& p, TensorTable& table, uint64_t element) {
  PartBuilder part(table, p.agents, element);
  p.hyper = part.bytes(sizeof(AgentHyper));
  const std::pair<const char*, uint64_t> reals[] = {
      {"actor_lr", offsetof(AgentHyper, actor_lr)},
      {"critic_lr", offsetof(AgentHyper, critic_lr)},
      {"gamma", offsetof(AgentHyper, gamma)},
      {"tau", offsetof(AgentHyper, tau)},
      {"sigma", offsetof(AgentHyper, sigma)},
      {"sigma_final", offsetof(AgentHyper, sigma_final)},
      {"sigma_ladder", offsetof(AgentHyper, sigma_ladder)},
      {"ou_theta", offsetof(AgentHyper, ou_theta)},
      {"ou_dt", offsetof(AgentHyper, ou_dt)},
      {"epsilon", offsetof(AgentHyper, epsilon)},
      {"updates_per_step", offsetof(AgentHyper, updates_per_step)},
  };
  part.note("seed", DType::kU64, {}, p.hyper + offsetof(AgentHyper, seed));
  part.note("hyper.batch_size", DType::kU64, {}, p.hyper + offsetof(AgentHyper, batch_size));
  part.note("hyper.decay_steps", DType::kU64, {}, p.hyper + offsetof(AgentHyper, decay_steps));
  for (const auto& [name, offset] : reals) {
    part.note(std::string("hyper.") + name, DType::kF64, {}, p.hyper + offset);
  }
  p.counters = part.tensor("counters", DType::kU64, {sizeof(AgentCounters) / 8});
  p.report = part.tensor("report", DType::kF64, {sizeof(ReportSums) / 8});
  p.score = part.tensor("score", DType::kF64, {sizeof(AgentScore) / 8});
  p.actor_params = part.network("actor", p.actor, "");
  p.critic_params = part.network("critic", p.critic, "");
  p.actor_target = part.network("actor_target", p.actor, "");
  p.critic_target = part.network("critic_target", p.critic, "");
  p.actor_m = part.network("actor", p.actor, ".adam_m");
  p.actor_v = part.network("actor", p.actor, ".adam_v");
  p.critic_m = part.network("critic", p.critic, ".adam_m");
  p.critic_v = part.network("critic", p.critic, ".adam_v");
  p.networks_end = part.used();
  if (p.policy_lag != 0) p.actor_lagged = part.network("actor_lagged", p.actor, "");
  p.env_state = part.reals("env.state", {p.state_dim, p.num_envs});
  p.episode_step = part.tensor("env.episode_step", DType::kU32, {p.num_envs});
  p.episode_return = part.reals("env.episode_return", {p.num_envs});
  if (p.noise == NoiseType::kOu) {
    p.ou_noise = part.reals("env.ou_noise", {p.action_dim, p.num_envs});
  }
  const int64_t rows = static_cast<int64_t>(p.ring_rows);
  p.ring = part.reals("replay.records", {rows, p.num_envs, p.record_size}, true);
  p.ring_end = part.tensor("replay.episode_end", DType::kU32, {rows, (p.num_envs + 31) / 32}, true);
  p.agent_bytes = part.used();
  table.agents = p.agents;
  table.agent_bytes = p.agent_bytes;
}

void lay_out_work(Plan& p, uint64_t element) {
  uint64_t used = 0;
  const auto take = [&](uint64_t elements) {
    const uint64_t at = used;
    used += align(elements * element);
    return at;
  };
  const uint64_t partials = static_cast<uint64_t>(p.partials);
  const uint64_t slots = static_cast<uint64_t>(p.update_slots);
  p.actor_grad = take(partials * p.actor.count);
  p.critic_grad = take(partials * p.critic.count);
  p.actor_sumsq = take(slots * static_cast<uint64_t>(p.actor_chunks));
  p.critic_sumsq = take(slots * static_cast<uint64_t>(p.critic_chunks));
  p.losses = take(slots * partials * 3);
  p.rollout_sums = take(static_cast<uint64_t>((1 + p.policy_lag) * p.env_tiles) * 4);
  p.work_bytes = used;
  const uint64_t agents = static_cast<uint64_t>(p.agents);
  p.work = agents * p.agent_bytes;
  p.control = p.work + agents * p.work_bytes;
  p.arena_bytes = p.control + align(sizeof(Control));
}

int32_t chunks(uint32_t count) {
  return static_cast<int32_t>((count + kAdamChunk - 1) / kAdamChunk);
}

}  // namespace

uint64_t iterations_for(const Config& c, int64_t steps) {
  const uint64_t each =
      static_cast<uint64_t>(c.env.num_envs) * static_cast<uint64_t>(c.rollout.length);
  return (static_cast<uint64_t>(steps) + each - 1) / each;
}

PlannedRun make_plan(const Config& c, const EnvironmentInfo& env, int element_bytes) {
  PlannedRun run{};
  Plan& p = run.plan;
  p.agents = static_cast<int32_t>(c.agents);
  p.num_envs = static_cast<int32_t>(c.env.num_envs);
  p.state_dim = env.state_dim;
  p.obs_dim = env.obs_dim;
  p.action_dim = env.action_dim;
  p.record_size = record_size(env.state_dim, env.action_dim);
  p.rollout_length = static_cast<int32_t>(c.rollout.length);
  p.policy_lag = static_cast<int32_t>(c.rollout.policy_lag);
  p.max_episode_steps = c.env.max_episode_steps > 0 ? static_cast<int32_t>(c.env.max_episode_steps)
                                                    : env.max_episode_steps;
  uint64_t batch_size = 0;
  double updates_per_step = 0;
  for (int k = 0; k < p.agents; ++k) {
    const AgentHyper h = agent_hyper(c, k);
    batch_size = std::max(batch_size, h.batch_size);
    updates_per_step = std::max(updates_per_step, h.updates_per_step);
  }
  p.batch_size = static_cast<int32_t>(batch_size);
  p.partials = std::min(batch_tiles(static_cast<uint64_t>(p.batch_size)), kMaxPartials);
  p.env_tiles = (p.num_envs + kRows - 1) / kRows;
  p.loss = c.ddpg.loss;
  p.noise = c.noise.type;
  p.target_update_interval = static_cast<int32_t>(c.ddpg.target_update_interval);
  p.ring_rows = static_cast<uint64_t>(c.replay.capacity / c.env.num_envs);
  p.report_iterations = iterations_for(c, c.report.interval);
  p.report_slots = static_cast<uint64_t>(std::clamp<int64_t>(65536 / c.agents, 4, 256));
  p.beta1 = c.optimizer.beta1;
  p.beta2 = c.optimizer.beta2;
  p.eps = c.optimizer.eps;
  p.weight_decay = c.optimizer.weight_decay;
  p.max_grad_norm = c.optimizer.max_grad_norm.value_or(0.0);
  p.reward_scale = c.ddpg.reward_scale;
  p.actor_init = c.actor.init;
  p.critic_init = c.critic.init;
  p.actor = network_layout(c.actor, env.obs_dim, env.action_dim);
  p.critic = network_layout(c.critic, env.obs_dim + env.action_dim, 1);
  p.actor_chunks = chunks(p.actor.count);
  p.critic_chunks = chunks(p.critic.count);
  p.warmup_steps = iterations_for(c, c.replay.warmup_steps) * steps_per_iteration(p);
  const double updates = std::ceil(static_cast<double>(steps_per_iteration(p)) * updates_per_step);
  const double work = static_cast<double>(p.batch_size) * (p.actor.count + p.critic.count);
  const double slots = std::clamp(kSliceWork / work, 1.0, 1.0 * kMaxUpdateSlots);
  p.slices = static_cast<int32_t>(std::max(1.0, std::ceil(updates / std::floor(slots))));
  p.update_slots = static_cast<int32_t>(std::max(1.0, std::ceil(updates / p.slices)));
  lay_out_agent(p, run.tensors, static_cast<uint64_t>(element_bytes));
  lay_out_work(p, static_cast<uint64_t>(element_bytes));
  return run;
}

std::vector<double> env_param_values(const Config& config, const EnvironmentInfo& env) {
  std::vector<double> values = env.defaults;
  for (size_t i = 0; i < values.size(); ++i) {
    const auto it = config.env.params.find(env.params[i].name);
    if (it != config.env.params.end()) values[i] = it->second;
  }
  return values;
}

AgentHyper agent_hyper(const Config& population, int index) {
  if (!population.per_agent.empty()) return agent_hyper(agent_config(population, index), 0);
  const Config& c = population;
  AgentHyper h{};
  h.seed = c.seed + static_cast<uint64_t>(index);
  h.batch_size = static_cast<uint64_t>(c.ddpg.batch_size);
  h.decay_steps = static_cast<uint64_t>(c.noise.decay_steps);
  h.actor_lr = c.optimizer.actor_lr;
  h.critic_lr = c.optimizer.critic_lr;
  h.gamma = c.ddpg.gamma;
  h.tau = c.ddpg.tau;
  h.sigma = c.noise.sigma;
  h.sigma_final = c.noise.decay_steps == 0 ? c.noise.sigma : c.noise.sigma_final;
  h.epsilon = c.noise.epsilon;
  h.sigma_ladder = c.noise.sigma_ladder;
  h.ou_theta = c.noise.ou_theta;
  h.ou_dt = c.noise.ou_dt;
  h.updates_per_step = c.ddpg.updates_per_step;
  return h;
}

}  // namespace pendula
