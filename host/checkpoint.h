// A checkpoint is a directory:
//
//   state.safetensors    every tensor of the arena that is not replay
//   replay.safetensors   the replay ring; absent with "replay": "none"
//   manifest.json        sizes and XXH3-128 checksums of the two, `exact`, and the caller's `info`
//
// It appears under its name complete or not at all: it is written into a temporary neighbour
// (.tmp-...), synced, and renamed. Nothing reaches the arena before every byte that is about to be
// loaded has been checked. The first line of the manifest holds the checksum of what follows it, so
// a manifest that was edited or damaged is refused too.
//
// Each function throws Error(kFiles) where a file cannot be read or written or is damaged. One
// process at a time may write into a parent directory (RunDirectory's lock sees to that for runs).
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "host/tensor_table.h"

namespace pendula {

// The key of `info` under which every checkpoint holds its agent's environment steps.
inline constexpr const char* kTimestepsKey = "time/total_timesteps";

struct ManifestFile {
  std::string name;
  uint64_t bytes;
  std::string checksum;  // XXH3-128, 32 hexadecimal digits, as `xxhsum -H2` prints it
};

struct Manifest {
  bool exact;  // false: without its replay ring, so that resuming is not bitwise
  std::vector<ManifestFile> files;  // state.safetensors, then replay.safetensors if there is one
  nlohmann::json info;
};

struct LoadedCheckpoint {
  nlohmann::json info;
  bool exact;
};

struct StoredCheckpoint {
  int64_t step;  // from the name: environment steps of one agent
  std::filesystem::path dir;
};

// True for the names of tensors to load.
using TensorFilter = std::function<bool(const std::string& name)>;

// Writes the whole arena to `dir`; what was there before stays until the new checkpoint is
// complete. `info` is kept for the reader: plain data without clock or path, with kTimestepsKey.
// Removes temporary directories that a killed process left beside `dir`. On failure (full disk,
// read-only directory) removes its own and leaves `dir` as it was.
void save_checkpoint(const std::filesystem::path& dir, const TensorTable& table,
                     const ArenaAccess& arena, bool with_replay, const nlohmann::json& info);

// Fills the arena from `dir`. Without a filter the stored layout must be the table's, except that
// the replay may be missing (then `exact` is false and the caller refills the ring). With one, only
// the tensors of that name are compared and loaded, and a file that holds none is not read.
// Throws Error(kFiles) for another layout, naming each tensor and both shapes.
LoadedCheckpoint load_checkpoint(const std::filesystem::path& dir, const TensorTable& table,
                                 ArenaAccess& arena, const TensorFilter& filter = {});

// Checks the manifest alone, not the files that it lists.
Manifest read_manifest(const std::filesystem::path& dir);

// `dir`, or its predecessor's place if a process was killed between the two renames of a
// replacement.
std::filesystem::path locate_checkpoint(const std::filesystem::path& dir);

bool is_checkpoint(const std::filesystem::path& dir);

// The checkpoints/step_* of a run, oldest first; not best/.
std::vector<StoredCheckpoint> list_checkpoints(const std::filesystem::path& run_dir);

// <run_dir>/checkpoints/step_<12 digits>
std::filesystem::path checkpoint_dir(const std::filesystem::path& run_dir, int64_t step);

// Removes a checkpoint so that no half of it keeps its name.
void remove_checkpoint(const std::filesystem::path& dir);

// Removes all but the last `keep_last` (at least 1) of list_checkpoints().
void prune_checkpoints(const std::filesystem::path& run_dir, int64_t keep_last);

// Clears up what a process killed while saving left in `parent`: temporaries are removed, and a
// checkpoint that had been moved aside for its successor gets its name back.
void recover_checkpoints(const std::filesystem::path& parent);

// The last step of saving, apart for its tests: puts the directory `complete` in the place of
// `dir`. With `exchange` false it does without renameat2, as on filesystems that lack it (NFS).
void replace_directory(const std::filesystem::path& complete, const std::filesystem::path& dir,
                       bool exchange = true);

}  // namespace pendula
