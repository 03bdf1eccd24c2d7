// The safetensors format (github.com/huggingface/safetensors), the part that checkpoints need:
//
//   8 bytes   N, the header's length, little-endian
//   N bytes   JSON, padded with spaces to a multiple of 8:
//             {"name": {"dtype": "F32", "shape": [2, 64], "data_offsets": [begin, end]}, ...}
//   the rest  the tensors, one after the other, without gaps; offsets count from here
//
// In the arena one agent's part is contiguous; in the file the agents are every tensor's leading
// axis. So a tensor is gathered from (and scattered to) `agents` places, k * agent_bytes + offset,
// through a buffer of bounded size: a replay ring may be larger than the host's memory.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "host/files.h"
#include "host/tensor_table.h"

namespace pendula {

const char* dtype_name(DType dtype);  // "F32"
uint64_t dtype_bytes(DType dtype);

// "F32 (2, 64, 3)"
std::string layout_text(DType dtype, const std::vector<int64_t>& shape);

// Bytes of one agent's part of a tensor. Throws std::logic_error for a table that contradicts
// itself: the agents not leading, a part beyond agent_bytes, a product that overflows.
uint64_t part_bytes(const TensorTable& table, const TensorSpec& tensor);

struct WrittenFile {
  uint64_t bytes;
  std::string checksum;  // XXH3-128 of the whole file, 32 hexadecimal digits
};

// Writes `tensors` (of `table`) into a new file and waits until it is on the disk.
// Throws Error(kFiles) where `path` exists or cannot be written.
WrittenFile write_safetensors(const std::filesystem::path& path, const TensorTable& table,
                              const std::vector<const TensorSpec*>& tensors,
                              const ArenaAccess& arena);

struct StoredTensor {
  std::string name;
  DType dtype;
  std::vector<int64_t> shape;
  uint64_t begin;  // bytes from the start of the file
  uint64_t end;
};

// The tensors of a file in the order of their data. The file need not be ours: a header that is
// longer than the file, broken JSON, duplicate names, offsets that overlap, leave gaps or lie
// outside and shapes that do not match their bytes throw Error(kFiles).
std::vector<StoredTensor> read_safetensors_header(const File& file);

// Scatters one tensor into the arena. Its dtype and shape must be those of `tensor`.
void read_safetensors_tensor(const File& file, const StoredTensor& stored, const TensorTable& table,
                             const TensorSpec& tensor, ArenaAccess& arena);

// The checksum of a whole file, read through a bounded buffer.
std::string checksum_of(const File& file);

}  // namespace pendula
