#include "host/cuda_loader.h"

#include <dlfcn.h>
#include <unistd.h>

#include <climits>
#include <cstdlib>
#include <type_traits>

#include "host/cuda/plugin.h"
#include "host/error.h"

namespace pendula {
namespace {

constexpr const char* kFile = "libpendula_cuda.so";

struct Plugin {
  CudaPluginProbe probe = nullptr;
  CudaPluginCreate create = nullptr;
  CudaPluginPlan plan = nullptr;
  CudaPluginProbes probes = nullptr;
  CudaPluginMachine machine = nullptr;
  std::string problem;  // empty: loaded
};

bool exists(const std::string& path) { return access(path.c_str(), F_OK) == 0; }

std::string executable_directory() {
  char path[PATH_MAX];
  const ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);
  if (n <= 0) return ".";
  path[n] = '\0';
  const std::string all(path);
  return all.substr(0, all.rfind('/'));
}

// The plug-in's path, or "" where there is none.
std::string find_plugin(std::string& problem) {
  if (const char* named = std::getenv("PENDULA_CUDA_PLUGIN"); named != nullptr && *named != '\0') {
    if (exists(named)) return named;
    problem = std::string("PENDULA_CUDA_PLUGIN names ") + named + ", which does not exist";
    return "";
  }
  const std::string here = executable_directory();
  for (const char* place : {"/", "/../lib/"}) {
    if (exists(here + place + kFile)) return here + place + kFile;
  }
  problem = std::string("this pendula has no CUDA plug-in: there is no ") + kFile + " in " + here +
            " or " + here + "/../lib; build it where nvcc (CUDA 13 toolkit) is installed";
  return "";
}

std::string explain_dlopen(const std::string& path) {
  const char* reason = dlerror();
  const std::string why = reason != nullptr ? reason : "unknown reason";
  std::string sentence = "the CUDA plug-in " + path + " cannot be opened: " + why;
  if (why.find("libcudart") != std::string::npos) {
    sentence +=
        "; install the CUDA 13 runtime (apt package cuda-cudart-13-0 from NVIDIA's repository, or "
        "pip package nvidia-cuda-runtime with its lib directory in LD_LIBRARY_PATH)";
  }
  return sentence;
}

Plugin load() {
  Plugin plugin;
  const std::string path = find_plugin(plugin.problem);
  if (path.empty()) return plugin;
  // Never closed: the runtime's threads and the exceptions' code outlive every use.
  void* handle = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) {
    plugin.problem = explain_dlopen(path);
    return plugin;
  }
  CudaPluginVersion version = nullptr;
  const auto find = [&](const char* name, auto& function) {
    function = reinterpret_cast<std::decay_t<decltype(function)>>(dlsym(handle, name));
    if (function == nullptr && plugin.problem.empty()) {
      plugin.problem = path +
                       " is not a CUDA plug-in of pendula, or one of another build: it has no " +
                       name + "; build or install both together";
    }
  };
  find("pendula_cuda_version", version);
  if (version != nullptr && std::string(version()) != PENDULA_BUILD_ID) {
    plugin.problem = "the CUDA plug-in " + path + " is of another build (" + version() +
                     ", this pendula is " + PENDULA_BUILD_ID + "); build or install both together";
    return plugin;
  }
  find("pendula_cuda_probe", plugin.probe);
  find("pendula_cuda_create", plugin.create);
  find("pendula_cuda_plan", plugin.plan);
  find("pendula_cuda_probes", plugin.probes);
  find("pendula_cuda_machine", plugin.machine);
  return plugin;
}

const Plugin& plugin() {
  static const Plugin loaded = load();
  return loaded;
}

}  // namespace

CudaProbe probe_cuda() {
  CudaProbe result;
  if (!plugin().problem.empty()) {
    result.sentence = plugin().problem;
  } else {
    plugin().probe(result);
  }
  return result;
}

namespace {

// Throws where there is no GPU of that index.
void require(int device) {
  const CudaProbe found = probe_cuda();
  if (!found.available) throw Error(ExitCode::kDevice, "no GPU can be used: " + found.sentence);
  if (device < 0 || static_cast<size_t>(device) >= found.devices.size()) {
    std::string list;
    for (size_t i = 0; i < found.devices.size(); ++i) {
      list += "\n  cuda:" + std::to_string(i) + "  " + found.devices[i];
    }
    throw Error(ExitCode::kDevice,
                "there is no device cuda:" + std::to_string(device) + "; there are:" + list);
  }
}

}  // namespace

std::unique_ptr<Backend> make_cuda_backend(const Config& config, int device) {
  require(device);
  return std::unique_ptr<Backend>(plugin().create(config, device));
}

DevicePlan load_cuda_plan(const Config& config, int device) {
  require(device);
  DevicePlan plan;
  plugin().plan(config, device, plan);
  return plan;
}

std::vector<Probe> load_cuda_probes(int device, bool small) {
  require(device);
  std::vector<Probe> probes;
  plugin().probes(device, small, probes);
  return probes;
}

CudaMachine load_cuda_machine(int device) {
  require(device);
  CudaMachine machine;
  plugin().machine(device, machine);
  return machine;
}

}  // namespace pendula
