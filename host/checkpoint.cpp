#include "host/checkpoint.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <map>
#include <set>

#include "host/error.h"
#include "host/files.h"
#include "host/safetensors.h"

namespace pendula {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using nlohmann::ordered_json;

constexpr const char* kManifestName = "manifest.json";
constexpr const char* kStateName = "state.safetensors";
constexpr const char* kReplayName = "replay.safetensors";
constexpr int kFormat = 1;
constexpr uint64_t kMaxManifestBytes = uint64_t{16} << 20;

// A manifest is this, the 32 digits of the checksum of all that follows them, and the rest.
constexpr std::string_view kManifestStart = "{\n  \"checksum\": \"";
constexpr size_t kDigits = 32;

[[noreturn]] void throw_bad_checkpoint(const fs::path& path, const std::string& why) {
  throw Error(ExitCode::kFiles, fmt::format("cannot use the checkpoint file {}: {}; use another "
                                            "checkpoint",
                                            path.string(), why));
}

std::string checksum_of_text(std::string_view text) {
  Checksum checksum;
  checksum.update(text.data(), text.size());
  return checksum.hex();
}

std::string manifest_text(const Manifest& manifest) {
  ordered_json files = ordered_json::object();
  for (const ManifestFile& file : manifest.files) {
    files[file.name] = {{"bytes", file.bytes}, {"xxh3_128", file.checksum}};
  }
  const ordered_json object = {{"checksum", std::string(kDigits, '0')},
                               {"format", kFormat},
                               {"exact", manifest.exact},
                               {"files", files},
                               {"info", manifest.info}};
  std::string text = object.dump(2, ' ', false, json::error_handler_t::replace) + "\n";
  const size_t rest = kManifestStart.size() + kDigits;
  text.replace(kManifestStart.size(), kDigits,
               checksum_of_text(std::string_view(text).substr(rest)));
  return text;
}

// Removes the directory that it names when it goes, whatever way it goes.
class TemporaryDirectory {
 public:
  explicit TemporaryDirectory(fs::path path) : path_(std::move(path)) {
    std::error_code error;
    fs::create_directory(path_, error);
    if (error) throw_file_error("create the directory", path_, error.value());
  }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  ~TemporaryDirectory() {
    std::error_code error;
    fs::remove_all(path_, error);
    if (error) spdlog::warn("cannot remove {}: {}", path_.string(), error.message());
  }
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

ManifestFile save_part(const fs::path& dir, const char* name, const TensorTable& table,
                       const ArenaAccess& arena, bool replay) {
  std::vector<const TensorSpec*> tensors;
  for (const TensorSpec& tensor : table.tensors) {
    if (tensor.replay == replay) tensors.push_back(&tensor);
  }
  const WrittenFile written = write_safetensors(dir / name, table, tensors, arena);
  return {name, written.bytes, written.checksum};
}

// One stored file, held open from the check of its bytes to their loading.
struct OpenPart {
  File file;
  std::vector<StoredTensor> tensors;
};

OpenPart open_verified(const fs::path& dir, const ManifestFile& expected) {
  File file = File::open(dir / expected.name);
  const uint64_t bytes = file.size();
  if (bytes != expected.bytes) {
    throw_bad_checkpoint(
        file.path(), fmt::format("it has {} bytes, its manifest says {}", bytes, expected.bytes));
  }
  const std::string checksum = checksum_of(file);
  if (checksum != expected.checksum) {
    throw_bad_checkpoint(file.path(), fmt::format("it is damaged, its checksum is {} and its "
                                                  "manifest says {}",
                                                  checksum, expected.checksum));
  }
  std::vector<StoredTensor> tensors = read_safetensors_header(file);
  return {std::move(file), std::move(tensors)};
}

struct Place {
  const OpenPart* part;
  const StoredTensor* stored;
};

// Throws unless the stored tensors are exactly the wanted ones, of the same types and shapes.
void check_layout(const fs::path& dir, const std::map<std::string, Place>& stored,
                  const std::vector<const TensorSpec*>& wanted) {
  std::vector<std::string> differences;
  std::set<std::string> names;
  for (const TensorSpec* tensor : wanted) {
    names.insert(tensor->name);
    const std::string ours = layout_text(tensor->dtype, tensor->shape);
    const auto found = stored.find(tensor->name);
    if (found == stored.end()) {
      differences.push_back(
          fmt::format("{} is missing, this config has it as {}", tensor->name, ours));
      continue;
    }
    const std::string theirs =
        layout_text(found->second.stored->dtype, found->second.stored->shape);
    if (theirs != ours) {
      differences.push_back(
          fmt::format("{} is {}, this config has it as {}", tensor->name, theirs, ours));
    }
  }
  for (const auto& [name, place] : stored) {
    if (!names.contains(name)) {
      differences.push_back(fmt::format("{} is {}, this config has no such tensor", name,
                                        layout_text(place.stored->dtype, place.stored->shape)));
    }
  }
  if (differences.empty()) return;
  constexpr size_t kShown = 8;
  std::string message =
      fmt::format("the checkpoint {} has another layout than this config:", dir.string());
  for (size_t i = 0; i < std::min(kShown, differences.size()); ++i) {
    message += "\n  " + differences[i];
  }
  if (differences.size() > kShown) {
    message += fmt::format("\n  and {} more", differences.size() - kShown);
  }
  throw Error(ExitCode::kFiles,
              message + "\nuse the config of the run that saved it (config.json in its directory)");
}

}  // namespace

void save_checkpoint(const fs::path& dir, const TensorTable& table, const ArenaAccess& arena,
                     bool with_replay, const json& info) {
  // A trailing slash would make filename() empty.
  const fs::path normal = dir.lexically_normal();
  const fs::path target = normal.has_filename() ? normal : normal.parent_path();
  const fs::path parent = target.parent_path();
  make_directories(parent);
  recover_checkpoints(parent.empty() ? fs::path(".") : parent);

  const TemporaryDirectory temporary(temporary_neighbour(target));
  const bool has_replay = std::any_of(table.tensors.begin(), table.tensors.end(),
                                      [](const TensorSpec& tensor) { return tensor.replay; });
  Manifest manifest{with_replay || !has_replay, {}, info};
  manifest.files.push_back(save_part(temporary.path(), kStateName, table, arena, false));
  if (with_replay && has_replay) {
    manifest.files.push_back(save_part(temporary.path(), kReplayName, table, arena, true));
  }
  const std::string text = manifest_text(manifest);
  File file = File::create(temporary.path() / kManifestName);
  file.write_all(text.data(), text.size());
  file.sync();
  file.close();
  sync_directory(temporary.path());
  replace_directory(temporary.path(), target);
}

Manifest read_manifest(const fs::path& dir) {
  const fs::path path = locate_checkpoint(dir) / kManifestName;
  const std::string text = read_text(path, kMaxManifestBytes);
  const size_t rest = kManifestStart.size() + kDigits;
  if (text.size() < rest || !text.starts_with(kManifestStart) ||
      text.substr(kManifestStart.size(), kDigits) !=
          checksum_of_text(std::string_view(text).substr(rest))) {
    throw_bad_checkpoint(path, "it is damaged or was edited, its checksum does not match");
  }
  try {
    const json object = json::parse(text);
    if (object.at("format") != kFormat) {
      throw_bad_checkpoint(path,
                           fmt::format("its format is {} and this version of pendula reads {}",
                                       object.at("format").dump(), kFormat));
    }
    Manifest manifest{object.at("exact").get<bool>(), {}, object.at("info")};
    const json& files = object.at("files");
    for (const char* name : {kStateName, kReplayName}) {
      if (!files.contains(name)) continue;
      manifest.files.push_back({name, files[name].at("bytes").get<uint64_t>(),
                                files[name].at("xxh3_128").get<std::string>()});
    }
    if (manifest.files.size() != files.size() || !files.contains(kStateName)) {
      throw_bad_checkpoint(path, "it lists other files than a checkpoint has");
    }
    return manifest;
  } catch (const json::exception& error) {
    throw_bad_checkpoint(path, fmt::format("it lacks an entry ({})", error.what()));
  }
}

LoadedCheckpoint load_checkpoint(const fs::path& dir, const TensorTable& table, ArenaAccess& arena,
                                 const TensorFilter& filter) {
  const fs::path place = locate_checkpoint(dir);
  const Manifest manifest = read_manifest(place);
  const bool stored_replay = manifest.files.size() == 2;

  std::vector<const TensorSpec*> wanted;
  bool wants_replay = !filter;  // without a filter even a table without replay refuses a stored one
  for (const TensorSpec& tensor : table.tensors) {
    if ((filter && !filter(tensor.name)) || (tensor.replay && !stored_replay)) continue;
    wanted.push_back(&tensor);
    wants_replay |= tensor.replay;
  }

  std::vector<OpenPart> parts;
  for (const ManifestFile& file : manifest.files) {
    if (file.name == kStateName || wants_replay) parts.push_back(open_verified(place, file));
  }
  std::map<std::string, Place> stored;
  for (const OpenPart& part : parts) {
    for (const StoredTensor& tensor : part.tensors) {
      if (filter && !filter(tensor.name)) continue;
      if (!stored.emplace(tensor.name, Place{&part, &tensor}).second) {
        throw_bad_checkpoint(part.file.path(), "it repeats the tensor " + tensor.name);
      }
    }
  }
  check_layout(place, stored, wanted);

  for (const TensorSpec* tensor : wanted) {
    const Place& from = stored.at(tensor->name);
    read_safetensors_tensor(from.part->file, *from.stored, table, *tensor, arena);
  }
  return {manifest.info, manifest.exact};
}

}  // namespace pendula
