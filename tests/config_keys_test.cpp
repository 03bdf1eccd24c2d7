// Every key of the table, one after the other: wrong types, both ends of the range, null,
// duplicates, every misspelling by one letter.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>
#include <set>
#include <sstream>

#include "host/config_io.h"
#include "host/config_table.h"
#include "host/environments.h"
#include "host/json_reader.h"
#include "tests/config_testing.h"

namespace pendula {
namespace {

using nlohmann::json;

std::string section_of(const KeySpec& key) {
  const size_t slash = key.path.rfind('/');
  return slash == 0 ? "" : key.path.substr(1, slash - 1);
}
std::string name_of(const KeySpec& key) { return key.path.substr(key.path.rfind('/') + 1); }

// {"ddpg": {"gamma": VALUE}}, and the column of VALUE in it.
struct Text {
  std::string text;
  size_t key_column, value_column;
};
Text text_with(const KeySpec& key, const std::string& name, const std::string& value) {
  std::string head = "{", tail = "}";
  std::istringstream sections(section_of(key));
  for (std::string section; std::getline(sections, section, '/');) {
    head += '"' + section + "\": {";
    tail += '}';
  }
  const size_t key_column = head.size() + 1;
  head += '"' + name + "\": ";
  return {head + value + tail, key_column, head.size() + 1};
}

// The one line that this value brings, at the value's place.
void expect_refused(const KeySpec& key, const std::string& value, const std::string& part) {
  const Text text = text_with(key, name_of(key), value);
  const std::string place = "f:1:" + std::to_string(text.value_column) + ": ";
  expect_problem(text.text, place + key.path + ": ", part);
}

// The same for a list of which the first item is wrong.
void expect_first_item_refused(const KeySpec& key, const std::string& list,
                               const std::string& part) {
  const Text text = text_with(key, name_of(key), list);
  const std::string place = "f:1:" + std::to_string(text.value_column + 1) + ": ";
  expect_problem(text.text, place + key.path + "/0: ", part);
}

// The value passes, but for relations with other keys.
void expect_accepted(const KeySpec& key, const std::string& value) {
  const Text text = text_with(key, name_of(key), value);
  for (const std::string& line : problems_of(text.text)) {
    const bool relation = line.find("no update would ever run") != std::string::npos ||
                          line.find("holds") != std::string::npos ||
                          line.find("in one iteration of") != std::string::npos ||
                          line.find("in one evaluation") != std::string::npos ||
                          line.find("beyond 2^64 - 1") != std::string::npos ||
                          line.find("more than one agent") != std::string::npos ||
                          line.find("never reached") != std::string::npos;
    EXPECT_TRUE(relation) << text.text << "\n" << line;
  }
}

std::vector<KeySpec> all_keys() { return config_keys(&environments().front()); }

// A number as JSON, an integer without a point.
std::string number_text(const KeySpec& key, double value) {
  return key.type == KeyType::kNumber ? json(value).dump()
                                      : std::to_string(static_cast<int64_t>(value));
}

TEST(ConfigKeys, TheTableIsSound) {
  std::set<std::string> paths;
  for (const EnvironmentInfo& env : environments()) {
    for (const KeySpec& key : config_keys(&env)) {
      EXPECT_TRUE(paths.insert(env.id + key.path).second) << key.path << " is there twice";
      EXPECT_FALSE(key.help.empty()) << key.path;
      EXPECT_TRUE(key.get && key.set) << key.path;
      // set(get) changes nothing: both go to the same member.
      Config config = parse_config("{\"env\": {\"id\": \"" + env.id + "\"}}", "f");
      const json value = key.get(config);
      key.set(config, value);
      EXPECT_EQ(key.get(config), value) << key.path;
    }
  }
}

// A good value of the key that is not its default.
json other_value(const KeySpec& key, const json& by_default) {
  switch (key.type) {
    case KeyType::kNumber: {
      if (by_default.is_null()) return 7.5;
      const double half = by_default.get<double>() / 2;
      return half != by_default && key.range.contains(half) ? half : 0.75;
    }
    case KeyType::kInteger:
      return by_default == key.range.min ? key.range.max : key.range.min;
    case KeyType::kSeed:
      return 77;
    case KeyType::kWord:
      return key.words.back() == by_default ? key.words.front() : key.words.back();
    case KeyType::kWordList:
      return {key.words.back()};
    case KeyType::kText:
      return "cuda";  // a folder's name too
    case KeyType::kIntegerList:
      return {5};
    case KeyType::kObject:
      return {{"a", 1}};
  }
  return nullptr;
}

TEST(ConfigKeys, EachChangesAMemberOfItsOwn) {
  const Config defaults = parse_config("{}", "f");
  for (const KeySpec& key : all_keys()) {
    const json value = other_value(key, key.get(defaults));
    if (key.get(defaults) == value) continue;  // a word of which there is only one
    if (key.path == "/env/id") continue;       // brings parameters of its own
    Config config = defaults;
    key.set(config, value);
    const std::vector<ConfigDifference> differences = config_differences(defaults, config);
    ASSERT_EQ(differences.size(), 1u) << describe_diff(differences);
    EXPECT_EQ(differences[0].key, dotted(key.path));
    EXPECT_EQ(differences[0].b, value);
  }
}

TEST(ConfigKeys, WrongTypesAreRefused) {
  const struct {
    const char* text;
    std::set<KeyType> right_for;
  } cases[] = {
      {"true", {}},
      {"7", {KeyType::kInteger, KeyType::kSeed, KeyType::kNumber}},
      {"\"7\"", {KeyType::kWord, KeyType::kText}},           // a string, if not an allowed one
      {"[7]", {KeyType::kIntegerList, KeyType::kWordList}},  // of the latter an item is wrong
      {"{}", {KeyType::kObject}},
  };
  for (const KeySpec& key : all_keys()) {
    for (const auto& c : cases) {
      if (c.right_for.count(key.type) > 0) continue;
      // Of several agents (tests/agent_values_test.cpp): [7] may be right, and {} is empty.
      if (key.per_agent && c.text[0] == '[') continue;
      const bool empty = key.per_agent && c.text[0] == '{';
      expect_refused(key, c.text, empty ? "an object of 0 members" : "wrong type");
    }
    if (key.type == KeyType::kIntegerList) {
      for (const char* item : {"true", "\"7\"", "[7]", "{}", "null"}) {
        expect_first_item_refused(key, std::string("[") + item + "]", "wrong type");
      }
    }
    const bool integer = key.type == KeyType::kInteger || key.type == KeyType::kSeed;
    if (integer) expect_refused(key, "0.5", "not an integer");
  }
}

TEST(ConfigKeys, BothEndsOfEveryRangeHold) {
  for (const KeySpec& key : all_keys()) {
    const Range& range = key.range;
    if (key.type == KeyType::kNumber) {
      if (std::isfinite(range.min)) {
        const double below = std::nextafter(range.min, -HUGE_VAL);
        const std::string wrong = number_text(key, range.open_min ? range.min : below);
        expect_refused(key, wrong, wrong + " is not in " + range_text(range));
        if (!range.open_min) expect_accepted(key, number_text(key, range.min));
        expect_refused(key, number_text(key, range.min - 1), "is not in " + range_text(range));
      }
      if (std::isfinite(range.max)) {
        const double beyond = std::nextafter(range.max, HUGE_VAL);
        const std::string wrong = number_text(key, range.open_max ? range.max : beyond);
        expect_refused(key, wrong, wrong + " is not in " + range_text(range));
        if (!range.open_max) expect_accepted(key, number_text(key, range.max));
        expect_refused(key, number_text(key, range.max * 2), "is not in " + range_text(range));
      }
    } else if (key.type == KeyType::kInteger) {
      expect_refused(key, number_text(key, range.min - 1), "is not in " + range_text(range));
      expect_refused(key, number_text(key, range.max + 1), "is not in " + range_text(range));
      expect_refused(key, "9223372036854775808", "is not in");
      expect_refused(key, "-9223372036854775808", "is not in");
      expect_accepted(key, number_text(key, range.min));
      expect_accepted(key, number_text(key, range.max));
    } else if (key.type == KeyType::kIntegerList) {
      expect_first_item_refused(key, "[" + number_text(key, range.min - 1) + "]", "is not in");
      expect_first_item_refused(key, "[" + number_text(key, range.max + 1) + "]", "is not in");
      std::string list = "[" + number_text(key, range.max);
      for (int i = 1; i < key.max_items; ++i) list += ", " + number_text(key, range.min);
      expect_accepted(key, list + "]");
      expect_accepted(key, "[]");
      expect_refused(key, list + ", 1]", "a list of " + std::to_string(key.max_items + 1));
    } else if (key.type == KeyType::kWordList) {
      const std::string first = '"' + key.words.front() + '"';
      expect_accepted(key, "[]");
      expect_accepted(key, json(key.words).dump());
      expect_first_item_refused(key, "[\"\"]", "is not known");
      expect_first_item_refused(key, "[7]", "wrong type");
      expect_refused(key, first, "wrong type");
    } else if (key.type == KeyType::kWord) {
      for (const std::string& word : key.words) expect_accepted(key, '"' + word + '"');
      expect_refused(key, "\"\"", "is not known");
    }
    if (key.type != KeyType::kObject) expect_refused(key, "1e999", "1e999 is too large");
  }
}

TEST(ConfigKeys, NullOnlyWhereItMeansSomething) {
  for (const KeySpec& key : all_keys()) {
    if (key.nullable) {
      expect_accepted(key, "null");
    } else {
      expect_refused(key, "null", "null is not allowed");
    }
  }
}

TEST(ConfigKeys, DuplicatesAreRefused) {
  const Config defaults = parse_config("{}", "f");
  for (const KeySpec& key : all_keys()) {
    const std::string value = key.get(defaults).dump();
    const std::string first = value + ", \"" + name_of(key) + "\": ";
    const Text text = text_with(key, name_of(key), first + value);
    const size_t column = text.value_column + value.size() + 2;
    expect_problem(text.text, "f:1:" + std::to_string(column) + ": " + key.path,
                   "duplicate key; it stands first at f:1:" + std::to_string(text.key_column));
  }
}

// Every word that one slip of a finger makes of a name.
std::set<std::string> misspellings(const std::string& name) {
  const std::string letters = "abcdefghijklmnopqrstuvwxyz_";
  std::set<std::string> words;
  for (size_t i = 0; i < name.size(); ++i) {
    words.insert(name.substr(0, i) + name.substr(i + 1));        // a letter missing
    words.insert(name.substr(0, i) + name[i] + name.substr(i));  // a letter doubled
    for (const char c : letters) {
      words.insert(name.substr(0, i) + c + name.substr(i + 1));  // another letter
    }
    if (i + 1 < name.size()) {
      std::string swapped = name;
      std::swap(swapped[i], swapped[i + 1]);
      words.insert(swapped);
    }
  }
  words.erase(name);
  return words;
}

TEST(ConfigKeys, MisspeltObjectsBringTheRightSuggestion) {
  std::set<std::string> sections;
  for (const KeySpec& key : all_keys()) {
    const std::string section = section_of(key);
    sections.insert(section.substr(0, section.find('/')));
  }
  sections.erase("");
  EXPECT_GE(sections.size(), 10u);
  int right = 0, tried = 0;
  for (const std::string& section : sections) {
    for (const std::string& word : misspellings(section)) {
      if (sections.count(word) > 0) continue;
      const std::vector<std::string> lines = problems_of("{\"" + word + "\": {}}");
      ASSERT_EQ(lines.size(), 1u) << word;
      ++tried;
      right += lines[0].find('"' + section + '"') != std::string::npos;
    }
  }
  EXPECT_GE(static_cast<double>(right) / tried, 0.95) << right << " of " << tried;
}

TEST(ConfigKeys, MisspeltKeysBringTheRightSuggestion) {
  const std::vector<KeySpec> keys = all_keys();
  int right = 0, only = 0, tried = 0;
  for (const KeySpec& key : keys) {
    const std::string name = name_of(key);
    for (const std::string& word : misspellings(name)) {
      KeySpec twin = key;
      twin.path = key.path.substr(0, key.path.size() - name.size()) + word;
      if (find_key(keys, twin.path) != nullptr) continue;  // another key by chance
      const Text text = text_with(key, word, key.get(parse_config("{}", "f")).dump());
      const std::vector<std::string> lines = problems_of(text.text);
      ASSERT_EQ(lines.size(), 1u) << text.text;
      const std::string place = "f:1:" + std::to_string(text.key_column) + ": " + twin.path + ": ";
      EXPECT_EQ(lines[0].substr(0, place.size()), place);
      ++tried;
      right += lines[0].find('"' + name + '"') != std::string::npos;
      only += lines[0] == place + "unknown key; did you mean \"" + name + "\"?";
    }
  }
  const double rate = static_cast<double>(right) / tried;
  std::printf(
      "%d of %d misspellings (%.2f%%) bring the right suggestion, %d (%.2f%%) as the "
      "only one\n",
      right, tried, 100 * rate, only, 100.0 * only / tried);
  EXPECT_GT(tried, 5000);
  EXPECT_GE(rate, 0.95);
}

}  // namespace
}  // namespace pendula
