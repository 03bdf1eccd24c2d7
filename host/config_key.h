// One key of a config as the table describes it, and how messages and docs put it.
#pragma once

#include <functional>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "host/config.h"

namespace pendula {

enum class KeyType {
  kInteger,      // int64_t
  kSeed,         // uint64_t, every value
  kNumber,       // double, finite
  kWord,         // one of `words`
  kText,         // a string that all of `pattern` matches
  kWordList,     // some of `words`, each at most once
  kIntegerList,  // 0 to `max_items` integers, each in `range`
  kObject,       // any object, never looked into
};

struct Range {
  double min = -std::numeric_limits<double>::infinity();
  double max = std::numeric_limits<double>::infinity();
  bool open_min = false;  // true: min itself is not allowed
  bool open_max = false;

  bool contains(double value) const;
};

struct KeySpec {
  std::string path;  // JSON pointer: "/ddpg/gamma"
  KeyType type = KeyType::kInteger;
  Range range;                     // kInteger, kNumber and the items of kIntegerList
  std::vector<std::string> words;  // kWord and the items of kWordList: what is allowed
  int max_items = 0;               // kIntegerList
  bool nullable = false;
  bool per_agent = false;    // takes a list or a distribution too (host/distribution.h)
  std::string unit;          // "" where there is none
  std::string help;          // one sentence, no full stop
  std::string default_text;  // where the struct's default says too little

  // kText: a regular expression that ECMAScript and Python read alike; "": every string.
  std::string pattern;
  std::function<bool(const std::string&)> accepts;  // kText: whether all of a string matches it
  std::string accepted_text;                        // kText: the same in words

  std::function<nlohmann::json(const Config&)> get;
  // The value must have been checked (host/config_value.h): an int64_t, uint64_t, double, string,
  // array or object according to `type`, or null where `nullable`. With `per_agent` also a list or
  // a distribution, which both `get` and `set` have in Config::per_agent.
  std::function<void(Config&, const nlohmann::json&)> set;
};

// The row of that path, or nullptr.
const KeySpec* find_key(const std::vector<KeySpec>& keys, const std::string& path);

// "/ddpg/gamma" -> "ddpg.gamma", as overrides and messages write it.
std::string dotted(const std::string& path);

// "[0, 1]", "(0, 10]"
std::string range_text(const Range& range);

// What a key takes, for messages and docs: "a number in [0, 1]", "one of \"mse\", \"huber\"".
std::string allowed_text(const KeySpec& key);

// What a key means, for docs: help, unit, and the words that a later version will allow.
std::string meaning_text(const KeySpec& key);

}  // namespace pendula
