#include "host/config_value.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "host/agent_values.h"
#include "host/distribution.h"
#include "host/suggest.h"

namespace pendula {
namespace {

using nlohmann::json;

// A value under check: where it stands, how its key is called, and the list of what is wrong.
struct Check {
  const KeySpec& key;
  const JsonValue& value;
  std::string pointer;  // of the value: the key's, or an item's "/actor/hidden/0"
  std::vector<ConfigProblem>& problems;

  std::nullopt_t fail(const std::string& text) const {
    problems.push_back({value.place, pointer, text});
    return std::nullopt;
  }
  // What looks like values for several agents gets to know which keys take them.
  std::nullopt_t wrong_type() const {
    const bool several = value.kind != JsonValue::Kind::kScalar && !key.per_agent;
    return fail(shown(value) + " is the wrong type; allowed: " + allowed_text(key) +
                (several ? "; " + one_for_all_text(key.path) : ""));
  }
};

// Integers keep their 64 bits, also where they are written as 20000.0 or 2e4: a long double tells
// all of them apart, a double does not. What is beyond 64 bits comes back as a double.
std::optional<json> as_integer(const Check& check) {
  const json& number = check.value.scalar;
  if (number.is_number_integer()) return number;
  const std::string& text = check.value.text;
  long double value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  if (value != std::trunc(value)) {
    return check.fail(shown(check.value) +
                      " is not an integer; allowed: " + allowed_text(check.key));
  }
  if (value < -0x1p63L || value >= 0x1p64L) return json(static_cast<double>(value));
  return value < 0 ? json(static_cast<int64_t>(value)) : json(static_cast<uint64_t>(value));
}

std::optional<json> checked_integer(const Check& check) {
  if (!check.value.scalar.is_number()) return check.wrong_type();
  const std::optional<json> integer = as_integer(check);
  if (!integer) return std::nullopt;
  if (!check.key.range.contains(integer->get<double>())) {
    return check.fail(shown(check.value) + " is not in " + range_text(check.key.range));
  }
  return json(integer->get<int64_t>());  // every range of integers lies within int64_t
}

std::optional<json> checked_seed(const Check& check) {
  if (!check.value.scalar.is_number()) return check.wrong_type();
  const std::optional<json> integer = as_integer(check);
  if (!integer) return std::nullopt;
  const bool fits =
      integer->is_number_unsigned() || (integer->is_number_integer() && *integer >= 0);
  if (!fits) {
    return check.fail(shown(check.value) + " is not in [0, 18446744073709551615]");
  }
  return json(integer->get<uint64_t>());
}

std::optional<json> checked_number(const Check& check) {
  if (!check.value.scalar.is_number()) return check.wrong_type();
  const Range& range = check.key.range;
  const double value = check.value.scalar.get<double>();
  if (!range.contains(value)) {
    return check.fail(shown(check.value) + " is not in " + range_text(range));
  }
  // Training computes in single precision: 1e-50 would become the 0 that the range shuts out.
  const double rounded = static_cast<float>(value);
  if ((range.open_min && rounded == range.min) || (range.open_max && rounded == range.max)) {
    return check.fail(shown(check.value) + " becomes " + fmt::format("{}", rounded) +
                      " in single precision, which is not in " + range_text(range));
  }
  return json(value);
}

std::optional<json> checked_word(const Check& check) {
  if (!check.value.scalar.is_string()) return check.wrong_type();
  const std::string word = check.value.scalar.get<std::string>();
  const KeySpec& key = check.key;
  if (std::find(key.words.begin(), key.words.end(), word) != key.words.end()) return json(word);
  const std::string allowed = "; allowed: " + allowed_text(key);
  const auto near_words = nearest(word, key.words, plausible_edits(word));
  return check.fail(shown(check.value) + " is not known" + allowed + did_you_mean(near_words));
}

std::optional<json> checked_text(const Check& check) {
  if (!check.value.scalar.is_string()) return check.wrong_type();
  if (check.key.accepts(check.value.scalar.get<std::string>())) return check.value.scalar;
  return check.fail(shown(check.value) + " is not allowed; allowed: " + allowed_text(check.key));
}

std::optional<json> checked_list(const Check& check) {
  if (check.value.kind != JsonValue::Kind::kList) return check.wrong_type();
  const size_t count = check.value.items.size();
  if (count > static_cast<size_t>(check.key.max_items)) {
    return check.fail("a list of " + std::to_string(count) +
                      "; allowed: " + allowed_text(check.key));
  }
  KeySpec item_key = check.key;  // the items' messages tell what one item may be
  item_key.type = KeyType::kInteger;
  json list = json::array();
  for (size_t i = 0; i < count; ++i) {
    const std::string pointer = json_pointer(check.pointer, std::to_string(i));
    if (check.value.items[i].faulty) continue;
    const auto item = checked_integer({item_key, check.value.items[i], pointer, check.problems});
    if (item) list.push_back(*item);
  }
  if (list.size() < count) return std::nullopt;
  return list;
}

std::optional<json> checked_words(const Check& check) {
  if (check.value.kind != JsonValue::Kind::kList) return check.wrong_type();
  json list = json::array();
  bool good = true;
  for (size_t i = 0; i < check.value.items.size(); ++i) {
    const JsonValue& value = check.value.items[i];
    const Check item{check.key, value, json_pointer(check.pointer, std::to_string(i)),
                     check.problems};
    const auto word = value.faulty ? std::nullopt : checked_word(item);
    good = good && word;
    if (!word) continue;
    if (std::find(list.begin(), list.end(), *word) != list.end()) {
      item.fail(shown(value) + " stands there twice");
      good = false;
    }
    list.push_back(*word);
  }
  return good ? std::optional(list) : std::nullopt;
}

// One value, of one agent or of all.
std::optional<json> checked_one(const Check& check) {
  const KeySpec& key = check.key;
  const JsonValue& value = check.value;
  if (value.faulty) return std::nullopt;
  if (value.is_null()) {
    if (key.nullable) return json(nullptr);
    return check.fail("null is not allowed; allowed: " + allowed_text(key) +
                      "; or leave the key out for its default");
  }
  switch (key.type) {
    case KeyType::kInteger:
      return checked_integer(check);
    case KeyType::kSeed:
      return checked_seed(check);
    case KeyType::kNumber:
      return checked_number(check);
    case KeyType::kWord:
      return checked_word(check);
    case KeyType::kWordList:
      return checked_words(check);
    case KeyType::kText:
      return checked_text(check);
    case KeyType::kIntegerList:
      return checked_list(check);
    case KeyType::kObject:
      if (value.kind != JsonValue::Kind::kObject) return check.wrong_type();
      return plain_json(value);
  }
  return std::nullopt;
}

// Each item of a list as one value of `key`.
std::optional<json> checked_items(const KeySpec& key, const Check& list) {
  json items = json::array();
  for (size_t i = 0; i < list.value.items.size(); ++i) {
    const std::string pointer = json_pointer(list.pointer, std::to_string(i));
    const auto item = checked_one({key, list.value.items[i], pointer, list.problems});
    if (item) items.push_back(*item);
  }
  if (items.size() < list.value.items.size()) return std::nullopt;
  return items;
}

std::string quoted_list(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "\"" : ", \"") + word + '"';
  return text;
}

// {"uniform": [0.1, 0.3]} and its like (host/distribution.h).
std::optional<json> checked_distribution(const Check& check) {
  const std::vector<JsonMember>& members = check.value.members;
  for (const JsonMember& member : members) {
    if (member.value.faulty) return std::nullopt;
  }
  const std::vector<std::string> known = distributions_of(check.key);
  if (members.size() != 1) {
    return check.fail("an object of " + std::to_string(members.size()) +
                      " members; a distribution has one, which is one of " + quoted_list(known));
  }
  const auto& [name, place, numbers] = members.front();
  const Check inside{check.key, numbers, json_pointer(check.pointer, name), check.problems};
  if (std::find(known.begin(), known.end(), name) == known.end()) {
    check.problems.push_back(
        {place, inside.pointer,
         (is_distribution(name)
              ? "draws fractions, and " + dotted(check.key.path) + " takes integers"
              : "unknown distribution") +
             "; allowed: " + quoted_list(known) +
             did_you_mean(nearest(name, known, plausible_edits(name)))});
    return std::nullopt;
  }
  const bool choice = name == "choice";
  const size_t count = numbers.items.size();
  if (numbers.kind != JsonValue::Kind::kList || (choice ? count == 0 : count != 2)) {
    return inside.fail(
        (numbers.kind == JsonValue::Kind::kList ? "a list of " + std::to_string(count)
                                                : shown(numbers)) +
        " is wrong; allowed: " + (choice ? "a list of one or more values" : "[low, high]"));
  }
  const auto values = checked_items(number_in(check.key, name), inside);
  if (!values) return std::nullopt;
  if (!choice && !(values->at(0) < values->at(1))) {
    check.problems.push_back({numbers.place, inside.pointer,
                              "low must be below high, but " + shown(numbers.items[0]) +
                                  " is not below " + shown(numbers.items[1]),
                              ConfigProblem::Kind::kRelation});
    return std::nullopt;
  }
  return json{{name, *values}};
}

}  // namespace

std::string ConfigProblem::line() const {
  return place + ": " + (pointer.empty() ? "" : pointer + ": ") + text;
}

std::optional<json> checked_value(const KeySpec& key, const JsonValue& value,
                                  std::vector<ConfigProblem>& problems) {
  if (value.faulty) return std::nullopt;
  const Check check{key, value, key.path, problems};
  if (key.per_agent && value.kind == JsonValue::Kind::kList) {
    KeySpec one = key;
    one.per_agent = false;
    return checked_items(one, check);
  }
  if (key.per_agent && value.kind == JsonValue::Kind::kObject) return checked_distribution(check);
  return checked_one(check);
}

}  // namespace pendula
