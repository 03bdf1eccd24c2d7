#include "host/config_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <regex>

namespace pendula {
namespace {

using nlohmann::json;

// Gives a member of a Config, const or not. Used as FIELD(ddpg.gamma).
#define FIELD(member) \
  [](auto& config) -> auto& { return config.member; }

constexpr double kMaxSteps = 1e15;  // below 2^53: exact as a double too

Range closed(double min, double max) { return {min, max, false, false}; }
Range above(double min, double max) { return {min, max, true, false}; }  // (min, max]
Range below(double min, double max) { return {min, max, false, true}; }  // [min, max)

template <class Field>
KeySpec key_of(const char* path, KeyType type, Field field, const char* unit, const char* help) {
  KeySpec key;
  key.path = path;
  key.type = type;
  key.unit = unit;
  key.help = help;
  key.get = [field](const Config& config) { return json(field(config)); };
  key.set = [field](Config& config, const json& value) { value.get_to(field(config)); };
  return key;
}

template <class Field>
KeySpec integer(const char* path, Field field, Range range, const char* unit, const char* help) {
  KeySpec key = key_of(path, KeyType::kInteger, field, unit, help);
  key.range = range;
  return key;
}

template <class Field>
KeySpec number(const char* path, Field field, Range range, const char* unit, const char* help) {
  KeySpec key = key_of(path, KeyType::kNumber, field, unit, help);
  key.range = range;
  return key;
}

// A number or null; the field is a std::optional<double>.
template <class Field>
KeySpec maybe_number(const char* path, Field field, Range range, const char* unit,
                     const char* help) {
  KeySpec key;
  key.path = path;
  key.type = KeyType::kNumber;
  key.range = range;
  key.nullable = true;
  key.unit = unit;
  key.help = help;
  key.get = [field](const Config& config) {
    const std::optional<double>& value = field(config);
    return value ? json(*value) : json(nullptr);
  };
  key.set = [field](Config& config, const json& value) {
    field(config) = value.is_null() ? std::nullopt : std::optional<double>(value.get<double>());
  };
  return key;
}

// A word kept as a string.
template <class Field>
KeySpec word(const char* path, Field field, std::vector<std::string> words, const char* help) {
  KeySpec key = key_of(path, KeyType::kWord, field, "", help);
  key.words = std::move(words);
  return key;
}

template <class Field>
KeySpec word_list(const char* path, Field field, std::vector<std::string> words, const char* help) {
  KeySpec key = key_of(path, KeyType::kWordList, field, "", help);
  key.words = std::move(words);
  return key;
}

// A word kept as an enum whose values are 0, 1, ... in the order of `words`.
template <class Enum, class Field>
KeySpec enum_word(const char* path, Field field, std::vector<std::string> words, const char* help) {
  KeySpec key;
  key.path = path;
  key.type = KeyType::kWord;
  key.help = help;
  key.get = [field, words](const Config& config) {
    return json(words.at(static_cast<size_t>(field(config))));
  };
  key.set = [field, words](Config& config, const json& value) {
    const auto at = std::find(words.begin(), words.end(), value.get<std::string>());
    field(config) = static_cast<Enum>(at - words.begin());
  };
  key.words = std::move(words);
  return key;
}

// A key that may differ between agents.
KeySpec per_agent(KeySpec key) {
  key.per_agent = true;
  key.get = [path = key.path, member = key.get](const Config& config) {
    const auto found = config.per_agent.find(path);
    return found == config.per_agent.end() ? member(config) : *found->second;
  };
  key.set = [path = key.path, member = key.set](Config& config, const json& value) {
    config.per_agent.erase(path);
    if (value.is_number()) {
      member(config, value);
    } else {
      config.per_agent[path] = std::make_shared<const json>(value);
    }
  };
  return key;
}

template <class Field>
KeySpec hidden_layers(const char* path, Field field) {
  KeySpec key = key_of(path, KeyType::kIntegerList, field, "units",
                       "widths of the hidden layers, first to last");
  key.range = closed(1, 8192);
  key.max_items = 16;
  return key;
}

template <class Field>
KeySpec text(const char* path, Field field, const char* pattern, const char* accepted_text,
             const char* help) {
  KeySpec key = key_of(path, KeyType::kText, field, "", help);
  key.pattern = pattern;
  key.accepts = [pattern](const std::string& value) {
    return std::regex_match(value, std::regex(pattern));
  };
  key.accepted_text = accepted_text;
  return key;
}

std::vector<std::string> environment_ids() {
  std::vector<std::string> ids;
  for (const EnvironmentInfo& env : environments()) ids.push_back(env.id);
  return ids;
}

KeySpec environment_parameter(const EnvironmentInfo& env, size_t index) {
  const EnvParam& param = env.params[index];
  const std::string name = param.name;
  const double by_default = env.defaults[index];
  KeySpec key;
  key.path = "/env/" + name;
  key.type = KeyType::kNumber;
  key.range = closed(param.min, param.max);
  key.unit = param.unit;
  key.help = param.help;
  key.get = [name, by_default](const Config& config) {
    const auto found = config.env.params.find(name);
    return json(found == config.env.params.end() ? by_default : found->second);
  };
  key.set = [name](Config& config, const json& value) {
    config.env.params[name] = value.get<double>();
  };
  return key;
}

void append(std::vector<KeySpec>& keys, std::vector<KeySpec> more) {
  for (KeySpec& key : more) keys.push_back(std::move(key));
}

std::vector<KeySpec> run_keys() {
  KeySpec seed = per_agent(key_of("/seed", KeyType::kSeed, FIELD(seed), "",
                                  "seed of all random numbers; agent k uses seed + k"));
  return {
      text("/name", FIELD(name), "[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}",
           "1 to 100 letters, digits, '.', '_' and '-', not '.' first", "name of the run's folder"),
      seed,
      integer("/agents", FIELD(agents), closed(1, 65536), "",
              "agents trained side by side, each with networks and replay of its own"),
      text("/device", FIELD(device), "auto|cpu|cuda(:[0-9]{1,3})?",
           "one of \"auto\", \"cpu\", \"cuda\", \"cuda:N\" with N from 0 to 999",
           "where to train; auto: the first GPU if there is one, else the CPU"),
      enum_word<Precision>("/precision", FIELD(precision), {"auto", "fp32", "tf32", "bf16"},
                           "operands of matrix products; auto: fp32 on the CPU, tf32 on the GPU; "
                           "bf16: the grid plan alone, networks of relu"),
      word("/simd", FIELD(simd), {"auto", "sse2", "avx2", "avx512"},
           "instructions of the CPU's programs, which a run's bits depend on; auto: the highest "
           "level that the processor has, or the one that a resumed run had; no meaning on a GPU"),
      word(
          "/plan", FIELD(plan), {"auto", "grid", "block", "cluster"},
          "how the work is laid out on a GPU: over all of it, an agent in a block, or in a cluster "
          "of blocks; no meaning on the CPU"),
      integer("/total_timesteps", FIELD(total_timesteps), closed(1, kMaxSteps), "steps",
              "length of the run; rounded up to whole iterations"),
  };
}

std::vector<KeySpec> env_keys(const EnvironmentInfo* env) {
  KeySpec limit = integer("/env/max_episode_steps", FIELD(env.max_episode_steps),
                          closed(1, 16777216), "steps", "steps until an episode is truncated");
  limit.default_text = "the environment's own";
  if (env != nullptr) limit.default_text += fmt::format(" ({})", env->max_episode_steps);
  std::vector<KeySpec> keys = {
      word("/env/id", FIELD(env.id), environment_ids(), "the environment"),
      integer("/env/num_envs", FIELD(env.num_envs), closed(1, 16777216), "",
              "environments of each agent, stepped together"),
      limit,
  };
  if (env != nullptr) {
    for (size_t i = 0; i < env->params.size(); ++i) {
      keys.push_back(environment_parameter(*env, i));
    }
  }
  return keys;
}

std::vector<KeySpec> learning_keys() {
  const std::vector<std::string> activations = {"relu", "tanh", "silu"};
  const std::vector<std::string> inits = {"torch", "paper"};
  const char* activation = "activation of the hidden layers";
  const char* init = "first weights: torch's default for Linear, or Lillicrap et al. (2015)";
  return {
      integer("/rollout/length", FIELD(rollout.length), closed(1, 1024), "steps",
              "steps of each environment in one iteration"),
      integer("/rollout/policy_lag", FIELD(rollout.policy_lag), closed(0, 1), "iterations",
              "0: act with this iteration's parameters; 1: with the previous one's"),
      hidden_layers("/actor/hidden", FIELD(actor.hidden)),
      enum_word<Activation>("/actor/activation", FIELD(actor.activation), activations, activation),
      enum_word<Init>("/actor/init", FIELD(actor.init), inits, init),
      hidden_layers("/critic/hidden", FIELD(critic.hidden)),
      enum_word<Activation>("/critic/activation", FIELD(critic.activation), activations,
                            activation),
      enum_word<Init>("/critic/init", FIELD(critic.init), inits, init),
      per_agent(number("/ddpg/gamma", FIELD(ddpg.gamma), closed(0, 1), "", "discount per step")),
      per_agent(number("/ddpg/tau", FIELD(ddpg.tau), above(0, 1), "",
                       "share of the new parameters in an update of the targets; 1: a copy")),
      integer("/ddpg/target_update_interval", FIELD(ddpg.target_update_interval), closed(1, 1e9),
              "updates", "updates from one update of the targets to the next"),
      per_agent(integer("/ddpg/batch_size", FIELD(ddpg.batch_size), closed(1, 1048576),
                        "transitions", "transitions of one update, drawn with replacement")),
      per_agent(number("/ddpg/updates_per_step", FIELD(ddpg.updates_per_step), above(0, 1024),
                       "updates",
                       "updates per environment step; 0.25 is one update every four steps")),
      enum_word<Loss>("/ddpg/loss", FIELD(ddpg.loss), {"mse", "huber"},
                      "loss of the critic; huber has delta 1"),
      number("/ddpg/reward_scale", FIELD(ddpg.reward_scale), above(0, 1e6), "",
             "factor on the reward in updates, not in reports"),
      per_agent(number("/optimizer/actor_lr", FIELD(optimizer.actor_lr), above(0, 10), "",
                       "Adam's step size for the actor")),
      per_agent(number("/optimizer/critic_lr", FIELD(optimizer.critic_lr), above(0, 10), "",
                       "Adam's step size for the critic")),
      number("/optimizer/beta1", FIELD(optimizer.beta1), below(0, 1), "",
             "decay of Adam's mean of the gradient"),
      number("/optimizer/beta2", FIELD(optimizer.beta2), below(0, 1), "",
             "decay of Adam's mean of the squared gradient"),
      number("/optimizer/eps", FIELD(optimizer.eps), above(0, 1), "",
             "added to Adam's denominator"),
      number("/optimizer/weight_decay", FIELD(optimizer.weight_decay), closed(0, 1000), "",
             "L2: added to the gradient as torch.optim.Adam does"),
      maybe_number("/optimizer/max_grad_norm", FIELD(optimizer.max_grad_norm), above(0, 1e9), "",
                   "each network's gradient is scaled down to this norm; null: never"),
  };
}

std::vector<KeySpec> data_keys() {
  KeySpec sigma_final =
      per_agent(number("/noise/sigma_final", FIELD(noise.sigma_final), closed(0, 10),
                       "action bound", "standard deviation after decay_steps, reached linearly"));
  sigma_final.default_text = "the value of sigma";
  return {
      enum_word<NoiseType>("/noise/type", FIELD(noise.type), {"gaussian", "ou"},
                           "noise on the actions; ou: Ornstein-Uhlenbeck, which starts at 0 with "
                           "each episode"),
      per_agent(number(
          "/noise/sigma", FIELD(noise.sigma), closed(0, 10), "action bound",
          "standard deviation at the start; of ou: of its increments, per square root of time")),
      sigma_final,
      per_agent(integer("/noise/decay_steps", FIELD(noise.decay_steps), closed(0, kMaxSteps),
                        "steps", "steps from sigma to sigma_final; 0: sigma all the time")),
      per_agent(number(
          "/noise/sigma_ladder", FIELD(noise.sigma_ladder), closed(0, 1000), "",
          "sigma of the last environment over that of the first, even steps in between; 1: all "
          "alike")),
      per_agent(number(
          "/noise/ou_theta", FIELD(noise.ou_theta), closed(0, 1000), "",
          "how fast ou noise goes back to 0: nu <- (1 - ou_theta ou_dt) nu + sigma sqrt(ou_dt) "
          "eps")),
      per_agent(number("/noise/ou_dt", FIELD(noise.ou_dt), above(0, 1000), "",
                       "time of one step in that")),
      per_agent(number("/noise/epsilon", FIELD(noise.epsilon), closed(0, 1), "",
                       "probability of a uniformly random action")),
      integer("/replay/capacity", FIELD(replay.capacity), closed(1, 1e12), "transitions",
              "size of each agent's ring; rounded down to whole rows of num_envs"),
      integer("/replay/warmup_steps", FIELD(replay.warmup_steps), closed(1, kMaxSteps), "steps",
              "uniformly random actions and no updates until then"),
      integer("/report/interval", FIELD(report.interval), closed(1, kMaxSteps), "steps",
              "steps from one row of metrics.jsonl to the next"),
      integer("/eval/interval", FIELD(eval.interval), closed(0, kMaxSteps), "steps",
              "steps from one evaluation to the next; 0: only at the end"),
      integer("/eval/episodes", FIELD(eval.episodes), closed(1, 16777216), "episodes",
              "episodes of an evaluation, without noise"),
      integer("/eval/final_episodes", FIELD(eval.final_episodes), closed(1, 16777216), "episodes",
              "episodes of the last evaluation"),
      integer(
          "/checkpoint/interval", FIELD(checkpoint.interval), closed(0, kMaxSteps), "steps",
          "steps from one checkpoint to the next; 0: only at the end and on the best evaluation"),
      integer("/checkpoint/keep_last", FIELD(checkpoint.keep_last), closed(1, 1000000), "",
              "older checkpoints are removed"),
      enum_word<ReplaySaving>("/checkpoint/replay", FIELD(checkpoint.replay), {"full", "none"},
                              "whether a checkpoint holds the replay ring; without it a resumed "
                              "run fills the ring anew"),
      integer("/population/pbt/interval", FIELD(population.pbt.interval), closed(0, kMaxSteps),
              "steps",
              "population-based training: steps from one time that the worst agents copy the best "
              "to the next; 0: never"),
      number("/population/pbt/fraction", FIELD(population.pbt.fraction), above(0, 0.5), "",
             "share of the agents that copy, and of those that are copied; at least one"),
      number("/population/pbt/perturb", FIELD(population.pbt.perturb), closed(1, 10), "",
             "each of keys is then multiplied by this or divided by it"),
      number("/population/pbt/resample", FIELD(population.pbt.resample), closed(0, 1), "",
             "probability that a key with a distribution is drawn anew instead"),
      word_list("/population/pbt/keys", FIELD(population.pbt.keys),
                {"optimizer.actor_lr", "optimizer.critic_lr", "ddpg.gamma", "ddpg.tau",
                 "noise.sigma", "noise.sigma_final", "noise.sigma_ladder", "noise.epsilon"},
                "the hyperparameters that an agent changes after it has copied another's"),
      maybe_number("/stop/eval_return", FIELD(stop.eval_return), Range{}, "",
                   "stop when the mean return of an evaluation reaches this, and that over "
                   "eval.final_episodes of the same policy, too; null: never"),
      maybe_number("/stop/seconds", FIELD(stop.seconds), above(0, 1e9), "s",
                   "stop after this much wall time; null: never"),
      key_of("/result", KeyType::kObject, FIELD(result), "",
             "what a run of this config reached; for readers, the program never looks into it"),
  };
}

#undef FIELD

}  // namespace

KeySpec schema_key() {
  KeySpec key;
  key.path = "/$schema";
  key.type = KeyType::kText;
  key.help = "the JSON Schema that editors check this file by; Pendula reads and forgets it";
  key.accepts = [](const std::string&) { return true; };
  key.accepted_text = "a string";
  key.default_text = "none";
  key.get = [](const Config&) { return json(""); };
  key.set = [](Config&, const json&) {};
  return key;
}

std::vector<KeySpec> config_keys(const EnvironmentInfo* env) {
  std::vector<KeySpec> keys = run_keys();
  append(keys, env_keys(env));
  append(keys, learning_keys());
  append(keys, data_keys());
  return keys;
}

}  // namespace pendula
