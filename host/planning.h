// From a config to the plan that the programs read and the table of tensors that checkpoints write.
#pragma once

#include <vector>

#include "host/config.h"
#include "host/environments.h"
#include "host/tensor_table.h"
#include "kernels/plan.h"

namespace pendula {

struct PlannedRun {
  Plan plan;
  TensorTable tensors;
};

// Sized for the largest batch and the most updates of any agent. element_bytes: 4 for training in
// float, 8 for proofs in double. Throws Error(kUsage) for what no plan can hold.
PlannedRun make_plan(const Config& config, const EnvironmentInfo& env, int element_bytes);

// Values of the environment's parameters, in the order of its table.
std::vector<double> env_param_values(const Config& config, const EnvironmentInfo& env);

// What agent `index` is told: its own values, its seed config.seed + index where it has none.
AgentHyper agent_hyper(const Config& config, int index);

// Whole iterations that cover `steps` environment steps.
uint64_t iterations_for(const Config& config, int64_t steps);

}  // namespace pendula
