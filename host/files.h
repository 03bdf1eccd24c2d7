// Files and directories with every system call checked. A failure is an Error(ExitCode::kFiles)
// whose sentence names what was tried, the path, the system's reason and what to do about it.
// "Atomically" means: a process killed at any moment leaves the old content or the new one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

namespace pendula {

// Throws Error(kFiles): "cannot <action> <path>: <reason>; <what to do>". `error_number` is an
// errno.
[[noreturn]] void throw_file_error(const std::string& action, const std::filesystem::path& path,
                                   int error_number);

// An open file. Move-only; the destructor closes and logs a failure, close() throws it.
class File {
 public:
  // A new file for writing; throws where one of this name exists.
  static File create(const std::filesystem::path& path);
  // An existing file for reading; throws for anything that is not a regular file.
  static File open(const std::filesystem::path& path);

  File(File&& other) noexcept;
  File& operator=(File&&) = delete;
  ~File();

  void write_all(const void* from, size_t bytes);
  // Reads exactly `bytes` bytes from `offset` (both in bytes); throws if the file ends before.
  void read_all(uint64_t offset, void* to, size_t bytes) const;
  uint64_t size() const;  // bytes
  void sync();            // returns when the content is on the disk
  void close();
  const std::filesystem::path& path() const { return path_; }

 private:
  File(std::filesystem::path path, int fd) : path_(std::move(path)), fd_(fd) {}
  std::filesystem::path path_;
  int fd_;
};

// XXH3-128 of a stream of bytes; hex() is what `xxhsum -H2` prints, 32 lower-case digits.
class Checksum {
 public:
  Checksum();
  ~Checksum();
  void update(const void* from, size_t bytes);
  std::string hex() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// The whole file; throws where it is larger than `max_bytes`.
std::string read_text(const std::filesystem::path& path, uint64_t max_bytes);

// Replaces or creates `path` atomically and waits until it is on the disk.
void write_text_atomically(const std::filesystem::path& path, std::string_view text);

// Waits until the directory's entries (creations, renames) are on the disk.
void sync_directory(const std::filesystem::path& dir);

void make_directories(const std::filesystem::path& dir);
void remove_tree(const std::filesystem::path& path);  // no error where nothing is
bool path_exists(const std::filesystem::path& path);  // follows links; throws if it cannot tell

// The name of a temporary neighbour of `path`: on the same filesystem, so that it can be renamed.
std::filesystem::path temporary_neighbour(const std::filesystem::path& path);

// True for names that temporary_neighbour() makes: what a killed process may have left behind.
bool is_temporary(const std::filesystem::path& path);

}  // namespace pendula
