// The products of networks in benchmarks.
#pragma once

#include <cstdint>
#include <vector>

#include "host/network_flop.h"

namespace pendula {

// The product that dominates a network: (rows, inputs) times (inputs, outputs) of its largest
// hidden layer; of the first layer where there is one hidden layer.
struct ProductShape {
  int64_t m, n, k;
};
ProductShape largest_product(int64_t rows, int64_t inputs, const std::vector<int64_t>& hidden);

}  // namespace pendula
