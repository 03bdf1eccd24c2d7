// The CPU backend's memory: zeroed, and asked for only where the machine has it.
#pragma once

#include <cstdint>
#include <optional>

namespace pendula {

// Bytes that this process can still take without swapping or being killed: what the system has
// available, less where a control group (container, batch system) allows less. Nothing where the
// system does not say.
std::optional<uint64_t> available_memory();

// Zeroed memory on a page boundary. Pages that nothing touches cost nothing, but the whole must be
// available at the start: the kernel grants more than there is, and ends the process hours later,
// when a replay ring has grown into it. Throws Error(kMemory).
class HostMemory {
 public:
  explicit HostMemory(uint64_t bytes);
  ~HostMemory();
  HostMemory(const HostMemory&) = delete;
  HostMemory& operator=(const HostMemory&) = delete;
  char* get() const { return p_; }

 private:
  char* p_;
  uint64_t bytes_;
};

}  // namespace pendula
