// What the tests of checkpoints share: an arena in memory, a layout like a real one, and a folder
// that goes with the test.
#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include "host/checkpoint.h"
#include "host/error.h"
#include "host/safetensors.h"

namespace pendula {

class VectorArena : public ArenaAccess {
 public:
  explicit VectorArena(uint64_t bytes) : bytes_(bytes, 0) {}
  void read(uint64_t offset, uint64_t bytes, void* to) const override {
    ASSERT_LE(offset + bytes, bytes_.size());
    std::memcpy(to, bytes_.data() + offset, bytes);
  }
  void write(uint64_t offset, uint64_t bytes, const void* from) override {
    ASSERT_LE(offset + bytes, bytes_.size());
    std::memcpy(bytes_.data() + offset, from, bytes);
  }
  void fill(uint32_t seed) {
    std::mt19937 random(seed);
    for (char& byte : bytes_) byte = static_cast<char>(random());
  }
  std::vector<char>& bytes() { return bytes_; }

 private:
  std::vector<char> bytes_;
};

// A layout like a real one in small: gaps between the tensors, odd extents, one scalar per agent.
inline TensorTable make_table(int64_t agents, int64_t hidden = 31, int64_t rows = 10) {
  const auto up = [](uint64_t bytes) { return (bytes + 255) / 256 * 256; };
  TensorTable table{{}, agents, 0};
  const auto add = [&](const char* name, DType dtype, std::vector<int64_t> shape, bool replay) {
    table.tensors.push_back({name, dtype, shape, table.agent_bytes, replay});
    uint64_t bytes = dtype == DType::kF32 || dtype == DType::kU32 ? 4 : 8;
    for (size_t i = 1; i < shape.size(); ++i) bytes *= static_cast<uint64_t>(shape[i]);
    table.agent_bytes = up(table.agent_bytes + bytes);
  };
  add("agents.actor.layers.0.weight", DType::kF32, {agents, hidden, 3}, false);
  add("agents.actor.layers.0.weight.adam_m", DType::kF32, {agents, hidden, 3}, false);
  add("agents.counters.updates", DType::kU64, {agents}, false);
  add("agents.statistics.return_sum", DType::kF64, {agents, 7}, false);
  add("agents.replay.records", DType::kF32, {agents, rows, 16, 4}, true);
  add("agents.replay.episode_end", DType::kU32, {agents, rows}, true);
  return table;
}

// The arena's bytes that belong to tensors; the gaps between them are nobody's.
inline std::vector<char> tensor_bytes(const TensorTable& table, const VectorArena& arena,
                                      bool replay) {
  std::vector<char> bytes;
  for (const TensorSpec& tensor : table.tensors) {
    if (tensor.replay && !replay) continue;
    const uint64_t part = part_bytes(table, tensor);
    for (int64_t k = 0; k < table.agents; ++k) {
      bytes.resize(bytes.size() + part);
      arena.read(static_cast<uint64_t>(k) * table.agent_bytes + tensor.offset, part,
                 bytes.data() + bytes.size() - part);
    }
  }
  return bytes;
}

inline std::string slurp(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

inline void spit(const std::filesystem::path& path, const std::string& text) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << text;
}

// The message of the Error(kFiles) that `call` throws; fails the test for anything else.
template <class Call>
std::string error_of(Call call) {
  try {
    call();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kFiles);
    return error.what();
  } catch (const std::exception& error) {
    ADD_FAILURE() << "not an Error: " << error.what();
    return "";
  }
  ADD_FAILURE() << "nothing was thrown";
  return "";
}

class CheckpointTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string name =
        (std::filesystem::temp_directory_path() / "pendula_checkpoint_XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    root_ = name;
    dir_ = root_ / "checkpoints" / "step_000000001000";
    arena_.fill(1);
  }
  void TearDown() override { std::filesystem::remove_all(root_); }

  void save(bool with_replay = true) { save_checkpoint(dir_, table_, arena_, with_replay, info_); }

  // Loads into a fresh arena and checks that a refused checkpoint left no trace there.
  std::string refusal(const TensorTable& table) {
    VectorArena fresh(table.agent_bytes * static_cast<uint64_t>(table.agents));
    const std::string message = error_of([&] { load_checkpoint(dir_, table, fresh); });
    EXPECT_EQ(std::count(fresh.bytes().begin(), fresh.bytes().end(), 0),
              static_cast<int64_t>(fresh.bytes().size()));
    return message;
  }
  std::string refusal() { return refusal(table_); }

  size_t entries(const std::filesystem::path& dir) {
    return static_cast<size_t>(std::distance(std::filesystem::directory_iterator(dir), {}));
  }

  std::filesystem::path root_, dir_;
  TensorTable table_ = make_table(3);
  VectorArena arena_{table_.agent_bytes * 3};
  nlohmann::json info_ = {{kTimestepsKey, 1000},
                          {"config", {{"name", "pendulum"}, {"gamma", 0.99}}}};
};

}  // namespace pendula
