// What the programs tell the host: report rows, faults, why a launch ended.
#pragma once

#include <cstdint>

namespace pendula {

// One agent's sums since its previous row. The device writes a row every report.interval steps.
struct ReportRow {
  uint64_t agent;
  uint64_t iteration;         // iterations completed
  uint64_t timesteps;         // environment steps of this agent so far
  uint64_t updates;           // updates so far
  uint64_t row_updates;       // updates since the previous row
  uint64_t row_episodes;      // episodes that ended since the previous row
  double episode_return_sum;  // over those episodes, undiscounted, unscaled
  double episode_length_sum;
  double critic_loss_sum;  // over those updates: mean over the batch of the loss
  double actor_loss_sum;   // -mean Q(s, mu(s))
  double q_sum;            // mean Q(s, a) of the batch
  double grad_norm_actor_sum;
  double grad_norm_critic_sum;
};

// Where a NaN or an Inf was first seen.
enum class Fault : uint32_t {
  kNone = 0,
  kReward,  // a reward or a state in the rollout
  kCriticLoss,
  kCriticGradient,
  kActorLoss,
  kActorGradient,
};
// Why a launch ended.
enum class HaltReason : uint32_t { kReached, kStopFlag, kDiverged, kTime };

}  // namespace pendula
