#include "host/safetensors.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <bit>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <stdexcept>

#include "host/error.h"

namespace pendula {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

static_assert(std::endian::native == std::endian::little, "safetensors data are little-endian");

constexpr uint64_t kBufferBytes = uint64_t{16} << 20;
// Ours have some ten kilobytes. The bound keeps a forged length from becoming an allocation.
constexpr uint64_t kMaxHeaderBytes = uint64_t{16} << 20;
constexpr uint64_t kLengthBytes = 8;
constexpr uint64_t kAlignment = 8;

// Appends to a file through a buffer; tensors are often far smaller than a good write.
class BufferedWriter {
 public:
  explicit BufferedWriter(File& file, uint64_t total_bytes)
      : file_(file), buffer_(std::min(kBufferBytes, total_bytes)) {}

  void append(const char* from, uint64_t bytes) {
    append(bytes, [&](uint64_t done, uint64_t n, char* to) { std::copy_n(from + done, n, to); });
  }

  // fill(done, n, to) provides bytes [done, done + n) of what is appended.
  template <class Fill>
  void append(uint64_t bytes, Fill fill) {
    for (uint64_t done = 0; done < bytes;) {
      const uint64_t n = std::min(bytes - done, buffer_.size() - used_);
      fill(done, n, buffer_.data() + used_);
      used_ += n;
      done += n;
      if (used_ == buffer_.size()) flush();
    }
  }

  void flush() {
    file_.write_all(buffer_.data(), used_);
    checksum_.update(buffer_.data(), used_);
    used_ = 0;
  }

  std::string checksum() const { return checksum_.hex(); }

 private:
  File& file_;
  Checksum checksum_;
  std::vector<char> buffer_;
  uint64_t used_ = 0;
};

// The 8 bytes of length and the JSON, padded.
std::string make_header(const TensorTable& table, const std::vector<const TensorSpec*>& tensors) {
  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  uint64_t begin = 0;
  for (const TensorSpec* tensor : tensors) {
    const uint64_t end = begin + part_bytes(table, *tensor) * static_cast<uint64_t>(table.agents);
    header[tensor->name] = {{"dtype", dtype_name(tensor->dtype)},
                            {"shape", tensor->shape},
                            {"data_offsets", {begin, end}}};
    begin = end;
  }
  std::string text = header.dump();
  text.resize((text.size() + kAlignment - 1) / kAlignment * kAlignment, ' ');
  const uint64_t length = text.size();
  return std::string(reinterpret_cast<const char*>(&length), kLengthBytes) + text;
}

[[noreturn]] void throw_bad(const File& file, const std::string& why) {
  throw Error(ExitCode::kFiles,
              fmt::format("cannot read {}: {}; the file is damaged or is not a safetensors file, "
                          "use another checkpoint",
                          file.path().string(), why));
}

// A name from a file, fit for a message: quoted, control characters escaped, not endless.
std::string quoted(const std::string& name) {
  return json(name.substr(0, 200)).dump(-1, ' ', true, json::error_handler_t::replace);
}

json parse_header(const File& file, const std::string& text) {
  std::set<std::string> names;
  // nlohmann keeps the last of two equal keys, so they are found while parsing.
  auto check = [&](int depth, json::parse_event_t event, json& value) {
    // Three levels are all the format has; without a bound "[[[[..." would eat the memory.
    if (depth > 4) throw_bad(file, "its header is nested too deeply");
    if (event == json::parse_event_t::key && depth == 1) {
      const std::string name = value.get<std::string>();
      if (!names.insert(name).second) throw_bad(file, "two tensors are called " + quoted(name));
    }
    return true;
  };
  try {
    return json::parse(text, check);
  } catch (const json::exception& error) {
    // what() quotes the file, which may be one endless string.
    throw_bad(file, "its header is not JSON: " + quoted(error.what()));
  }
}

std::optional<DType> dtype_from_name(const std::string& name) {
  for (DType dtype : {DType::kF32, DType::kF64, DType::kU32, DType::kU64}) {
    if (name == dtype_name(dtype)) return dtype;
  }
  return std::nullopt;
}

// One entry of the header; `data_start` and `file_bytes` bound its offsets.
StoredTensor parse_tensor(const File& file, const std::string& name, const json& entry,
                          uint64_t data_start, uint64_t file_bytes) {
  const auto fail = [&](const std::string& why) {
    throw_bad(file, fmt::format("tensor {} {}", quoted(name), why));
  };
  const auto is_list = [&](const char* key) {
    return entry.contains(key) && entry[key].is_array() &&
           std::all_of(entry[key].begin(), entry[key].end(),
                       [](const json& x) { return x.is_number_unsigned(); });
  };
  if (!entry.is_object() || !entry.contains("dtype") || !entry["dtype"].is_string() ||
      !is_list("shape") || !is_list("data_offsets") || entry["data_offsets"].size() != 2) {
    fail("lacks a dtype, a shape or its data_offsets");
  }
  const std::string dtype = entry["dtype"].get<std::string>();
  const std::optional<DType> known = dtype_from_name(dtype);
  if (!known) fail(fmt::format("has type {}, not F32, F64, U32 or U64", quoted(dtype)));

  StoredTensor tensor{name, *known, {}, 0, 0};
  int64_t bytes = static_cast<int64_t>(dtype_bytes(*known));
  for (const json& extent : entry["shape"]) {
    int64_t n = 0;
    if (__builtin_add_overflow(extent.get<uint64_t>(), 0, &n) ||
        __builtin_mul_overflow(bytes, n, &bytes)) {
      fail("has a shape too large for any file");
    }
    tensor.shape.push_back(n);
  }
  const uint64_t begin = entry["data_offsets"][0].get<uint64_t>();
  const uint64_t end = entry["data_offsets"][1].get<uint64_t>();
  if (begin > end || end > file_bytes - data_start) {
    fail(fmt::format("lies at bytes {} to {} of {}", begin, end, file_bytes - data_start));
  }
  if (end - begin != static_cast<uint64_t>(bytes)) {
    fail(fmt::format("has {} bytes where its shape {} needs {}", end - begin,
                     layout_text(*known, tensor.shape), bytes));
  }
  tensor.begin = data_start + begin;
  tensor.end = data_start + end;
  return tensor;
}

}  // namespace

const char* dtype_name(DType dtype) {
  switch (dtype) {
    case DType::kF32:
      return "F32";
    case DType::kF64:
      return "F64";
    case DType::kU32:
      return "U32";
    case DType::kU64:
      return "U64";
  }
  throw std::logic_error("unknown DType");
}

uint64_t dtype_bytes(DType dtype) { return dtype == DType::kF32 || dtype == DType::kU32 ? 4 : 8; }

std::string layout_text(DType dtype, const std::vector<int64_t>& shape) {
  return fmt::format("{} ({})", dtype_name(dtype), fmt::join(shape, ", "));
}

uint64_t part_bytes(const TensorTable& table, const TensorSpec& tensor) {
  const auto fail = [&](const char* why) {
    throw std::logic_error(fmt::format("tensor table: {} {} {}", tensor.name,
                                       layout_text(tensor.dtype, tensor.shape), why));
  };
  if (tensor.shape.empty() || tensor.shape[0] != table.agents) fail("lacks the axis of agents");
  uint64_t bytes = dtype_bytes(tensor.dtype);
  for (size_t axis = 1; axis < tensor.shape.size(); ++axis) {
    if (tensor.shape[axis] < 0 || __builtin_mul_overflow(bytes, tensor.shape[axis], &bytes)) {
      fail("overflows");
    }
  }
  if (tensor.offset > table.agent_bytes || bytes > table.agent_bytes - tensor.offset) {
    fail("lies beyond its agent's part of the arena");
  }
  return bytes;
}

WrittenFile write_safetensors(const fs::path& path, const TensorTable& table,
                              const std::vector<const TensorSpec*>& tensors,
                              const ArenaAccess& arena) {
  const std::string header = make_header(table, tensors);
  uint64_t total_bytes = header.size();
  for (const TensorSpec* tensor : tensors) {
    total_bytes += part_bytes(table, *tensor) * static_cast<uint64_t>(table.agents);
  }
  File file = File::create(path);
  BufferedWriter writer(file, total_bytes);
  writer.append(header.data(), header.size());
  for (const TensorSpec* tensor : tensors) {
    const uint64_t bytes = part_bytes(table, *tensor);
    for (int64_t agent = 0; agent < table.agents; ++agent) {
      const uint64_t part = static_cast<uint64_t>(agent) * table.agent_bytes + tensor->offset;
      writer.append(bytes,
                    [&](uint64_t done, uint64_t n, char* to) { arena.read(part + done, n, to); });
    }
  }
  writer.flush();
  file.sync();
  file.close();
  return {total_bytes, writer.checksum()};
}

std::vector<StoredTensor> read_safetensors_header(const File& file) {
  const uint64_t file_bytes = file.size();
  if (file_bytes < kLengthBytes) throw_bad(file, fmt::format("it has only {} bytes", file_bytes));
  uint64_t length = 0;
  file.read_all(0, &length, kLengthBytes);
  if (length > file_bytes - kLengthBytes) {
    throw_bad(file, fmt::format("its header of {} bytes would reach beyond its end, {} bytes",
                                length, file_bytes));
  }
  if (length > kMaxHeaderBytes) {
    throw_bad(file, fmt::format("its header has {} bytes, more than {}", length, kMaxHeaderBytes));
  }
  std::string text(length, '\0');
  file.read_all(kLengthBytes, text.data(), text.size());
  const json header = parse_header(file, text);
  if (!header.is_object()) throw_bad(file, "its header is not a JSON object");

  const uint64_t data_start = kLengthBytes + length;
  std::vector<StoredTensor> tensors;
  for (const auto& [name, entry] : header.items()) {
    if (name == "__metadata__") continue;
    tensors.push_back(parse_tensor(file, name, entry, data_start, file_bytes));
  }
  std::sort(tensors.begin(), tensors.end(), [](const StoredTensor& a, const StoredTensor& b) {
    return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
  });
  uint64_t expected = data_start;
  for (const StoredTensor& tensor : tensors) {
    if (tensor.begin != expected) {
      throw_bad(file, fmt::format("tensor {} {} the one before it", quoted(tensor.name),
                                  tensor.begin < expected ? "overlaps" : "leaves a gap after"));
    }
    expected = tensor.end;
  }
  if (expected != file_bytes) {
    throw_bad(file, fmt::format("its tensors end at byte {} and the file at byte {}", expected,
                                file_bytes));
  }
  return tensors;
}

void read_safetensors_tensor(const File& file, const StoredTensor& stored, const TensorTable& table,
                             const TensorSpec& tensor, ArenaAccess& arena) {
  const uint64_t bytes = part_bytes(table, tensor);
  if (stored.dtype != tensor.dtype || stored.shape != tensor.shape) {
    throw std::logic_error("read_safetensors_tensor: " + tensor.name + " has another layout");
  }
  const uint64_t total = stored.end - stored.begin;
  std::vector<char> buffer(std::min(kBufferBytes, total));
  for (uint64_t done = 0; done < total;) {
    const uint64_t n = std::min<uint64_t>(total - done, buffer.size());
    file.read_all(stored.begin + done, buffer.data(), n);
    // [done, done + n) of the tensor may hold the parts of many agents, or a piece of one.
    for (uint64_t at = done; at < done + n;) {
      const uint64_t agent = at / bytes;
      const uint64_t within = at % bytes;
      const uint64_t piece = std::min(bytes - within, done + n - at);
      arena.write(agent * table.agent_bytes + tensor.offset + within, piece,
                  buffer.data() + (at - done));
      at += piece;
    }
    done += n;
  }
}

std::string checksum_of(const File& file) {
  const uint64_t total = file.size();
  std::vector<char> buffer(std::min(kBufferBytes, total));
  Checksum checksum;
  for (uint64_t done = 0; done < total;) {
    const uint64_t n = std::min<uint64_t>(total - done, buffer.size());
    file.read_all(done, buffer.data(), n);
    checksum.update(buffer.data(), n);
    done += n;
  }
  return checksum.hex();
}

}  // namespace pendula
