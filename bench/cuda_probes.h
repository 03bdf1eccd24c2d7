// The probes of the CUDA plug-in.
#pragma once

#include <vector>

#include "bench/probe.h"

namespace pendula {

// small: sizes for tests and the simulator. Throws Error(kDevice) where there is no such GPU.
std::vector<Probe> load_cuda_probes(int device, bool small);

}  // namespace pendula
