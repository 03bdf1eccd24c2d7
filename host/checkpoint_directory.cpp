// Checkpoints as directories: their names and order, how one replaces another, which of them go
// (see checkpoint.h).
#include <fcntl.h>
#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <optional>

#include "host/checkpoint.h"
#include "host/files.h"

namespace pendula {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kPrefix = "step_";
constexpr std::string_view kAside = ".old-";
constexpr const char* kManifestName = "manifest.json";

// The name under which a replaced checkpoint waits where directories cannot be exchanged.
fs::path aside_name(const fs::path& dir) {
  return dir.parent_path() / (std::string(kAside) + dir.filename().string());
}

void rename_checked(const fs::path& from, const fs::path& to) {
  if (::rename(from.c_str(), to.c_str()) != 0) throw_file_error("create", to, errno);
}

std::optional<int64_t> step_from_name(const std::string& name) {
  if (!name.starts_with(kPrefix)) return std::nullopt;
  int64_t step = 0;
  const char* end = name.data() + name.size();
  const auto [last, error] = std::from_chars(name.data() + kPrefix.size(), end, step);
  if (error != std::errc() || last != end || step < 0) return std::nullopt;
  return step;
}

}  // namespace

fs::path locate_checkpoint(const fs::path& dir) {
  const fs::path normal = dir.lexically_normal();
  const fs::path plain = normal.has_filename() ? normal : normal.parent_path();
  const fs::path aside = aside_name(plain);
  return !path_exists(plain) && path_exists(aside / kManifestName) ? aside : plain;
}

bool is_checkpoint(const fs::path& dir) {
  return path_exists(locate_checkpoint(dir) / kManifestName);
}

fs::path checkpoint_dir(const fs::path& run_dir, int64_t step) {
  return run_dir / "checkpoints" / fmt::format("{}{:012}", kPrefix, step);
}

std::vector<StoredCheckpoint> list_checkpoints(const fs::path& run_dir) {
  std::vector<StoredCheckpoint> found;
  const fs::path parent = run_dir / "checkpoints";
  if (!path_exists(parent)) return found;
  std::error_code error;
  for (fs::directory_iterator it(parent, error), end; !error && it != end; it.increment(error)) {
    const std::optional<int64_t> step = step_from_name(it->path().filename().string());
    if (step && is_checkpoint(it->path())) found.push_back({*step, it->path()});
  }
  if (error) throw_file_error("read the directory", parent, error.value());
  std::sort(found.begin(), found.end(),
            [](const auto& a, const auto& b) { return a.step < b.step; });
  return found;
}

void remove_checkpoint(const fs::path& dir) {
  const fs::path doomed = temporary_neighbour(dir);
  remove_tree(doomed);
  if (::rename(dir.c_str(), doomed.c_str()) != 0) throw_file_error("remove", dir, errno);
  remove_tree(doomed);
}

void prune_checkpoints(const fs::path& run_dir, int64_t keep_last) {
  const std::vector<StoredCheckpoint> found = list_checkpoints(run_dir);
  const size_t keep = static_cast<size_t>(std::max<int64_t>(keep_last, 1));
  for (size_t i = 0; i + keep < found.size(); ++i) remove_checkpoint(found[i].dir);
}

void replace_directory(const fs::path& complete, const fs::path& dir, bool exchange) {
  const fs::path parent = dir.parent_path();
  if (!path_exists(dir)) {
    rename_checked(complete, dir);
    sync_directory(parent);
    return;
  }
  if (exchange &&
      ::renameat2(AT_FDCWD, complete.c_str(), AT_FDCWD, dir.c_str(), RENAME_EXCHANGE) == 0) {
    sync_directory(parent);
    remove_tree(complete);  // now the old one
    return;
  }
  if (exchange && errno != EINVAL && errno != ENOSYS) throw_file_error("replace", dir, errno);
  const fs::path aside = aside_name(dir);
  remove_tree(aside);
  rename_checked(dir, aside);
  if (::rename(complete.c_str(), dir.c_str()) != 0) {
    const int error_number = errno;
    rename_checked(aside, dir);
    throw_file_error("create", dir, error_number);
  }
  sync_directory(parent);
  remove_tree(aside);
}

void recover_checkpoints(const fs::path& parent) {
  if (!path_exists(parent)) return;
  std::error_code error;
  std::vector<fs::path> entries;
  for (fs::directory_iterator it(parent, error), end; !error && it != end; it.increment(error)) {
    if (it->is_directory(error)) entries.push_back(it->path());
  }
  if (error) throw_file_error("read the directory", parent, error.value());
  for (const fs::path& entry : entries) {
    const std::string name = entry.filename().string();
    if (is_temporary(entry)) {
      remove_tree(entry);
    } else if (name.starts_with(kAside)) {
      const fs::path dir = parent / name.substr(kAside.size());
      if (path_exists(dir)) {
        remove_tree(entry);
      } else {
        rename_checked(entry, dir);
      }
    }
  }
}

}  // namespace pendula
