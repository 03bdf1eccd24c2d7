#include "host/files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <system_error>
#include <utility>

#include "host/error.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace pendula {
namespace {

namespace fs = std::filesystem;

// One call never moves more than this: write() and pread() stop at 2 GiB on Linux.
constexpr size_t kMaxBytesPerCall = size_t{1} << 30;

const char* advice(int error_number) {
  switch (error_number) {
    case ENOSPC:
    case EDQUOT:
      return "free some space, or name another place (a run's: --run-dir)";
    case EFBIG:
      return "raise the limit on file sizes (ulimit -f), or keep fewer transitions";
    case EROFS:
    case EACCES:
    case EPERM:
      return "check the permissions, or name another place (a run's: --run-dir)";
    case ENOENT:
      return "check the path";
    case ENOTDIR:
      return "a part of the path is a file; name another place (a run's: --run-dir)";
    case EISDIR:
      return "it is a directory where a file is expected";
    case EEXIST:
    case ENOTEMPTY:
      return "something of this name is already there; move it away";
    case ENAMETOOLONG:
      return "name a shorter one";
    case EIO:
      return "the disk reports a fault; copy what is still readable to another one";
    case EMFILE:
    case ENFILE:
      return "too many files are open; raise the limit (ulimit -n)";
    default:
      return "check the path and the disk";
  }
}

// Repeats a system call that a signal cut short.
template <class Call>
auto retry(Call call) {
  auto result = call();
  while (result < 0 && errno == EINTR) result = call();
  return result;
}

}  // namespace

void throw_file_error(const std::string& action, const fs::path& path, int error_number) {
  throw Error(ExitCode::kFiles,
              fmt::format("cannot {} {}: {}; {}", action, path.string(),
                          std::generic_category().message(error_number), advice(error_number)));
}

File File::create(const fs::path& path) {
  const int fd =
      retry([&] { return ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666); });
  if (fd < 0) throw_file_error("create", path, errno);
  return File(path, fd);
}

File File::open(const fs::path& path) {
  // O_NONBLOCK: opening a pipe for reading would wait for a writer for ever.
  const int fd = retry([&] { return ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK); });
  if (fd < 0) throw_file_error("open", path, errno);
  File file(path, fd);
  struct stat status;
  if (::fstat(fd, &status) != 0) throw_file_error("look at", path, errno);
  if (S_ISDIR(status.st_mode)) throw_file_error("read", path, EISDIR);
  if (!S_ISREG(status.st_mode)) throw_file_error("read", path, EINVAL);
  return file;
}

File::File(File&& other) noexcept
    : path_(std::move(other.path_)), fd_(std::exchange(other.fd_, -1)) {}

File::~File() {
  if (fd_ >= 0 && ::close(fd_) != 0) {
    spdlog::warn("cannot close {}: {}", path_.string(), std::generic_category().message(errno));
  }
}

void File::write_all(const void* from, size_t bytes) {
  const char* next = static_cast<const char*>(from);
  while (bytes > 0) {
    const ssize_t n = retry([&] { return ::write(fd_, next, std::min(bytes, kMaxBytesPerCall)); });
    if (n < 0) throw_file_error("write to", path_, errno);
    next += n;
    bytes -= static_cast<size_t>(n);
  }
}

void File::read_all(uint64_t offset, void* to, size_t bytes) const {
  char* next = static_cast<char*>(to);
  while (bytes > 0) {
    const ssize_t n = retry([&] {
      return ::pread(fd_, next, std::min(bytes, kMaxBytesPerCall), static_cast<off_t>(offset));
    });
    if (n < 0) throw_file_error("read", path_, errno);
    if (n == 0) {
      throw Error(ExitCode::kFiles,
                  fmt::format("cannot read {}: it ends at byte {}, {} bytes too early; it was cut "
                              "short, use another checkpoint",
                              path_.string(), offset, bytes));
    }
    next += n;
    offset += static_cast<uint64_t>(n);
    bytes -= static_cast<size_t>(n);
  }
}

uint64_t File::size() const {
  struct stat status;
  if (::fstat(fd_, &status) != 0) throw_file_error("look at", path_, errno);
  return static_cast<uint64_t>(status.st_size);
}

void File::sync() {
  if (retry([&] { return ::fsync(fd_); }) != 0) throw_file_error("write to", path_, errno);
}

void File::close() {
  // No retry: on Linux the descriptor is gone even when close() reports EINTR.
  if (::close(std::exchange(fd_, -1)) != 0 && errno != EINTR) {
    throw_file_error("write to", path_, errno);
  }
}

struct Checksum::State {
  XXH3_state_t xxh3;
};

Checksum::Checksum() : state_(std::make_unique<State>()) { XXH3_128bits_reset(&state_->xxh3); }
Checksum::~Checksum() = default;

void Checksum::update(const void* from, size_t bytes) {
  XXH3_128bits_update(&state_->xxh3, from, bytes);
}

std::string Checksum::hex() const {
  XXH128_canonical_t canonical;
  XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(&state_->xxh3));
  std::string digits;
  for (unsigned char byte : canonical.digest) digits += fmt::format("{:02x}", byte);
  return digits;
}

std::string read_text(const fs::path& path, uint64_t max_bytes) {
  const File file = File::open(path);
  const uint64_t bytes = file.size();
  if (bytes > max_bytes) {
    throw Error(
        ExitCode::kFiles,
        fmt::format("cannot read {}: it has {} bytes, more than the {} that such a file can "
                    "have; check that it is the file you mean",
                    path.string(), bytes, max_bytes));
  }
  std::string text(bytes, '\0');
  file.read_all(0, text.data(), text.size());
  return text;
}

void write_text_atomically(const fs::path& path, std::string_view text) {
  const fs::path temporary = temporary_neighbour(path);
  remove_tree(temporary);
  try {
    File file = File::create(temporary);
    file.write_all(text.data(), text.size());
    file.sync();
    file.close();
    if (::rename(temporary.c_str(), path.c_str()) != 0) throw_file_error("replace", path, errno);
  } catch (...) {
    ::unlink(temporary.c_str());  // the first failure is the one worth telling
    throw;
  }
  sync_directory(path.parent_path());
}

void sync_directory(const fs::path& dir) {
  const fs::path path = dir.empty() ? fs::path(".") : dir;
  const int fd = retry([&] { return ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); });
  if (fd < 0) throw_file_error("open", path, errno);
  const int result = retry([&] { return ::fsync(fd); });
  const int error_number = errno;
  ::close(fd);  // nothing was written through it
  // Some network filesystems have no fsync for directories and say EINVAL.
  if (result != 0 && error_number != EINVAL) throw_file_error("write to", path, error_number);
}

void make_directories(const fs::path& dir) {
  if (dir.empty()) return;
  std::error_code error;
  fs::create_directories(dir, error);
  if (error) throw_file_error("create the directory", dir, error.value());
  if (!fs::is_directory(dir, error)) throw_file_error("create the directory", dir, ENOTDIR);
}

void remove_tree(const fs::path& path) {
  std::error_code error;
  fs::remove_all(path, error);
  if (error) throw_file_error("remove", path, error.value());
}

bool path_exists(const fs::path& path) {
  std::error_code error;
  const bool found = fs::exists(path, error);
  if (error) throw_file_error("look at", path, error.value());
  return found;
}

fs::path temporary_neighbour(const fs::path& path) {
  return path.parent_path() / fmt::format(".tmp-{}-{}", path.filename().string(), ::getpid());
}

bool is_temporary(const fs::path& path) { return path.filename().string().starts_with(".tmp-"); }

}  // namespace pendula
