// Ctrl-C and kill: the first asks training to save and stop, the second leaves at once.
#pragma once

#include <signal.h>

#include <atomic>

#include "host/error.h"

namespace pendula {

// While it lives, SIGINT and SIGTERM set a flag, and a second one of either leaves the process at
// once with status 130 (SIGINT) or 143 (SIGTERM). SIGXFSZ is ignored meanwhile, so that a file
// beyond `ulimit -f` is an error in a sentence and not a silent death. The destructor restores what
// was before. One at a time. Throws Error(kUsage) where the system refuses a handler.
class StopSignals {
 public:
  StopSignals();
  ~StopSignals();
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;

  // What Backend::run() polls.
  const std::atomic<bool>& flag() const;

  // What to leave with: kInterrupted or kTerminated after a signal, else kDone.
  ExitCode exit_code() const;

 private:
  struct sigaction old_interrupt_;
  struct sigaction old_terminate_;
  struct sigaction old_file_size_;
};

}  // namespace pendula
