// Counts what a program takes from shared(): runs its allocations and nothing else.
#pragma once

#include <cstddef>
#include <vector>

namespace pendula {

template <int LeadingDim>
struct MeasuringBlock {
  static constexpr int kLd = LeadingDim;

  template <class T>
  T* shared(int n) {
    sizes.push_back((static_cast<std::size_t>(n) * sizeof(T) + 63) / 64 * 64);
    return nullptr;
  }
  std::size_t bytes() const {
    std::size_t sum = 0;
    for (std::size_t size : sizes) sum += size;
    return sum;
  }

  std::vector<std::size_t> sizes;  // bytes, in the order of the calls
};

}  // namespace pendula
