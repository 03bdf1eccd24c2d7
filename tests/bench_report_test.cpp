// What stands around the measurement of `pendula bench`: the filter before it, the report and the
// comparison after it.
#include <gtest/gtest.h>

#include <fstream>
#include <limits>
#include <regex>
#include <sstream>

#include "bench/compare.h"
#include "bench/filter.h"
#include "bench/report.h"
#include "bench/suites.h"
#include "host/error.h"
#include "tests/contains.h"

namespace pendula {
namespace {

using nlohmann::ordered_json;

// The sentence of the Error(kUsage) that f throws.
template <class F>
std::string usage_error(F f) {
  try {
    f();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kUsage);
    return error.what();
  }
  ADD_FAILURE() << "nothing was thrown";
  return "";
}

Case some_case(const std::string& network, int batch) {
  Case c;
  c.keys = {{"suite", "update"}, {"network", network}, {"batch", batch}};
  c.quantities = {{"updates_per_second", 1.0, {}}, {"seconds", 1.0, {}}};
  return c;
}

const std::vector<Case>& some_cases() {
  static const std::vector<Case> cases = {some_case("2x64", 100), some_case("2x64", 128),
                                          some_case("2x256", 256)};
  return cases;
}

std::vector<Case> filtered(const std::vector<std::string>& texts) {
  return apply_filter(parse_filter(texts), some_cases());
}

TEST(BenchFilter, KeepsWhatHasEveryKey) {
  EXPECT_EQ(filtered({}).size(), 3u);
  EXPECT_EQ(filtered({"network=2x64"}).size(), 2u);
  EXPECT_EQ(filtered({"network=2x64,batch=128"}).size(), 1u);
  EXPECT_EQ(filtered({"batch=100|256"}).size(), 2u);
  EXPECT_EQ(filtered({"batch=100", "batch=256"}).size(), 2u);
  EXPECT_EQ(filtered({"batch=100", "network=2x64"}).size(), 1u);
  const auto one = filtered({"batch=256,metric=seconds"});
  ASSERT_EQ(one.size(), 1u);
  ASSERT_EQ(one[0].quantities.size(), 1u);
  EXPECT_EQ(one[0].quantities[0].metric, "seconds");
}

TEST(BenchFilter, SaysWhatThereIs) {
  EXPECT_TRUE(contains(usage_error([] { filtered({"netwrk=2x64"}); }),
                       {"\"netwrk\"", "did you mean \"network\"?", "suite, network, batch"}));
  EXPECT_TRUE(contains(usage_error([] { filtered({"batch=100|101"}); }),
                       {"no row has batch=101", "100, 128, 256"}));
  EXPECT_TRUE(contains(usage_error([] { filtered({"network=2x64,batch=256"}); }), {"at once"}));
  for (const char* bad : {"batch", "=100", "batch=", "batch=100,", ""}) {
    EXPECT_TRUE(contains(usage_error([&] { parse_filter({bad}); }), {"KEY=VALUE"})) << bad;
  }
}

Row measured_row(const std::string& metric, std::vector<double> values, double limit) {
  Row r;
  r.keys = {{"suite", "update"}, {"backend", "cpu"}, {"network", "2x64"}, {"metric", metric}};
  r.values = std::move(values);
  r.statistics = statistics_of(r.values);
  r.limit = limit;
  if (limit > 0.0) r.limit_from = "sgemm m=100";
  return r;
}

TEST(BenchReport, JsonHasTheKeysAndNoOthers) {
  Row absent = measured_row("updates_per_second", {}, 0.0);
  absent.not_measured = "no library";
  Row updates = measured_row("updates_per_second", {90.0, 80.0, 100.0}, 120.0);
  updates.flop = 2.0;
  updates.samples = 100.0;
  const ordered_json j =
      report_json({{"cpu", "X"}}, {updates, measured_row("seconds", {0.5}, 0.25), absent});
  EXPECT_EQ(j["machine"]["cpu"], "X");
  const ordered_json expected = {{"suite", "update"},
                                 {"backend", "cpu"},
                                 {"network", "2x64"},
                                 {"metric", "updates_per_second"},
                                 {"repeats", 3},
                                 {"median", 90.0},
                                 {"min", 80.0},
                                 {"max", 100.0},
                                 {"spread", 10.0 / 90.0},
                                 {"limit", 120.0},
                                 {"limit_from", "sgemm m=100"},
                                 {"percent_of_limit", 75.0},
                                 {"flop_per_second", 180.0},
                                 {"samples_per_second", 9000.0}};
  EXPECT_EQ(j["rows"][0], expected);
  Row seeds = measured_row("seconds_until_solved", {0.5, 0.25}, 0.0);
  seeds.returns = {-150.0, std::nan("")};
  seeds.unsolved = 1;
  const ordered_json race = report_json({}, {seeds})["rows"][0];
  EXPECT_EQ(ordered_json::parse(race.dump())["returns"], ordered_json({-150.0, nullptr}));
  EXPECT_EQ(race["unsolved"], 1);
  std::ostringstream table;
  print_table({}, {seeds}, table);
  EXPECT_TRUE(std::regex_search(table.str(), std::regex("2 +1 +nan +nan\\n"))) << table.str();
  EXPECT_EQ(j["rows"][1]["percent_of_limit"], 50.0);  // half as fast as it could be
  EXPECT_EQ(j["rows"][2]["not_measured"], "no library");
  EXPECT_FALSE(j["rows"][2].contains("median"));
  // What is not a figure is what the rows are told apart by.
  for (const auto& [key, value] : expected.items()) {
    EXPECT_EQ(is_figure(key),
              key != "suite" && key != "backend" && key != "network" && key != "metric");
  }
}

TEST(BenchReport, TheTableHasEveryRow) {
  Row absent = measured_row("seconds", {}, 0.0);
  absent.not_measured = "no library";
  std::ostringstream out;
  Row updates = measured_row("updates_per_second", {8540.0}, 10000.0);
  print_table({{"cpu", "X"}}, {updates, absent}, out);
  EXPECT_TRUE(contains(out.str(), {"cpu: X", "update, cpu", "8.54 k", "85.4%", "not measured"}));
  EXPECT_FALSE(contains(out.str(), {"FLOP/s"}) || contains(out.str(), {"samples/s"}));
  updates.flop = 1e6;
  updates.samples = 100.0;
  print_table({{"cpu", "X"}}, {updates, absent}, out);
  EXPECT_TRUE(contains(out.str(), {"FLOP/s", "8.54 G", "samples/s", "854 k"}));
}

TEST(BenchReport, PrefixesFollowTheRoundedNumber) {
  EXPECT_EQ(with_prefix(97.34e9), "97.3 G");
  EXPECT_EQ(with_prefix(999.7), "1.00 k");
  EXPECT_EQ(with_prefix(1.5), "1.50");
  EXPECT_EQ(with_prefix(12.5e-6), "12.5 u");
  EXPECT_EQ(with_prefix(1000.0), "1.00 k");
  EXPECT_EQ(with_prefix(0.0), "0");
  EXPECT_EQ(with_prefix(std::numeric_limits<double>::infinity()), "inf");
}

// A report of one row for each median, all of the same spread; the batch tells the rows apart.
ordered_json report_of(const std::vector<double>& medians, double spread,
                       const std::string& metric = "updates_per_second") {
  ordered_json rows = ordered_json::array();
  int batch = 0;
  for (const double m : medians) {
    rows.push_back({{"suite", "update"},
                    {"batch", ++batch},
                    {"metric", metric},
                    {"median", m},
                    {"min", m},
                    {"max", m},
                    {"spread", spread}});
  }
  return {{"machine", {{"cpu", "X"}}}, {"rows", rows}};
}

Verdict verdict(double before, double after, double spread, const std::string& metric) {
  const auto all = compare_reports(report_of({before}, spread, metric),
                                   report_of({after}, spread, metric), "a", "b");
  EXPECT_EQ(all.size(), 1u);
  return all[0].verdict;
}

TEST(BenchCompare, ARegressionIsOverFivePercentAndOverTheNoise) {
  const std::string rate = "updates_per_second";
  EXPECT_EQ(verdict(100.0, 96.0, 0.0, rate), Verdict::kSame);
  EXPECT_EQ(verdict(100.0, 94.0, 0.0, rate), Verdict::kSlower);
  EXPECT_EQ(verdict(100.0, 94.0, 0.02, rate), Verdict::kSlower);  // noise 4%
  EXPECT_EQ(verdict(100.0, 94.0, 0.035, rate), Verdict::kSame);   // noise 7%
  EXPECT_EQ(verdict(100.0, 92.0, 0.035, rate), Verdict::kSlower);
  EXPECT_EQ(verdict(100.0, 106.0, 0.0, rate), Verdict::kFaster);
  EXPECT_EQ(verdict(100.0, 106.0, 0.035, rate), Verdict::kSame);
}

TEST(BenchCompare, OfSecondsLessIsBetter) {
  EXPECT_EQ(verdict(1.0, 1.1, 0.0, "seconds"), Verdict::kSlower);
  EXPECT_EQ(verdict(1.0, 0.9, 0.0, "seconds"), Verdict::kFaster);
  EXPECT_EQ(verdict(1.0, 1.1, 0.0, "seconds_until_solved"), Verdict::kSlower);
  EXPECT_EQ(verdict(1.0, 1.1, 0.0, "steps_until_solved"), Verdict::kSlower);
  ordered_json solved = report_of({1.0}, 0.0, "seconds_until_solved");
  ordered_json vain = report_of({0.5}, 0.0, "seconds_until_solved");
  solved["rows"][0]["unsolved"] = 0;
  vain["rows"][0]["unsolved"] = 1;
  EXPECT_EQ(compare_reports(solved, vain, "a", "b").at(0).verdict, Verdict::kSlower);
  const auto all =
      compare_reports(report_of({1.0}, 0.0, "seconds"), report_of({2.0}, 0.0, "seconds"), "a", "b");
  EXPECT_EQ(all[0].ratio, 0.5);
}

TEST(BenchCompare, NanFails) {
  constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
  constexpr double kInf = std::numeric_limits<double>::infinity();
  for (const double bad : {kNan, kInf, 0.0, -1.0}) {
    EXPECT_EQ(verdict(100.0, bad, 0.01, "updates_per_second"), Verdict::kNotFinite) << bad;
    EXPECT_EQ(verdict(bad, 100.0, 0.01, "updates_per_second"), Verdict::kNotFinite) << bad;
  }
  EXPECT_EQ(verdict(100.0, 100.0, kNan, "updates_per_second"), Verdict::kNotFinite);
  ordered_json null = report_of({100.0}, 0.01);
  null["rows"][0]["median"] = nullptr;  // what a writer of JSON makes of a NaN
  EXPECT_EQ(compare_reports(report_of({100.0}, 0.01), null, "a", "b")[0].verdict,
            Verdict::kNotFinite);
}

TEST(BenchCompare, RowsOfOneReportAlone) {
  ordered_json unmeasured = report_of({100.0, 200.0}, 0.01);
  unmeasured["rows"][1] = {{"suite", "update"},
                           {"batch", 2},
                           {"metric", "updates_per_second"},
                           {"not_measured", "no library"}};
  const auto less = compare_reports(report_of({100.0, 200.0}, 0.01), unmeasured, "a", "b");
  ASSERT_EQ(less.size(), 2u);
  EXPECT_EQ(less[0].verdict, Verdict::kSame);
  EXPECT_EQ(less[1].verdict, Verdict::kOnlyFirst);
  const auto more =
      compare_reports(report_of({100.0}, 0.01), report_of({100.0, 1.0}, 0.01), "a", "b");
  ASSERT_EQ(more.size(), 2u);
  EXPECT_EQ(more[1].verdict, Verdict::kOnlySecond);
  EXPECT_EQ(more[1].keys["batch"], 2);
}

TEST(BenchCompare, WhatIsNoReportIsNamed) {
  for (const ordered_json& bad : {ordered_json(), ordered_json::object(), ordered_json{{"rows", 3}},
                                  ordered_json{{"rows", {{{"suite", "update"}}}}}}) {
    const std::string says =
        usage_error([&] { compare_reports(report_of({1.0}, 0.0), bad, "a.json", "b.json"); });
    EXPECT_TRUE(contains(says, {"b.json", "no report"}));
  }
}

// The rows of every suite differ from each other, and name what the report promises.
TEST(BenchSuites, RowsAreToldApart) {
  for (const Sizes sizes : {Sizes::kFull, Sizes::kShort, Sizes::kTiny}) {
    Target target;
    target.threads = {1, 2};
    target.sizes = sizes;
    std::vector<Keys> all;
    for (const std::string& suite : suite_names()) {
      const std::vector<Case> cases = suite_cases(suite, target);
      EXPECT_FALSE(cases.empty());
      for (const Case& c : cases) {
        EXPECT_EQ(c.keys["suite"], suite);
        for (const char* key : {"case", "backend", "threads"}) EXPECT_TRUE(c.keys.contains(key));
        for (const Keys& other : all) EXPECT_NE(c.keys, other);
        all.push_back(c.keys);
        for (const Quantity& q : c.quantities) {
          const bool none = suite == "machine" || (suite == "race" && q.metric != "seconds");
          EXPECT_EQ(q.caps.empty(), none) << c.keys << q.metric;
        }
      }
    }
  }
}

}  // namespace
}  // namespace pendula
