// How shared() of the CUDA block splits what a program asks for: shared memory first; what does not
// fit there goes to the block's part of the spill area in device memory. Host (which sizes both
// parts) and device (which hands them out) use the same rule, so that they cannot disagree.
#pragma once

#include "kernels/plan.h"

namespace pendula {

// Leading dimension of (features, rows) buffers. The eight pad elements let the B fragment of a
// tensor-core product, element (k + lane % 4, n + lane / 4), hit all 32 banks: 72 mod 32 = 8.
inline constexpr int kCudaLd = kRows + 8;

// What one block of a program is given.
struct BlockMemory {
  uint64_t shared_bytes;  // of dynamic shared memory
  uint64_t spill_bytes;   // of each resident block in the spill area
  char* spill;            // of resident block 0, in device memory
};

// Static shared memory of the kernel of the block plan, at most.
inline constexpr uint64_t kTurnShared = 1280;

// How the agents are spread over the GPU.
struct TurnSetup {
  int cluster;              // blocks that train one agent together
  int clusters;             // of the launch
  uint32_t turn;            // iterations of a turn
  uint32_t resident_bytes;  // of shared memory, in front of the programs' own: the networks
  uint64_t resident_end;    // of them, in the agent's part (see Resident)
  bool moments;             // are among them (kernels/column_layout.h)
  BlockMemory rollout, critic_gradient, actor_gradient, optimizer, plain;
};

struct BlockBump {
  uint64_t shared_used = 0;
  uint64_t spill_used = 0;

  static PENDULA_FN uint64_t padded(uint64_t bytes) { return (bytes + 63) / 64 * 64; }

  // Takes `bytes` (padded): true and an offset in shared memory, or false and one in the spill
  // part.
  PENDULA_FN bool take(uint64_t bytes, uint64_t shared_bytes, uint64_t& offset) {
    const bool fits = shared_used + bytes <= shared_bytes;
    uint64_t& used = fits ? shared_used : spill_used;
    offset = used;
    used += bytes;
    return fits;
  }
};

}  // namespace pendula
