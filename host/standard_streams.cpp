#include "host/standard_streams.h"

#include <fcntl.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <cstdio>
#include <iostream>
#include <memory>

#include "host/error.h"

namespace pendula {

void occupy_closed_streams() {
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (::fcntl(fd, F_GETFD) >= 0) continue;
    const int mode = fd == STDOUT_FILENO ? O_RDONLY : O_RDWR;
    if (::open("/dev/null", mode) != fd) ::_exit(static_cast<int>(ExitCode::kFiles));
  }
}

void warn_on_stderr() {
  auto logger = std::make_shared<spdlog::logger>("pendula",
                                                 std::make_shared<spdlog::sinks::stderr_sink_mt>());
  logger->set_pattern("pendula: %l: %v");
  spdlog::set_default_logger(std::move(logger));
}

void finish_output() {
  std::cout.flush();
  if (std::cout && std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return;
  throw Error(ExitCode::kFiles,
              "cannot write to standard output: it is closed, or its disk is full");
}

}  // namespace pendula
