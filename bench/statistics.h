// What is reported of the repeats of one measurement.
#pragma once

#include <vector>

namespace pendula {

struct Statistics {
  double median = 0.0;
  double min = 0.0, max = 0.0;
  double spread = 0.0;  // (third quartile - first quartile) / median: 0.02 is 2%
};

// Quartiles interpolate linearly between the ranks, as NumPy's do. NaN in one value is NaN in all
// figures; no values too.
Statistics statistics_of(std::vector<double> values);

}  // namespace pendula
