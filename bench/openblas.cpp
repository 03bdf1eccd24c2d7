#include "bench/openblas.h"

#include <dlfcn.h>

#include <cstdlib>
#include <sstream>

namespace pendula {
namespace {

constexpr const char* kLibrary = "libopenblas.so.0";

template <class F>
F find(void* library, const char* name) {
  return reinterpret_cast<F>(dlsym(library, name));
}

}  // namespace

OpenBlas::OpenBlas() {
  // It starts its threads when it is opened: one is wanted, whatever the environment says.
  setenv("OPENBLAS_NUM_THREADS", "1", 1);
  void* library = dlopen(kLibrary, RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    problem_ = std::string("there is no ") + kLibrary +
               "; install Debian's libopenblas0-pthread to compare with OpenBLAS";
    return;
  }
  sgemm_ = find<Sgemm>(library, "cblas_sgemm");
  const auto set_threads = find<void (*)(int)>(library, "openblas_set_num_threads");
  if (sgemm_ == nullptr || set_threads == nullptr) {
    problem_ = std::string(kLibrary) + " has no cblas_sgemm or no openblas_set_num_threads";
    return;
  }
  set_threads(1);
  if (const auto core = find<char* (*)()>(library, "openblas_get_corename")) core_ = core();
  if (const auto config = find<char* (*)()>(library, "openblas_get_config")) {
    std::istringstream words(config());  // "OpenBLAS 0.3.21 NO_LAPACKE DYNAMIC_ARCH ..."
    std::string name;
    words >> name >> version_;
  }
}

const OpenBlas& OpenBlas::instance() {
  static const OpenBlas one;
  return one;
}

void OpenBlas::sgemm(int m, int n, int k, const float* a, const float* b, float* c) const {
  constexpr int kRowMajor = 101, kNoTranspose = 111;
  sgemm_(kRowMajor, kNoTranspose, kNoTranspose, m, n, k, 1.0f, a, k, b, n, 0.0f, c, n);
}

}  // namespace pendula
