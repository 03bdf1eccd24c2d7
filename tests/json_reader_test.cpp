// The reader of JSON text: positions, duplicates, and everything that is not JSON.
#include "host/json_reader.h"

#include <gtest/gtest.h>

#include <string>

namespace pendula {
namespace {

JsonDocument read(const std::string& text) { return read_json(text, "f"); }

// "place: text" of the first problem, "" where there is none.
std::string first_problem(const std::string& text) {
  const JsonDocument document = read(text);
  if (document.problems.empty()) return "";
  return document.problems[0].place + ": " + document.problems[0].text;
}

// The text has exactly this problem, and it stands exactly there.
void expect_problem(const std::string& text, const std::string& place, const std::string& part) {
  const JsonDocument document = read(text);
  ASSERT_FALSE(document.problems.empty()) << text.substr(0, 80);
  EXPECT_EQ(document.problems[0].place, place) << text.substr(0, 80);
  EXPECT_NE(document.problems[0].text.find(part), std::string::npos) << document.problems[0].text;
}

TEST(JsonReader, KeepsThePlaceOfEveryKeyAndValue) {
  const std::string text =
      "{\n"
      "  \"a\": 12,\t\"bc\" :-3.5e1,\r\n"
      "  \"\\u00e9 \xC3\xA9\": [ \"x\\\"y\", true,null, {\"d\":{}} ],\n"
      "\n"
      "  \"e\": false }";
  const JsonDocument document = read(text);
  ASSERT_TRUE(document.complete) << first_problem(text);
  EXPECT_TRUE(document.problems.empty());
  const JsonValue& root = document.root;
  EXPECT_EQ(root.place, "f:1:1");
  ASSERT_EQ(root.members.size(), 4u);
  EXPECT_EQ(root.members[0].place, "f:2:3");
  EXPECT_EQ(root.members[0].value.place, "f:2:8");
  EXPECT_EQ(root.members[0].value.text, "12");
  EXPECT_EQ(root.members[1].place, "f:2:12");  // a tab is one column
  EXPECT_EQ(root.members[1].value.place, "f:2:18");
  EXPECT_EQ(root.members[1].value.text, "-3.5e1");
  EXPECT_EQ(root.members[2].key, "\xC3\xA9 \xC3\xA9");
  const JsonValue& list = root.members[2].value;
  EXPECT_EQ(list.place, "f:3:15");  // the second e acute has two bytes and is one column
  ASSERT_EQ(list.items.size(), 4u);
  EXPECT_EQ(list.items[0].place, "f:3:17");
  EXPECT_EQ(list.items[0].text, "\"x\\\"y\"");
  EXPECT_EQ(list.items[1].place, "f:3:25");
  EXPECT_EQ(list.items[2].place, "f:3:30");
  EXPECT_EQ(list.items[3].place, "f:3:36");
  EXPECT_EQ(list.items[3].members[0].place, "f:3:37");
  EXPECT_EQ(list.items[3].members[0].value.place, "f:3:41");
  EXPECT_EQ(root.members[3].place, "f:5:3");
  EXPECT_EQ(root.members[3].value.place, "f:5:8");
}

TEST(JsonReader, AByteOrderMarkMovesNothingBehindTheFirstLine) {
  const JsonDocument document = read("\xEF\xBB\xBF{\n \"a\": 1}");
  ASSERT_TRUE(document.complete);
  EXPECT_EQ(document.root.members[0].place, "f:2:2");
}

TEST(JsonReader, KeepsAll64BitsOfIntegers) {
  const JsonDocument document =
      read("[18446744073709551615, -9223372036854775808, 9007199254740993]");
  ASSERT_TRUE(document.complete);
  EXPECT_EQ(document.root.items[0].scalar.get<uint64_t>(), 18446744073709551615u);
  EXPECT_EQ(document.root.items[1].scalar.get<int64_t>(), INT64_MIN);
  EXPECT_EQ(document.root.items[2].scalar.get<uint64_t>(), 9007199254740993u);
}

TEST(JsonReader, IntegersThatNeedMoreBitsAreDoublesWithTheirText) {
  const JsonDocument document = read("[18446744073709551616, -9223372036854775809]");
  ASSERT_TRUE(document.complete);
  EXPECT_TRUE(document.problems.empty());
  EXPECT_EQ(document.root.items[0].scalar.get<double>(), 0x1p64);
  EXPECT_EQ(document.root.items[1].scalar.get<double>(), -0x1p63);
  EXPECT_EQ(document.root.items[1].text, "-9223372036854775809");
}

TEST(JsonReader, RefusesNumbersThatOverflow) {
  expect_problem("{\n\"a\": 1e999}", "f:2:6", "/a: 1e999 is too large");
  expect_problem("{\"a\":\n  -1e999 }", "f:2:3", "-1e999 is too large");
  for (const char* word : {"NaN", "Infinity", "-Infinity", "nan", "inf"}) {
    EXPECT_FALSE(read(std::string("{\"a\": ") + word + "}").complete) << word;
  }
}

TEST(JsonReader, SeesDuplicateKeysAndReadsOn) {
  const JsonDocument document =
      read("{\"a\": 1,\n \"b\": {\"a\": 2},\n \"a\": 3,\n\"\\u0061\": 4}");
  EXPECT_TRUE(document.complete);
  ASSERT_EQ(document.problems.size(), 2u);
  EXPECT_EQ(document.problems[0].place, "f:3:2");
  EXPECT_NE(document.problems[0].text.find("/a: duplicate key"), std::string::npos);
  EXPECT_NE(document.problems[0].text.find("f:1:2"), std::string::npos);
  EXPECT_EQ(document.problems[1].place, "f:4:1");  // the same key in another spelling
}

TEST(JsonReader, SeesNulBytes) {
  expect_problem(std::string("{\"a\"\n: 1\0}", 10), "f:2:4", "NUL");
  expect_problem(std::string("{} \0 garbage", 12), "f:1:4", "NUL");
  expect_problem("{\"a\": \"x\\u0000\"}", "f:1:7", "NUL");
  expect_problem("{\"a\\u0000b\": 1}", "f:1:2", "NUL");
}

TEST(JsonReader, LimitsTheDepth) {
  const auto nested = [](size_t n) { return std::string(n, '[') + std::string(n, ']'); };
  EXPECT_TRUE(read(nested(kMaxJsonDepth)).complete);
  expect_problem(nested(kMaxJsonDepth + 1), "f:1:65", "more than 64");
  expect_problem(std::string(100000, '['), "f:1:65", "more than 64");
  std::string objects;
  for (int i = 0; i < 100000; ++i) objects += "{\"a\":";
  expect_problem(objects, "f:1:321", "more than 64");
}

TEST(JsonReader, PointsAtMistakesOfSyntax) {
  expect_problem("", "f:1:1", "empty");
  expect_problem(" \n\t\n", "f:1:1", "empty");
  expect_problem("{\"a\": 1,}", "f:1:8", "comma after the last entry");
  expect_problem("{\"a\": [1, 2,\n ]}", "f:1:12", "comma after the last entry");
  expect_problem("{\"a\": 1", "f:1:8", "ends too early");
  expect_problem("{\"a\": \"x", "f:1:8", "not JSON");
  expect_problem("{\"a\" 1}", "f:1:6", "not JSON");
  expect_problem("{\"a\": 1 \"b\": 2}", "f:1:9", "not JSON");
  expect_problem("{\"a\":,}", "f:1:6", "not JSON");
  expect_problem("[1,,2]", "f:1:4", "not JSON");
  expect_problem("{} {}", "f:1:4", "not JSON");
  expect_problem("{a: 1}", "f:1:2", "not JSON");
  expect_problem("# comment\n{}", "f:1:1", "not JSON");
  expect_problem("{\"a\": 01}", "f:1:8", "not JSON");
  expect_problem(
      "\x7F"
      "ELF\x02\x01\x01",
      "f:1:1", "not JSON");
  expect_problem("{\"a\": \"x\ny\"}", "f:1:9", "control character");
}

TEST(JsonReader, RefusesBadUtf8) {
  expect_problem("{\"a\": \"\xFF\"}", "f:1:8", "UTF-8");
  expect_problem("{\"a\": \"\xC0\xAF\"}", "f:1:8", "UTF-8");    // overlong
  expect_problem("{\n\"\xED\xA0\x80\": 1}", "f:2:2", "UTF-8");  // half of a surrogate pair
  expect_problem("{\"a\": \"\xE2\x82\"}", "f:1:9", "UTF-8");    // cut short by the quote
  EXPECT_FALSE(read("{\"a\": \"\\ud800\"}").complete);
}

TEST(JsonReader, MessagesAreOneLineOfCleanText) {
  for (const char* text : {"{\"a\nb\": 1}", "{\"\\n\\n\": 1, \"\\n\\n\": 2}", "\x01\x02\x1B[31m"}) {
    for (const JsonProblem& problem : read(text).problems) {
      for (const char c : problem.text) EXPECT_GE(static_cast<unsigned char>(c), 0x20u);
    }
  }
}

// No cut and no flipped byte of a good text may crash the reader or give problems without a place.
TEST(JsonReader, SurvivesEveryCutAndManyFlips) {
  const std::string good = "{\"a\": [1, -2.5e3, \"x\\u00e9\"], \"b\": {\"c\": null, \"d\": true}}";
  ASSERT_TRUE(read(good).complete);
  for (size_t n = 0; n < good.size(); ++n) {
    const JsonDocument document = read(good.substr(0, n));
    EXPECT_FALSE(document.complete) << n;
    EXPECT_FALSE(document.problems.empty()) << n;
  }
  for (size_t at = 0; at < good.size(); ++at) {
    for (int byte = 0; byte < 256; ++byte) {
      std::string bad = good;
      bad[at] = static_cast<char>(byte);
      const JsonDocument document = read(bad);
      EXPECT_TRUE(document.complete || !document.problems.empty()) << at << " " << byte;
    }
  }
}

}  // namespace
}  // namespace pendula
