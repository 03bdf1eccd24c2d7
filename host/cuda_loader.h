// Opens the CUDA plug-in, libpendula_cuda.so, at run time: the same pendula runs on machines with
// and without a GPU. The plug-in is looked for beside the executable and in ../lib;
// PENDULA_CUDA_PLUGIN names another file.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "host/backend.h"

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

}  // namespace pendula
