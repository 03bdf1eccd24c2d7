// The agents of a config whose keys differ between them (Config::per_agent), one by one.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "host/config.h"

namespace pendula {

// "seed", "ddpg.gamma", ...: the keys that may differ, in the order of the table.
std::vector<std::string> keys_that_may_differ();

// "num_envs is one for all agents; only seed, ... may differ between them": of the key or section
// at `path` ("/env/num_envs").
std::string one_for_all_text(const std::string& path);

// The config of agent `agent` alone: of one agent, with its own seed (seed + agent, or its own of
// the list or distribution) and its own value of every key. Trained, it has the bits that the agent
// has in the population. A list must have an item for the agent; throws std::out_of_range.
Config agent_config(const Config& config, int64_t agent);

// The values of these keys in the config of one agent: {"optimizer.actor_lr": 0.001, ...}.
nlohmann::ordered_json agent_values(const Config& own, const std::vector<std::string>& keys);

// The keys with a list or a distribution, in the order of the table: "optimizer.actor_lr". Without
// noise.sigma_final where it only follows noise.sigma.
std::vector<std::string> differing_keys(const Config& config);

}  // namespace pendula
