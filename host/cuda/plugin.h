// What libpendula_cuda.so exports. Both sides are of one build (PENDULA_BUILD_ID, compared before
// anything else is called), so that C++ types may cross.
#pragma once

#include "host/cuda_loader.h"

namespace pendula {

using CudaPluginVersion = const char* (*)();
using CudaPluginProbe = void (*)(CudaProbe& result);
// Throws Error.
using CudaPluginCreate = Backend* (*)(const Config& config, int device);
using CudaPluginPlan = void (*)(const Config& config, int device, DevicePlan& result);
using CudaPluginProbes = void (*)(int device, bool small, std::vector<Probe>& result);
using CudaPluginMachine = void (*)(int device, CudaMachine& result);

}  // namespace pendula
