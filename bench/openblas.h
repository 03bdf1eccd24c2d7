// OpenBLAS, opened at run time where it is installed: the yardstick of the CPU backend's products,
// used by nothing else.
#pragma once

#include <string>

namespace pendula {

class OpenBlas {
 public:
  // The library of this process, opened once and set to one thread.
  static const OpenBlas& instance();

  // Empty: it can be used. Else the sentence that says why not.
  const std::string& problem() const { return problem_; }

  std::string version() const { return version_; }  // "0.3.21", "" where it does not say
  std::string core() const { return core_; }        // what it chose its kernels for: "Zen"

  // C = A B, row-major without gaps: A (m, k), B (k, n), C (m, n). What C held does not matter.
  void sgemm(int m, int n, int k, const float* a, const float* b, float* c) const;

 private:
  OpenBlas();

  using Sgemm = void (*)(int, int, int, int, int, int, float, const float*, int, const float*, int,
                         float, float*, int);
  Sgemm sgemm_ = nullptr;
  std::string problem_, version_, core_;
};

}  // namespace pendula
