#include "host/config_key.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

namespace pendula {
namespace {

// "0.001", "16777216", and 1e15 not as a row of zeros
std::string bound_text(double value) {
  for (int exponent = 6; exponent <= 18; ++exponent) {
    if (value == std::pow(10.0, exponent)) return fmt::format("1e{}", exponent);
  }
  return fmt::format("{}", value);
}

}  // namespace

bool Range::contains(double value) const {
  const bool above_min = open_min ? value > min : value >= min;
  const bool below_max = open_max ? value < max : value <= max;
  return above_min && below_max;
}

const KeySpec* find_key(const std::vector<KeySpec>& keys, const std::string& path) {
  for (const KeySpec& key : keys) {
    if (key.path == path) return &key;
  }
  return nullptr;
}

std::string dotted(const std::string& path) {
  std::string text = path.substr(path.empty() ? 0 : 1);
  std::replace(text.begin(), text.end(), '/', '.');
  return text;
}

std::string range_text(const Range& range) {
  return (range.open_min ? "(" : "[") + bound_text(range.min) + ", " + bound_text(range.max) +
         (range.open_max ? ")" : "]");
}

std::string allowed_text(const KeySpec& key) {
  const std::string in = " in " + range_text(key.range);
  const bool unlimited = key.range.contains(-std::numeric_limits<double>::infinity()) &&
                         key.range.contains(std::numeric_limits<double>::infinity());
  std::string text;
  switch (key.type) {
    case KeyType::kInteger:
      text = "an integer" + in;
      break;
    case KeyType::kSeed:
      text = "an integer in [0, 18446744073709551615]";
      break;
    case KeyType::kNumber:
      text = unlimited ? "a finite number" : "a number" + in;
      break;
    case KeyType::kWord:
      for (const std::string& w : key.words) text += (text.empty() ? "\"" : ", \"") + w + '"';
      if (key.words.size() > 1) text = "one of " + text;
      break;
    case KeyType::kWordList:
      text = fmt::format("a list of some of \"{}\", each once", fmt::join(key.words, "\", \""));
      break;
    case KeyType::kText:
      text = key.accepted_text;
      break;
    case KeyType::kIntegerList:
      text = fmt::format("a list of 0 to {} integers, each{}", key.max_items, in);
      break;
    case KeyType::kObject:
      text = "an object";
      break;
  }
  if (key.per_agent) text += ", or one per agent";
  return key.nullable ? text + ", or null" : text;
}

std::string meaning_text(const KeySpec& key) {
  std::string meaning = key.help;
  if (!key.unit.empty()) meaning += " (" + key.unit + ")";
  return meaning;
}

}  // namespace pendula
