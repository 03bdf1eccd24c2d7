// What a key that may differ between agents takes in place of one value: a list of one value per
// agent, or a distribution, an object of one member:
//
//   {"uniform": [low, high]}      low + u (high - low), u uniform in [0, 1)
//   {"log_uniform": [low, high]}  low (high / low)^u
//   {"int_uniform": [low, high]}  an integer, both ends included
//   {"choice": [a, b, ...]}       one of these
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "host/config_key.h"

namespace pendula {

// The names of the distributions that the key takes: for integers those that draw integers.
std::vector<std::string> distributions_of(const KeySpec& key);

// Whether `name` is that of any distribution.
bool is_distribution(const std::string& name);

// What each number in `distribution` of the key must be, as a row of the table: the ends of
// int_uniform are integers, those of log_uniform positive.
KeySpec number_in(const KeySpec& key, const std::string& distribution);

// The value of agent `agent`: the agent's item of a list, or its draw from a distribution. `spec`
// must have been checked (host/config_value.h), and a list must have an item for the agent. A draw
// is a function of (seed, name, agent) alone, by Philox (kernels/philox.h) and operations that
// IEEE 754 rounds alike on every machine.
nlohmann::json value_of_agent(const nlohmann::json& spec, uint64_t seed, const std::string& name,
                              int64_t agent);

}  // namespace pendula
