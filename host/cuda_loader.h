// Opens the CUDA plug-in, libpendula_cuda.so, at run time: the same pendula runs on machines with
// and without a GPU. The plug-in is looked for beside the executable and in ../lib;
// PENDULA_CUDA_PLUGIN names another file.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "bench/probe.h"
#include "host/backend.h"
#include "host/device_plan.h"

namespace pendula {

struct CudaProbe {
  bool available = false;            // at least one device can be used
  std::string sentence;              // what was found, or what is missing and what to do
  std::vector<std::string> devices;  // one line each, in the order of their indices
};

// Never throws for a missing GPU, driver or plug-in.
CudaProbe probe_cuda();

// Throws Error(kDevice) with the probe's sentence where there is no GPU or no such index, and
// Error(kMemory) where the run does not fit.
std::unique_ptr<Backend> make_cuda_backend(const Config& config, int device);

// The plan that a run would have there; its spill area has no address. Throws Error(kDevice) as
// above, and Error(kUsage) where config.plan cannot be had.
DevicePlan load_cuda_plan(const Config& config, int device);

// The ceilings of a GPU that `pendula bench machine` measures (bench/cuda/probes.h has their
// names). small: sizes for tests, which say nothing of speed. Throws Error(kDevice) as above.
std::vector<Probe> load_cuda_probes(int device, bool small);

// The GPU for the head of a report, key and value in order (bench/cuda/probes.h has the keys); what
// cannot be had reads "not measured". Throws Error(kDevice) as above.
using CudaMachine = std::vector<std::pair<std::string, std::string>>;
CudaMachine load_cuda_machine(int device);

}  // namespace pendula
