#include "tests/cli_testing.h"

#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <fstream>
#include <optional>
#include <sstream>

namespace pendula {
namespace {

namespace fs = std::filesystem;

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// In the child, between fork and exec.
[[noreturn]] void become_pendula(const Child& child, const fs::path& dir, int out, int err) {
  if (child.file_limit > 0) {
    const rlimit limit{child.file_limit, child.file_limit};
    ::setrlimit(RLIMIT_FSIZE, &limit);
  }
  for (const auto& [name, value] : child.environment) ::setenv(name.c_str(), value.c_str(), 1);
  ::dup2(out, STDOUT_FILENO);
  ::dup2(err, STDERR_FILENO);
  for (int fd = 3; fd < 64; ++fd) ::close(fd);
  if (child.close_out) ::close(STDOUT_FILENO);
  std::vector<char*> argv = {const_cast<char*>("pendula")};
  for (const std::string& arg : child.args) argv.push_back(const_cast<char*>(arg.c_str()));
  argv.push_back(nullptr);
  if (::chdir(dir.c_str()) == 0) ::execv(PENDULA_BINARY, argv.data());
  ::_exit(99);
}

// Reads what is there; closes at the end of the stream.
void drain(int& fd, std::string& into) {
  char buffer[4096];
  const ssize_t n = ::read(fd, buffer, sizeof buffer);
  if (n > 0) {
    into.append(buffer, static_cast<size_t>(n));
  } else if (n == 0 || errno != EINTR) {  // EIO: the last process left the pseudo terminal
    ::close(fd);
    fd = -1;
  }
}

}  // namespace

const char* const kTinyConfig = R"({
  "name": "tiny", "device": "cpu", "total_timesteps": 4000,
  "env": { "id": "pendulum", "num_envs": 8 },
  "actor": { "hidden": [16, 16] }, "critic": { "hidden": [16, 16] },
  "ddpg": { "batch_size": 32, "updates_per_step": 0.5 },
  "replay": { "capacity": 2400, "warmup_steps": 400 },
  "report": { "interval": 400 },
  "eval": { "interval": 800, "episodes": 16, "final_episodes": 32 },
  "checkpoint": { "interval": 1200, "keep_last": 2 } })";

CliTest::CliTest() {
  std::string name = (fs::temp_directory_path() / "pendula_cli_XXXXXX").string();
  EXPECT_NE(::mkdtemp(name.data()), nullptr);
  dir_ = name;
  spit(path("tiny.json"), kTinyConfig);
}

CliTest::~CliTest() {
  std::error_code ignored;
  fs::remove_all(dir_, ignored);
}

Output CliTest::run(const Child& child) const {
  int out[2], err[2];
  EXPECT_EQ(::pipe2(out, O_CLOEXEC), 0);
  if (child.err_is_terminal) {
    const winsize size{30, 100, 0, 0};
    EXPECT_EQ(::openpty(&err[0], &err[1], nullptr, nullptr, &size), 0);
  } else {
    EXPECT_EQ(::pipe2(err, O_CLOEXEC), 0);
  }
  int out_to = out[1];
  if (!child.out_to.empty()) out_to = ::open(child.out_to.c_str(), O_WRONLY | O_CLOEXEC);
  EXPECT_GE(out_to, 0) << child.out_to;
  const pid_t pid = ::fork();
  EXPECT_GE(pid, 0);
  if (pid == 0) become_pendula(child, dir_, out_to, err[1]);
  ::close(out[1]);
  ::close(err[1]);
  if (out_to != out[1]) ::close(out_to);

  Output output;
  const double deadline = now() + 60.0;
  double last_signal = 0;
  std::optional<double> first_signal;
  size_t sent = 0;
  while (out[0] >= 0 || err[0] >= 0) {
    const double time = now();
    if (last_signal == 0 && output.err.find(child.await) != std::string::npos) last_signal = time;
    if (last_signal > 0 && sent < child.signals.size() &&
        time >= last_signal + child.signals[sent].first) {
      ::kill(pid, child.signals[sent++].second);
      last_signal = time;
      first_signal = first_signal.value_or(time);
    }
    if (time > deadline) {
      ADD_FAILURE() << "still running after 60 s";
      ::kill(pid, SIGKILL);
      break;
    }
    pollfd fds[] = {{out[0], POLLIN, 0}, {err[0], POLLIN, 0}};
    ::poll(fds, 2, 2);  // ms
    if (fds[0].revents != 0) drain(out[0], output.out);
    if (fds[1].revents != 0) drain(err[0], output.err);
  }
  for (int fd : {out[0], err[0]}) {
    if (fd >= 0) ::close(fd);
  }
  int status = 0;
  EXPECT_EQ(::waitpid(pid, &status, 0), pid);
  output.code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  if (first_signal) output.after_signal = now() - *first_signal;
  output.signals = sent;
  return output;
}

fs::path CliTest::train(const std::vector<std::string>& args) const {
  std::vector<std::string> all = {"train", "tiny.json", "--json"};
  all.insert(all.end(), args.begin(), args.end());
  const Output output = run(all);
  EXPECT_EQ(output.code, 0) << output.err;
  const auto result = nlohmann::json::parse(output.out, nullptr, false);
  return result.is_object() ? path(result.at("run").get<std::string>()) : path("none");
}

fs::path CliTest::latest(const std::string& parent) const {
  return path(parent) / fs::read_symlink(path(parent) / "latest");
}

std::string slurp(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  EXPECT_TRUE(in.good()) << file;
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

void spit(const fs::path& file, const std::string& text) {
  std::ofstream(file, std::ios::binary | std::ios::trunc) << text;
}

nlohmann::json read_json(const fs::path& file) {
  const auto value = nlohmann::json::parse(slurp(file), nullptr, false);
  EXPECT_FALSE(value.is_discarded()) << file;
  return value;
}

std::vector<nlohmann::json> read_rows(const fs::path& jsonl) {
  std::vector<nlohmann::json> rows;
  std::istringstream text(slurp(jsonl));
  for (std::string line; std::getline(text, line);) {
    rows.push_back(nlohmann::json::parse(line, nullptr, false));
    EXPECT_TRUE(rows.back().is_object()) << line;
  }
  return rows;
}

std::vector<nlohmann::json> read_records(const fs::path& npy) {
  const std::string bytes = slurp(npy), header = bytes.substr(10, 1014);
  EXPECT_EQ(bytes.substr(0, 10), std::string("\x93NUMPY\x01\x00\xf6\x03", 10));
  std::vector<std::pair<std::string, std::string>> columns;  // name, type
  for (size_t at = 0; (at = header.find("('", at)) != std::string::npos; ++at) {
    const size_t middle = header.find("', '", at), end = header.find("')", at);
    columns.emplace_back(header.substr(at + 2, middle - at - 2),
                         header.substr(middle + 4, end - middle - 4));
  }
  const size_t count = std::stoull(header.substr(header.find("'shape': (") + 10));
  EXPECT_EQ(bytes.size(), 1024 + count * columns.size() * 8);
  std::vector<nlohmann::json> records(count);
  const char* at = bytes.data() + 1024;
  for (nlohmann::json& record : records) {
    for (const auto& [name, type] : columns) {
      uint64_t word = 0;
      double number = 0;
      std::memcpy(&word, at, 8);
      std::memcpy(&number, at, 8);
      if (type == "|S8") record[name] = std::string(at, strnlen(at, 8));
      if (type == "<u8") record[name] = word;
      if (type == "<f8") record[name] = number == number ? nlohmann::json(number) : nullptr;
      at += 8;
    }
  }
  return records;
}

std::vector<nlohmann::json> timeless(std::vector<nlohmann::json> rows) {
  for (nlohmann::json& row : rows) {
    for (const char* key : {"time/fps", "time/updates_per_second", "time/time_elapsed"}) {
      row.erase(key);
    }
  }
  return rows;
}

std::vector<std::string> entries(const fs::path& dir) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator it(dir, error), end; !error && it != end; it.increment(error)) {
    names.push_back(it->path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

std::map<std::string, std::string> read_tensors(const fs::path& file) {
  const std::string bytes = slurp(file);
  uint64_t length = 0;
  std::memcpy(&length, bytes.data(), sizeof length);
  const auto header = nlohmann::json::parse(bytes.substr(8, length));
  std::map<std::string, std::string> tensors;
  for (const auto& [name, info] : header.items()) {
    if (name == "__metadata__") continue;
    const uint64_t begin = info["data_offsets"][0], end = info["data_offsets"][1];
    tensors[name] = bytes.substr(8 + length + begin, end - begin);
  }
  return tensors;
}

fs::path newest_checkpoint(const fs::path& run) {
  const std::vector<std::string> names = entries(run / "checkpoints");
  EXPECT_FALSE(names.empty()) << run;
  return names.empty() ? run : run / "checkpoints" / names.back();
}

void expect_equal_checkpoints(const fs::path& a, const fs::path& b) {
  EXPECT_EQ(a.filename(), b.filename());
  for (const char* file : {"state.safetensors", "replay.safetensors"}) {
    if (slurp(a / file) == slurp(b / file)) continue;
    ADD_FAILURE() << file << " differs between " << a << " and " << b;
    const auto x = read_tensors(a / file), y = read_tensors(b / file);
    for (const auto& [name, bytes] : x) {
      EXPECT_TRUE(y.count(name) == 1 && y.at(name) == bytes) << name;
    }
  }
}

void expect_equal_runs(const fs::path& a, const fs::path& b) {
  expect_equal_checkpoints(newest_checkpoint(a), newest_checkpoint(b));
  EXPECT_EQ(timeless(read_rows(a / "metrics.jsonl")), timeless(read_rows(b / "metrics.jsonl")));
  EXPECT_EQ(read_rows(a / "eval.jsonl"), read_rows(b / "eval.jsonl"));
  for (const char* file : {"agents.npy", "pbt.jsonl"}) {
    EXPECT_EQ(fs::exists(a / file), fs::exists(b / file)) << file;
    if (fs::exists(a / file)) {
      EXPECT_EQ(slurp(a / file), slurp(b / file)) << file;
    }
  }
}

}  // namespace pendula
