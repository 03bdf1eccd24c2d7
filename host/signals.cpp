#include "host/signals.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <system_error>

namespace pendula {
namespace {

// A handler may touch lock-free atomics and little else.
std::atomic<bool> stop_flag{false};
std::atomic<int> first_signal{0};
std::atomic<bool> installed{false};
static_assert(std::atomic<bool>::is_always_lock_free && std::atomic<int>::is_always_lock_free);

extern "C" void on_stop_signal(int number) {
  int none = 0;
  if (!first_signal.compare_exchange_strong(none, number)) ::_exit(128 + number);
  stop_flag.store(true);
}

void install(int number, void (*handler)(int), struct sigaction* old) {
  struct sigaction action = {};
  action.sa_handler = handler;
  action.sa_flags = SA_RESTART;  // no library has to cope with EINTR
  ::sigemptyset(&action.sa_mask);
  if (::sigaction(number, &action, old) != 0) {
    throw Error(ExitCode::kUsage,
                fmt::format("cannot handle the signal {}: {}; start pendula outside the sandbox "
                            "that forbids it",
                            ::strsignal(number), std::generic_category().message(errno)));
  }
}

void restore(int number, const struct sigaction& old) {
  if (::sigaction(number, &old, nullptr) != 0) {
    spdlog::warn("cannot restore the handler of {}: {}", ::strsignal(number),
                 std::generic_category().message(errno));
  }
}

}  // namespace

StopSignals::StopSignals() {
  if (installed.exchange(true)) throw std::logic_error("StopSignals: one at a time");
  first_signal.store(0);
  stop_flag.store(false);
  install(SIGINT, on_stop_signal, &old_interrupt_);
  install(SIGTERM, on_stop_signal, &old_terminate_);
  install(SIGXFSZ, SIG_IGN, &old_file_size_);
}

StopSignals::~StopSignals() {
  restore(SIGXFSZ, old_file_size_);
  restore(SIGTERM, old_terminate_);
  restore(SIGINT, old_interrupt_);
  installed.store(false);
}

const std::atomic<bool>& StopSignals::flag() const { return stop_flag; }

ExitCode StopSignals::exit_code() const {
  switch (first_signal.load()) {
    case SIGINT:
      return ExitCode::kInterrupted;
    case SIGTERM:
      return ExitCode::kTerminated;
    default:
      return ExitCode::kDone;
  }
}

}  // namespace pendula
