// Checkpoints: what is saved comes back bit by bit, and whatever is damaged is refused before the
// arena is touched.
#include "host/checkpoint.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "host/safetensors.h"
#include "tests/checkpoint_testing.h"
#include "tests/contains.h"

namespace pendula {
namespace {

namespace fs = std::filesystem;

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
