// --filter: which cases are measured, and which of their quantities.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "bench/case.h"

namespace pendula {

// Key to the values of which a row must have one.
using Filter = std::map<std::string, std::vector<std::string>>;

// Reads "network=2x64,batch=100|128"; a repeated key adds its values. Throws Error(kUsage) for what
// has not this form.
Filter parse_filter(const std::vector<std::string>& texts);

// Keeps the quantities whose row has every key of the filter with one of its values, and the cases
// that still have one. Throws Error(kUsage), with what there is, for a key or a value that no row
// has, and where the values exist but never in one row.
std::vector<Case> apply_filter(const Filter& filter, std::vector<Case> cases);

}  // namespace pendula
