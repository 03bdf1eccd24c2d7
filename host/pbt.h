// Population-based training (Jaderberg et al. 2017, "Population Based Training of Neural
// Networks"): now and then the worst agents copy networks and hyperparameters of the best (exploit)
// and change the hyperparameters (explore).
#pragma once

#include <cstdint>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "host/backend.h"
#include "host/config.h"
#include "kernels/plan.h"

namespace pendula {

// One agent that copies another.
struct Exploit {
  int64_t from = 0, to = 0;
  std::optional<double> from_return, to_return;  // mean training returns that decided it
  bool revived = false;                          // `to` had diverged
  AgentHyper hyper{};                            // of `to` from now on
};

// What an agent looked like when it was ranked.
struct RankedAgent {
  AgentHyper hyper{};
  std::optional<double> mean_return;  // of the episodes since the last exploit; unknown: last
  bool diverged = false;              // unknown return too
};

// A new value of `key` for `agent`, drawn by `seed`; nothing where the key has no distribution.
using Draw =
    std::function<std::optional<double>(const std::string& key, uint64_t seed, int64_t agent)>;

// Who copies whom. ranked: the agents from the best to the worst. Of the P of them that have a
// return or have diverged, the last max(1, floor(fraction P)) copy one of as many of the first that
// have a return; the others, of whom no episode has ended, are left alone. All draws are Philox's,
// by (config.seed, number of the exploit, agent).
std::vector<Exploit> exploits(const Config& config, uint64_t number,
                              const std::vector<RankedAgent>& agents,
                              const std::vector<int64_t>& ranked, const Draw& draw);

// Ranks the agents by their returns, copies, and begins to count anew. iteration: those completed,
// a multiple of the interval. An agent that had diverged goes on from a copy of the other's
// environments too and fills its ring anew, for its own hold what made it diverge; all others keep
// environments, ring and counters, and every agent keeps its seed.
std::vector<Exploit> exploit(Backend& backend, const Config& config, uint64_t iteration);

// A row of pbt.jsonl: steps, from, to, their returns, and the new value of each of pbt.keys.
nlohmann::ordered_json exploit_row(const Exploit& exploit, const PbtConfig& pbt,
                                   uint64_t timesteps);

}  // namespace pendula
