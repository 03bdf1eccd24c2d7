#include "host/host_memory.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <system_error>

#include "host/error.h"

namespace pendula {
namespace {

namespace fs = std::filesystem;

// The number behind `name` in a file of lines "name number ...".
std::optional<uint64_t> number_behind(const fs::path& file, const std::string& name) {
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);) {
    if (line.rfind(name, 0) == 0) return std::strtoull(line.c_str() + name.size(), nullptr, 10);
  }
  return std::nullopt;
}

// A file that holds one number; nothing where it is absent or says "max".
std::optional<uint64_t> number_in(const fs::path& file) {
  std::ifstream in(file);
  uint64_t value = 0;
  return in >> value ? std::optional(value) : std::nullopt;
}

// What one control group leaves. Its count includes cached files, which the kernel gives up first.
void lower_to_group(const fs::path& dir, const char* limit_file, const char* usage_file,
                    const char* cache_name, std::optional<uint64_t>& available) {
  const std::optional<uint64_t> limit = number_in(dir / limit_file);
  const std::optional<uint64_t> usage = number_in(dir / usage_file);
  if (!limit || !usage) return;
  const uint64_t cache = number_behind(dir / "memory.stat", cache_name).value_or(0);
  const uint64_t used = *usage - std::min(cache, *usage);
  const uint64_t left = *limit - std::min(used, *limit);
  available = std::min(available.value_or(left), left);
}

// The group and all above it limit the process. `path` as /proc/self/cgroup has it; inside a
// container it may not exist below the mount, whose own files are then the container's.
void lower_to_groups(const fs::path& mount, const std::string& path, bool version_2,
                     std::optional<uint64_t>& available) {
  for (fs::path group = path;; group = group.parent_path()) {
    const fs::path dir = mount / group.relative_path();
    if (version_2) {
      lower_to_group(dir, "memory.max", "memory.current", "inactive_file", available);
    } else {
      lower_to_group(dir, "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file",
                     available);
    }
    if (!group.has_relative_path()) return;
  }
}

}  // namespace

std::optional<uint64_t> available_memory() {
  std::optional<uint64_t> available;
  if (const auto kib = number_behind("/proc/meminfo", "MemAvailable:")) available = *kib * 1024;
  std::ifstream groups("/proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) {  // "4:memory:/path", or "0::/path"
    const size_t first = line.find(':');
    const size_t second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    const std::string path = line.substr(second + 1);
    if (controllers.empty()) lower_to_groups("/sys/fs/cgroup", path, true, available);
    if (controllers == "memory") lower_to_groups("/sys/fs/cgroup/memory", path, false, available);
  }
  return available;
}

HostMemory::HostMemory(uint64_t bytes) : bytes_(std::max<uint64_t>(bytes, 1)) {
  constexpr int kMiB = 20;
  const std::optional<uint64_t> available = available_memory();
  if (available && bytes_ > *available) {
    throw Error(ExitCode::kMemory,
                fmt::format("out of memory: the run needs {} MiB and {} MiB are available; lower "
                            "replay.capacity, env.num_envs or agents",
                            bytes_ >> kMiB, *available >> kMiB));
  }
  void* p = ::mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (p == MAP_FAILED) {
    throw Error(
        ExitCode::kMemory,
        fmt::format("out of memory: the system refuses {} MiB ({}; is there a limit, ulimit "
                    "-v?); lower replay.capacity, env.num_envs or agents",
                    bytes_ >> kMiB, std::generic_category().message(errno)));
  }
  p_ = static_cast<char*>(p);
  // Large pages where the system has them: a ring, or a wide layer's weights, lie on more small
  // ones than the processor keeps track of. Without them everything works.
  ::madvise(p_, bytes_, MADV_HUGEPAGE);
}

HostMemory::~HostMemory() {
  if (::munmap(p_, bytes_) != 0) {
    spdlog::warn("cannot return memory: {}", std::generic_category().message(errno));
  }
}

}  // namespace pendula
