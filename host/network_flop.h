// Shapes of networks, and what one DDPG update of them computes: the work that limits divide by.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace pendula {

// "2x64" for {64, 64}, "400-300" for {400, 300}, "1x64" for {64}, "none" for {}.
std::string network_name(const std::vector<int64_t>& hidden);

// Sizes of a network's layers: inputs, hidden layers, outputs.
std::vector<int64_t> layer_sizes(int64_t inputs, const std::vector<int64_t>& hidden,
                                 int64_t outputs);

// FLOP of one row through a network: 2 x the sum of (inputs x outputs) over its layers.
double forward_flop(const std::vector<int64_t>& sizes);

// FLOP of one row of a batch in one DDPG update (Lillicrap et al. 2015, Algorithm 1), products
// only:
//
//   4 Fa + 6 Fc - Fa1 - 2 Fc1 + 2 A h1
//
// Fa, Fc: forward_flop of actor (obs -> A) and critic (obs + A -> 1); Fa1, Fc1: of their first
// layers, whose inputs need no gradient; h1: the critic's first hidden width, over which the
// actions get theirs. Forward: actor, critic, both targets, and the critic of the actor's loss;
// backward: two forwards for each network, one for the critic of the actor's loss, whose weights
// get no gradient.
double update_flop(int64_t obs_dim, int64_t action_dim, const std::vector<int64_t>& actor_hidden,
                   const std::vector<int64_t>& critic_hidden);

}  // namespace pendula
