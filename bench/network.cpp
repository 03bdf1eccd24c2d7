#include "bench/network.h"

namespace pendula {

ProductShape largest_product(int64_t rows, int64_t inputs, const std::vector<int64_t>& hidden) {
  const std::vector<int64_t> sizes = layer_sizes(inputs, hidden, 1);
  ProductShape best{rows, sizes[1], sizes[0]};
  for (size_t i = 1; i + 2 < sizes.size(); ++i) {
    if (sizes[i] * sizes[i + 1] > best.n * best.k) best = {rows, sizes[i + 1], sizes[i]};
  }
  return best;
}

}  // namespace pendula
