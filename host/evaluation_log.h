// Evaluations over the agents of a run: what the rows of one evaluation say together. Agents that
// diverged are left out, and counted.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <vector>

#include "host/statistics_of_agents.h"

namespace pendula {

struct EvaluationSummary {
  double mean;    // over the episodes of all agents that go on; NaN where there is none
  double std;     // (population) standard deviation over those episodes
  double length;  // mean, in steps
  uint64_t timesteps;
  uint64_t episodes;       // of each agent
  size_t agents;           // of the run
  size_t diverged;         // of them, frozen or with a mean that is not finite
  AgentStatistics across;  // of the agents' means, without those; more than one agent only
};

// rows: of one evaluation (evaluation_rows() in host/metrics.h), one per agent. diverged: for each
// agent, whether it has been frozen.
EvaluationSummary summarise(const std::vector<nlohmann::ordered_json>& rows,
                            const std::vector<bool>& diverged);

// The row of eval.jsonl of a population. NaN is null.
nlohmann::ordered_json evaluation_row(const EvaluationSummary& summary);

// Adds what a population has beside the mean: eval/iqm, its interval, eval/quantiles (an object:
// min, 5, 25, 50, 75, 95, max), eval/agents and eval/agents_diverged.
void add_statistics(nlohmann::ordered_json& row, const EvaluationSummary& summary);

}  // namespace pendula
