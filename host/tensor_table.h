// The names, types and places of all training state in the arena: what a checkpoint writes.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace pendula {

enum class DType { kF32, kF64, kU32, kU64 };  // "F32", "F64", "U32", "U64" in safetensors

struct TensorSpec {
  std::string name;  // "agents.actor.layers.0.weight"
  DType dtype;
  std::vector<int64_t> shape;  // the agents first: (agents, out, in)
  uint64_t offset;             // bytes from the start of one agent's part; unpadded inside
  bool replay;                 // part of the replay ring: left out by "replay": "none"
};

struct TensorTable {
  std::vector<TensorSpec> tensors;
  int64_t agents;
  uint64_t agent_bytes;  // agent k's part starts at k * agent_bytes
};

// Reads and writes bytes of the arena, wherever it lies. Offsets are from the arena's start.
class ArenaAccess {
 public:
  virtual ~ArenaAccess() = default;
  virtual void read(uint64_t offset, uint64_t bytes, void* to) const = 0;
  virtual void write(uint64_t offset, uint64_t bytes, const void* from) = 0;
};

}  // namespace pendula
