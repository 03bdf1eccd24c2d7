// Reads JSON text into a tree that remembers, for every key and every value, where it stands.
//
// nlohmann/json 3.11 parses but gives no positions and keeps the last of two equal keys. Its SAX
// interface over an iterator that counts gives both the positions and the duplicates.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace pendula {

struct JsonMember;

// One value of the text. A scalar has `scalar` and `text`, a list `items`, an object `members`.
struct JsonValue {
  enum class Kind { kScalar, kList, kObject };
  Kind kind = Kind::kScalar;
  std::string place;      // "configs/x.json:7:14": line and column of its first character, from 1
  nlohmann::json scalar;  // null, boolean, string, or a number; integers keep all their 64 bits,
                          // larger ones are doubles
  std::string text;       // the scalar as it is written, for messages
  std::vector<JsonValue> items;
  std::vector<JsonMember> members;  // in the order of the text, duplicates included
  bool faulty = false;              // a problem of it is reported: check it no further

  bool is_null() const { return kind == Kind::kScalar && scalar.is_null(); }
};

struct JsonMember {
  std::string key;
  std::string place;  // of the key's opening quote
  JsonValue value;
};

struct JsonProblem {
  std::string place;
  std::string text;
};

struct JsonDocument {
  JsonValue root;
  std::vector<JsonProblem> problems;  // empty: the text is good
  bool complete = false;  // `root` holds all of the text (there may be problems, as duplicate keys)
  bool is_json = true;    // false: a mistake of syntax, as a trailing comma
};

inline constexpr int kMaxJsonDepth = 64;  // objects and lists inside each other

// Reads `text`. Throws nothing: what is wrong comes back as problems. Duplicate keys, NUL bytes,
// numbers that overflow, nesting beyond kMaxJsonDepth and bad UTF-8 are problems. Columns count
// characters, not bytes. `file_name` stands in every place.
JsonDocument read_json(std::string_view text, const std::string& file_name);

// The tree without its positions.
nlohmann::json plain_json(const JsonValue& value);

// "/ddpg" and "gamma" make "/ddpg/gamma", escaped as RFC 6901 says and safe to print on one line.
std::string json_pointer(const std::string& parent, const std::string& key);

// "3", "\"abc\"", "a list", "an object": a value in a message, shortened where it is long.
std::string shown(const JsonValue& value);

// Text without control characters and at most `max_bytes` long, for messages.
std::string shown_text(const std::string& text, size_t max_bytes);

}  // namespace pendula
