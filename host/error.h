// Every failure that a person can meet is an Error: a sentence that says what, where, why and what
// to do, and the exit code that the process leaves with.
#pragma once

#include <stdexcept>
#include <string>

namespace pendula {

enum class ExitCode : int {
  kDone = 0,
  kUsage = 2,     // command line or config
  kDevice = 3,    // device or driver
  kMemory = 4,    // host or device memory
  kDiverged = 5,  // every agent met a NaN or an Inf
  kFiles = 6,     // reading or writing files
  kInterrupted = 130,
  kTerminated = 143,
};

class Error : public std::runtime_error {
 public:
  Error(ExitCode code, const std::string& message) : std::runtime_error(message), code_(code) {}
  ExitCode code() const { return code_; }

 private:
  ExitCode code_;
};

}  // namespace pendula
