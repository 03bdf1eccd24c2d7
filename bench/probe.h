// What the suite `machine` measures: one ceiling of the machine, on the CPU or on a GPU.
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace pendula {

struct Probe {
  std::string name;    // the row's "case": "memory_copy", "fma", "tensor_tf32", ...
  std::string metric;  // "bytes_per_second", "flop_per_second", "gathers_per_second", "seconds"
  double work = 0;     // of one call: bytes, FLOP, gathers; for "seconds": how many things it timed
  std::vector<std::pair<std::string, double>> sizes;  // further keys of the row: {"n", 64}, ...
  std::string precision;                              // "" where it does not apply
  std::string not_measured;  // why not, where the machine lacks what it takes
  // Runs once and gives the seconds that it took, on the device's own clock (CUDA events; CPU:
  // steady clock). Throws Error. Checks its own result where there is one (a wrong one is an
  // Error).
  std::function<double()> call;
};

}  // namespace pendula
