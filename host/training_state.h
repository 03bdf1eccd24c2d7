// What a trainer does to the arena between launches: little repairs by name, through the table of
// tensors.
#pragma once

#include <string>
#include <vector>

#include "host/backend.h"
#include "kernels/plan.h"

namespace pendula {

AgentCounters read_counters(const Backend& backend, int64_t agent);
std::vector<AgentCounters> read_counters(const Backend& backend);  // of every agent
void write_counters(Backend& backend, int64_t agent, const AgentCounters& counters);

// For each agent, whether it has been frozen.
std::vector<bool> diverged_agents(const std::vector<AgentCounters>& counters);

// After a checkpoint without its replay: the ring begins anew at this iteration, and updates pause
// for `warmup_steps` environment steps while it fills.
void restart_replay(Backend& backend, const Config& config);

// policy_lag 1: the lagged actor becomes a copy of the actor.
void copy_actor_to_lagged(Backend& backend);

// The tensors that --init-from takes over: the networks, not the optimizer's moments.
bool is_network(const std::string& tensor);

}  // namespace pendula
