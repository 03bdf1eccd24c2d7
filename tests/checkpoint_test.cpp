// Checkpoints: what is saved comes back bit by bit, whatever is damaged is refused before the arena
// is touched, and a process killed while saving never costs the checkpoint that was there before.
#include "host/checkpoint.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <random>
#include <sstream>

#include "host/error.h"
#include "host/safetensors.h"
#include "tests/contains.h"

namespace pendula {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

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
TensorTable make_table(int64_t agents, int64_t hidden = 31, int64_t rows = 10) {
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
std::vector<char> tensor_bytes(const TensorTable& table, const VectorArena& arena, bool replay) {
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

std::string slurp(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

void spit(const fs::path& path, const std::string& text) {
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
    std::string name = (fs::temp_directory_path() / "pendula_checkpoint_XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    root_ = name;
    dir_ = root_ / "checkpoints" / "step_000000001000";
    arena_.fill(1);
  }
  void TearDown() override { fs::remove_all(root_); }

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

  size_t entries(const fs::path& dir) {
    return static_cast<size_t>(std::distance(fs::directory_iterator(dir), {}));
  }

  fs::path root_, dir_;
  TensorTable table_ = make_table(3);
  VectorArena arena_{table_.agent_bytes * 3};
  json info_ = {{kTimestepsKey, 1000}, {"config", {{"name", "pendulum"}, {"gamma", 0.99}}}};
};

TEST_F(CheckpointTest, RoundTripIsBitwise) {
  save();
  VectorArena loaded(arena_.bytes().size());
  const LoadedCheckpoint result = load_checkpoint(dir_, table_, loaded);
  EXPECT_TRUE(result.exact);
  EXPECT_EQ(result.info, info_);
  EXPECT_EQ(tensor_bytes(table_, loaded, true), tensor_bytes(table_, arena_, true));
  EXPECT_EQ(entries(dir_), 3u);
  EXPECT_EQ(entries(dir_.parent_path()), 1u);  // no temporary stays
}

TEST_F(CheckpointTest, TensorsLargerThanTheBufferComeBack) {
  // 20 MB per agent against a buffer of 16 MiB: pieces of agents and agents in pieces.
  table_ = make_table(3, 31, 80000);
  arena_ = VectorArena(table_.agent_bytes * 3);
  arena_.fill(2);
  save();
  VectorArena loaded(arena_.bytes().size());
  load_checkpoint(dir_, table_, loaded);
  EXPECT_EQ(tensor_bytes(table_, loaded, true), tensor_bytes(table_, arena_, true));
}

TEST_F(CheckpointTest, AgentsAreTheLeadingAxis) {
  save();
  const File file = File::open(dir_ / "state.safetensors");
  const StoredTensor weight = read_safetensors_header(file).at(0);
  EXPECT_EQ(weight.name, "agents.actor.layers.0.weight");
  EXPECT_EQ(weight.begin % 8, 0u);
  const uint64_t part = 31 * 3 * 4;
  std::vector<char> stored(part), in_arena(part);
  file.read_all(weight.begin + 2 * part, stored.data(), part);
  arena_.read(2 * table_.agent_bytes, part, in_arena.data());
  EXPECT_EQ(stored, in_arena);
}

TEST_F(CheckpointTest, WithoutReplayTheRestIsLoadedAndTheCallerIsTold) {
  save(false);
  VectorArena loaded(arena_.bytes().size());
  EXPECT_FALSE(load_checkpoint(dir_, table_, loaded).exact);
  EXPECT_EQ(tensor_bytes(table_, loaded, false), tensor_bytes(table_, arena_, false));
  EXPECT_FALSE(fs::exists(dir_ / "replay.safetensors"));
}

TEST_F(CheckpointTest, FilterLoadsOnlyNetworksEvenFromAnotherReplay) {
  save();
  const TensorTable other = make_table(3, 31, 20);
  VectorArena loaded(other.agent_bytes * 3);
  load_checkpoint(dir_, other, loaded, [](const std::string& name) {
    return name.starts_with("agents.actor.") && !name.ends_with(".adam_m");
  });
  std::vector<char> weight(31 * 3 * 4), expected(weight.size());
  loaded.read(other.agent_bytes, weight.size(), weight.data());
  arena_.read(table_.agent_bytes, weight.size(), expected.data());
  EXPECT_EQ(weight, expected);
  loaded.read(other.agent_bytes + other.tensors[1].offset, weight.size(), weight.data());
  EXPECT_EQ(weight, std::vector<char>(weight.size(), 0));  // Adam's moments stay
}

TEST_F(CheckpointTest, ChangedBytesAreDetectedInEveryFile) {
  save();
  for (const char* name : {"state.safetensors", "replay.safetensors", "manifest.json"}) {
    const std::string good = slurp(dir_ / name);
    const size_t stride = std::max<size_t>(1, good.size() / 400);
    for (size_t i = 0; i < good.size(); i += stride) {
      for (char mask : {char(1), char(0x20), char(0xff)}) {
        std::string bad = good;
        bad[i] = static_cast<char>(bad[i] ^ mask);
        spit(dir_ / name, bad);
        ASSERT_TRUE(contains(refusal(), {name})) << name << " byte " << i;
      }
    }
    spit(dir_ / name, good);
  }
  VectorArena loaded(arena_.bytes().size());
  EXPECT_TRUE(load_checkpoint(dir_, table_, loaded).exact);
}

TEST_F(CheckpointTest, ShortenedLengthenedAndMissingFilesAreDetected) {
  save();
  for (const char* name : {"state.safetensors", "replay.safetensors", "manifest.json"}) {
    const std::string good = slurp(dir_ / name);
    const size_t n = good.size();
    for (size_t length : {size_t{0}, size_t{1}, size_t{7}, size_t{8}, size_t{9}, size_t{100}, n / 2,
                          n - 8, n - 1}) {
      spit(dir_ / name, good.substr(0, length));
      ASSERT_TRUE(contains(refusal(), {name})) << name << " cut to " << length;
    }
    if (name != std::string("manifest.json")) {  // its size is known before a byte is read
      EXPECT_TRUE(contains(refusal(), {fmt::format("{} bytes, its manifest says {}", n - 1, n)}));
    }
    spit(dir_ / name, good + "x");
    EXPECT_TRUE(contains(refusal(), {name}));
    fs::remove(dir_ / name);
    EXPECT_TRUE(contains(refusal(), {name, "No such file"}));
    spit(dir_ / name, good);
  }
}

TEST_F(CheckpointTest, AnotherLayoutNamesTensorAndBothShapes) {
  save();
  EXPECT_TRUE(contains(
      refusal(make_table(3, 64)),
      {"agents.actor.layers.0.weight is F32 (3, 31, 3)", "F32 (3, 64, 3)", "config.json"}));
  EXPECT_TRUE(contains(refusal(make_table(2)), {"U64 (3)", "U64 (2)"}));
  EXPECT_TRUE(
      contains(refusal(make_table(3, 31, 11)), {"agents.replay.records is F32 (3, 10, 16"}));

  TensorTable table = table_;
  table.tensors[3].dtype = DType::kU64;
  EXPECT_TRUE(contains(refusal(table), {"F64 (3, 7)", "U64 (3, 7)"}));
  table = table_;
  table.tensors[2].name = "agents.counters.steps";
  EXPECT_TRUE(contains(refusal(table), {"agents.counters.steps is missing",
                                        "agents.counters.updates is U64 (3), this config "
                                        "has no such tensor"}));
}

// Wrong headers that a checksum does not catch: the files of others.
TEST_F(CheckpointTest, ForgedHeadersAreSentences) {
  const fs::path path = root_ / "forged.safetensors";
  const auto message = [&](const std::string& header, size_t data_bytes, int64_t length = -1) {
    const uint64_t n = length < 0 ? header.size() : static_cast<uint64_t>(length);
    spit(path, std::string(reinterpret_cast<const char*>(&n), 8) + header +
                   std::string(data_bytes, '\0'));
    return error_of([&] { read_safetensors_header(File::open(path)); });
  };
  const auto tensor = [](const char* name, const char* shape, const char* offsets) {
    return fmt::format(R"("{}":{{"dtype":"F32","shape":{},"data_offsets":{}}})", name, shape,
                       offsets);
  };
  EXPECT_TRUE(contains(message("{}", 0, 3), {"beyond its end"}));
  EXPECT_TRUE(contains(message("{}", 0, INT64_MAX), {"beyond its end"}));
  EXPECT_TRUE(contains(message("{]", 0), {"not JSON"}));
  EXPECT_TRUE(contains(message("[]", 0), {"not a JSON object"}));
  EXPECT_TRUE(contains(message(std::string(100000, '['), 0), {"nested too deeply"}));
  EXPECT_LT(message("{\"" + std::string(100000, 'a'), 0).size(), 1000u);
  EXPECT_TRUE(contains(message("{\"a\":1}", 0), {"lacks a dtype"}));
  EXPECT_TRUE(contains(message("{" + tensor("a", "[-1]", "[0,4]") + "}", 4), {"lacks a dtype"}));
  EXPECT_TRUE(contains(message("{" + tensor("a", "[1.5]", "[0,4]") + "}", 4), {"lacks a dtype"}));
  EXPECT_TRUE(
      contains(message(R"({"a":{"dtype":"BF16","shape":[1],"data_offsets":[0,2]}})", 2), {"BF16"}));
  EXPECT_TRUE(contains(message("{" + tensor("a", "[2]", "[0,8]") + "}", 4), {"bytes 0 to 8 of 4"}));
  EXPECT_TRUE(contains(message("{" + tensor("a", "[1]", "[4,0]") + "}", 4), {"bytes 4 to 0 of 4"}));
  EXPECT_TRUE(contains(message("{" + tensor("a", "[2]", "[0,4]") + "}", 4), {"needs 8"}));
  EXPECT_TRUE(contains(message("{" + tensor("a", "[4294967296,4294967296]", "[0,0]") + "}", 0),
                       {"too large"}));
  EXPECT_TRUE(contains(message("{" + tensor("a", "[18446744073709551615]", "[0,4]") + "}", 4),
                       {"too large"}));
  EXPECT_TRUE(contains(
      message("{" + tensor("a", "[2]", "[0,8]") + "," + tensor("b", "[1]", "[4,8]") + "}", 8),
      {"overlaps"}));
  EXPECT_TRUE(contains(message("{" + tensor("a", "[1]", "[4,8]") + "}", 8), {"gap"}));
  EXPECT_TRUE(contains(message("{" + tensor("a", "[1]", "[0,4]") + "}", 8), {"end at byte"}));
  EXPECT_TRUE(contains(
      message("{" + tensor("a", "[1]", "[0,4]") + "," + tensor("a", "[1]", "[4,8]") + "}", 8),
      {"two tensors are called \"a\""}));
  EXPECT_FALSE(contains(message("{" + tensor("\\u0007\\n", "[1]", "[0,8]") + "}", 8), {"\a"}));
  spit(path, "abc");
  EXPECT_TRUE(contains(error_of([&] { read_safetensors_header(File::open(path)); }), {"3 bytes"}));
  EXPECT_TRUE(contains(error_of([&] { File::open(root_); }), {"directory"}));
}

TEST_F(CheckpointTest, ReplacesAnOlderCheckpointWithAndWithoutExchange) {
  save();
  arena_.fill(7);
  save(false);  // the replay file of the older one must not stay
  EXPECT_EQ(entries(dir_), 2u);
  EXPECT_EQ(entries(dir_.parent_path()), 1u);

  const fs::path complete = root_ / "checkpoints" / ".tmp-new";
  for (bool exchange : {true, false}) {
    fs::create_directory(complete);
    spit(complete / "mark", exchange ? "a" : "b");
    replace_directory(complete, dir_, exchange);
    EXPECT_EQ(slurp(dir_ / "mark"), exchange ? "a" : "b");
    EXPECT_EQ(entries(dir_.parent_path()), 1u);
  }
}

TEST_F(CheckpointTest, KilledBetweenTwoRenamesTheOldOneIsFoundAndComesBack) {
  save();
  fs::rename(dir_, dir_.parent_path() / (".old-" + dir_.filename().string()));
  VectorArena loaded(arena_.bytes().size());
  EXPECT_TRUE(load_checkpoint(dir_, table_, loaded).exact);
  recover_checkpoints(dir_.parent_path());
  EXPECT_TRUE(fs::exists(dir_ / "manifest.json"));
  EXPECT_EQ(entries(dir_.parent_path()), 1u);
}

TEST_F(CheckpointTest, KilledWhileSavingThePreviousCheckpointLoads) {
  save();
  std::mt19937 random(5);
  int killed_midway = 0;
  for (int round = 0; round < 30; ++round) {
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      for (uint32_t i = 0;; ++i) {
        // Every tensor of one save is filled with one seed, so that a mixture of two is seen.
        arena_.fill(i % 8);
        save_checkpoint(dir_, table_, arena_, true, {{kTimestepsKey, i % 8}});
      }
    }
    ::usleep(1000 + random() % 20000);
    ::kill(child, SIGKILL);
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status)) << "the child failed by itself";
    killed_midway += entries(dir_.parent_path()) > 1;

    VectorArena loaded(arena_.bytes().size()), expected(arena_.bytes().size());
    const LoadedCheckpoint result = load_checkpoint(dir_, table_, loaded);
    const bool first = result.info.contains("config");
    expected.fill(first ? 1 : result.info[kTimestepsKey].get<uint32_t>());
    ASSERT_EQ(tensor_bytes(table_, loaded, true), tensor_bytes(table_, expected, true));
  }
  EXPECT_GT(killed_midway, 5) << "the kills hardly ever met a save: the test proves little";
  arena_.fill(1);
  save();
  EXPECT_EQ(entries(dir_.parent_path()), 1u);  // what the killed ones left is gone
}

// A full disk: the kernel refuses writes beyond a limit, in a child so that the limit ends with it.
TEST_F(CheckpointTest, FullDiskLeavesTheOldCheckpointAndNoTemporary) {
  save();
  for (rlim_t limit : {0, 100, 2000, 7000}) {
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      ::signal(SIGXFSZ, SIG_IGN);
      const rlimit limits{limit, limit};
      if (::setrlimit(RLIMIT_FSIZE, &limits) != 0) ::_exit(10);
      try {
        arena_.fill(9);
        save();
        ::_exit(11);
      } catch (const Error& error) {
        const std::string what = error.what();
        const bool good = error.code() == ExitCode::kFiles &&
                          what.find("File too large") != std::string::npos &&
                          what.find(".safetensors") != std::string::npos;
        ::_exit(good ? 0 : 12);
      }
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFEXITED(status));
    EXPECT_EQ(WEXITSTATUS(status), 0) << "limit " << limit;
    EXPECT_EQ(entries(dir_.parent_path()), 1u);
    VectorArena loaded(arena_.bytes().size());
    load_checkpoint(dir_, table_, loaded);
    EXPECT_EQ(tensor_bytes(table_, loaded, true), tensor_bytes(table_, arena_, true));
  }
}

TEST_F(CheckpointTest, ParentThatIsAFileIsASentence) {
  spit(root_ / "file", "x");
  dir_ = root_ / "file" / "step_000000000001";
  EXPECT_TRUE(contains(error_of([&] { save(); }), {"cannot create", "file"}));
}

TEST_F(CheckpointTest, ListIsSortedAndPruneKeepsTheNewest) {
  EXPECT_TRUE(list_checkpoints(root_).empty());
  for (int64_t step : {3000L, 1000L, 1000000000000L, 2000L}) {
    dir_ = checkpoint_dir(root_, step);
    save();
  }
  fs::create_directory(root_ / "checkpoints" / "step_000000009999");  // no manifest
  fs::create_directory(root_ / "checkpoints" / "step_x");
  std::vector<int64_t> steps;
  for (const StoredCheckpoint& c : list_checkpoints(root_)) steps.push_back(c.step);
  EXPECT_EQ(steps, (std::vector<int64_t>{1000, 2000, 3000, 1000000000000}));
  prune_checkpoints(root_, 2);
  ASSERT_EQ(list_checkpoints(root_).size(), 2u);
  EXPECT_EQ(list_checkpoints(root_)[0].step, 3000);
  EXPECT_EQ(list_checkpoints(root_)[0].dir.filename(), "step_000000003000");
  prune_checkpoints(root_, 0);
  EXPECT_EQ(list_checkpoints(root_).size(), 1u);
}

TEST_F(CheckpointTest, ManifestHoldsChecksumsThatXxhsumPrints) {
  // XXH3-128 of nothing, from the reference implementation's own self-test.
  EXPECT_EQ(Checksum().hex(), "99aa06d3014798d86001c324468d497f");
  save();
  const Manifest manifest = read_manifest(dir_);
  ASSERT_EQ(manifest.files.size(), 2u);
  EXPECT_EQ(manifest.files[0].name, "state.safetensors");
  EXPECT_EQ(manifest.files[0].bytes, fs::file_size(dir_ / "state.safetensors"));
  EXPECT_EQ(manifest.files[0].checksum, checksum_of(File::open(dir_ / "state.safetensors")));
}

}  // namespace
}  // namespace pendula
