// Evaluations over the agents of a run: what the rows of eval.jsonl say together.
#pragma once

#include <nlohmann/json.hpp>
#include <vector>

namespace pendula {

struct EvaluationSummary {
  double mean;    // over all agents' episodes; NaN where an agent's mean is unknown
  double std;     // (population) standard deviation over all agents' episodes
  double length;  // mean, in steps
};

// Of one evaluation's rows (evaluation_rows() in host/metrics.h), one per agent.
EvaluationSummary summarise(const std::vector<nlohmann::ordered_json>& rows);

}  // namespace pendula
