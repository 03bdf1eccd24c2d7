#include "host/distribution.h"

#include <algorithm>
#include <cmath>

#include "kernels/philox.h"

namespace pendula {
namespace {

using nlohmann::json;

// Beside those of kernels/philox.h. index: agent, step: hash of the key's name.

// FNV-1a (Fowler, Noll and Vo).
uint64_t hash_of(const std::string& name) {
  uint64_t hash = 0xcbf29ce484222325u;
  for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
  return hash;
}

// floor(x / 2^64 * n): uniform below n.
uint64_t below(uint64_t x, uint64_t n) {
  return static_cast<uint64_t>((static_cast<unsigned __int128>(x) * n) >> 64);
}

// low (high / low)^u by square roots, which are rounded alike everywhere; exp and log are not. The
// error is about one part in 2^53 for each of the 53 factors.
double log_uniform(uint64_t x, double low, double high) {
  double root = high / low;
  double value = low;
  for (int bit = 63; bit > 10; --bit) {
    root = std::sqrt(root);
    if ((x >> bit & 1) != 0) value *= root;
  }
  return std::min(value, high);
}

}  // namespace

std::vector<std::string> distributions_of(const KeySpec& key) {
  if (key.type == KeyType::kInteger || key.type == KeyType::kSeed) return {"int_uniform", "choice"};
  return {"log_uniform", "uniform", "int_uniform", "choice"};
}

bool is_distribution(const std::string& name) {
  KeySpec number;
  number.type = KeyType::kNumber;  // takes all of them
  const std::vector<std::string> names = distributions_of(number);
  return std::find(names.begin(), names.end(), name) != names.end();
}

KeySpec number_in(const KeySpec& key, const std::string& distribution) {
  KeySpec number = key;
  number.per_agent = false;
  if (distribution == "int_uniform" && key.type == KeyType::kNumber) {
    number.type = KeyType::kInteger;
  } else if (distribution == "log_uniform" && key.range.contains(0)) {
    number.range.min = 0;
    number.range.open_min = true;
  }
  return number;
}

json value_of_agent(const json& spec, uint64_t seed, const std::string& name, int64_t agent) {
  if (spec.is_array()) return spec.at(static_cast<size_t>(agent));
  const Uint4 words =
      random(seed, Purpose::kAgentValue, 0, static_cast<uint64_t>(agent), hash_of(name));
  const uint64_t x = static_cast<uint64_t>(words.x) << 32 | words.y;
  const std::string& distribution = spec.begin().key();
  const json& numbers = spec.begin().value();
  if (distribution == "choice") return numbers.at(static_cast<size_t>(below(x, numbers.size())));
  const json &low = numbers.at(0), &high = numbers.at(1);
  if (distribution == "int_uniform") {
    const uint64_t first = low.get<uint64_t>();  // of a negative one the two's complement
    const uint64_t count = high.get<uint64_t>() - first + 1;
    const uint64_t value = first + (count == 0 ? x : below(x, count));
    return low.is_number_unsigned() ? json(value) : json(static_cast<int64_t>(value));
  }
  const double a = low.get<double>(), b = high.get<double>();
  if (distribution == "log_uniform") return log_uniform(x, a, b);
  const double u = static_cast<double>(x >> 11) * 0x1p-53;
  return std::min(a + u * (b - a), b);
}

}  // namespace pendula
