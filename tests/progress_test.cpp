// The progress display with a clock and a stream of our own.
#include "host/progress.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <regex>
#include <sstream>
#include <vector>

#include "tests/contains.h"

namespace pendula {
namespace {

using Mode = ProgressOptions::Mode;

// Without the spaces that cover a longer line before it.
std::string trimmed(const std::string& line) {
  return line.substr(0, line.find_last_not_of(' ') + 1);
}

class ProgressTest : public ::testing::Test {
 protected:
  Progress make(Mode mode, bool colour = false) {
    ProgressOptions options;
    options.mode = mode;
    options.colour = colour;
    options.width = [this] { return width_; };
    options.clock = [this] { return time_; };
    return Progress(out_, options);
  }
  // 1000 steps and 500 updates per second.
  ProgressState state() const {
    const auto steps = static_cast<uint64_t>(time_ * 1000);
    return {steps, 20000, steps / 2, -1234.5678, -150.25};
  }
  size_t count(char c) const {
    const std::string text = out_.str();
    return static_cast<size_t>(std::count(text.begin(), text.end(), c));
  }
  std::string last_line() const {
    std::string text = out_.str();
    while (!text.empty() && text.back() == '\n') text.pop_back();
    return text.substr(text.find_last_of("\r\n") + 1);
  }

  std::ostringstream out_;
  double time_ = 0;
  int width_ = 200;
};

TEST_F(ProgressTest, TerminalRewritesOneLineAtMostTenTimesASecond) {
  Progress progress = make(Mode::kTerminal);
  double last_draw = -1;
  size_t draws = 0;
  for (int i = 0; i <= 3000; ++i) {
    time_ = i * 0.001;
    i % 7 == 0 ? progress.evaluated(state()) : progress.update(state());
    if (count('\r') > draws) {
      EXPECT_GE(time_ - last_draw, 0.1 - 1e-9);
      last_draw = time_;
      draws = count('\r');
    }
  }
  EXPECT_GE(draws, 29u);
  EXPECT_LE(draws, 31u);
  EXPECT_EQ(count('\n'), 0u);
  progress.finish(state());
  EXPECT_EQ(count('\n'), 1u);
  EXPECT_EQ(trimmed(last_line()),
            " 15%  3,000/20,000  1k steps/s  500 updates/s  train -1235  eval -150.2  ETA 0:17");
}

TEST_F(ProgressTest, PlainIsALineASecondAndOnePerEvaluation) {
  Progress progress = make(Mode::kPlain);
  for (int i = 0; i <= 100; ++i) {
    time_ = i * 0.05;
    progress.update(state());
  }
  EXPECT_EQ(count('\n'), 6u);  // at 0, 1, ..., 5 s
  time_ += 0.01;
  progress.evaluated(state());
  EXPECT_EQ(count('\n'), 7u);
  progress.finish(state());
  EXPECT_EQ(count('\n'), 8u);
  EXPECT_EQ(count('\r'), 0u);
  EXPECT_EQ(count('\x1b'), 0u);
  EXPECT_TRUE(contains(last_line(), {"1k steps/s", "ETA"}));
}

TEST_F(ProgressTest, QuietSaysNothing) {
  Progress progress = make(Mode::kQuiet);
  progress.update(state());
  progress.evaluated(state());
  progress.clear();
  progress.finish(state());
  EXPECT_EQ(out_.str(), "");
}

TEST_F(ProgressTest, FitsEveryWidthAndDropsTheLeastFirst) {
  for (width_ = 0; width_ < 120; ++width_) {
    out_.str("");
    time_ = 0;
    Progress progress = make(Mode::kTerminal);
    progress.update(state());
    for (int i = 1; i < 5; ++i) {
      time_ = i;
      progress.update(state());
    }
    std::istringstream lines(out_.str());
    for (std::string drawn; std::getline(lines, drawn, '\r');) {
      ASSERT_LT(drawn.size(), static_cast<size_t>(std::max(width_, 2)));
    }
    if (width_ == 30) {
      EXPECT_EQ(trimmed(last_line()), " 20%  eval -150.2  ETA 0:16");
    }
  }
}

TEST_F(ProgressTest, AShorterLineCoversTheLongerOneAndClearEmptiesIt) {
  Progress progress = make(Mode::kTerminal);
  progress.update({0, 20000, 0, -1234.5, -1234.5});
  const size_t longer = last_line().size();
  time_ = 1;
  progress.update({0, 20000, 0, {}, {}});
  EXPECT_EQ(last_line().size(), longer);
  EXPECT_TRUE(contains(last_line(), {"0/20,000   "}));
  out_.str("");
  progress.clear();
  EXPECT_TRUE(std::regex_match(out_.str(), std::regex("\r +\r")));
  progress.clear();
  EXPECT_EQ(count('\r'), 2u);
}

TEST_F(ProgressTest, ColourAddsNoColumns) {
  Progress plain = make(Mode::kTerminal), coloured = make(Mode::kTerminal, true);
  plain.update(state());
  const std::string expected = last_line();
  out_.str("");
  coloured.update(state());
  EXPECT_TRUE(contains(last_line(), {"\x1b[1m", "\x1b[32m", "\x1b[0m"}));
  EXPECT_EQ(std::regex_replace(last_line(), std::regex("\x1b\\[[0-9]*m"), ""), expected);
}

TEST_F(ProgressTest, AgentsThatDivergedAreCounted) {
  Progress progress = make(Mode::kPlain);
  ProgressState now = state();
  now.agents = 1000;
  progress.finish(now);
  EXPECT_EQ(last_line().find("diverged"), std::string::npos);
  now.diverged = 3;
  progress.finish(now);
  EXPECT_TRUE(contains(last_line(), {"eval -150.2  3 of 1000 agents diverged"}));
}

TEST_F(ProgressTest, AHundredPercentIsTheEndAlone) {
  Progress progress = make(Mode::kTerminal);
  progress.update({19999, 20000, 0, {}, {}});
  EXPECT_TRUE(contains(last_line(), {" 99%"}));
  progress.finish({20000, 20000, 0, {}, {}});
  EXPECT_TRUE(contains(last_line(), {"100%"}));
}

// After a resume the rate counts from the first state, and old speed is forgotten.
TEST_F(ProgressTest, RateIsThatOfTheLastSeconds) {
  Progress progress = make(Mode::kTerminal);
  uint64_t steps = 1000000;
  for (int i = 0; i <= 400; ++i) {
    time_ = i * 0.1;
    progress.update({steps, 100000000, 0, {}, {}});
    if (i == 100) {
      EXPECT_TRUE(contains(last_line(), {"  100 steps/s"}));
    }
    steps += i < 200 ? 10 : 2000;
  }
  EXPECT_TRUE(contains(last_line(), {"  20k steps/s"}));
}

TEST_F(ProgressTest, EnvironmentDecidesOnColour) {
  ::setenv("NO_COLOR", "1", 1);
  EXPECT_FALSE(stderr_progress(false).colour);
  ::unsetenv("NO_COLOR");
  EXPECT_EQ(stderr_progress(true).mode, Mode::kQuiet);
  EXPECT_GT(stderr_progress(false).width(), 0);
  const auto clock = stderr_progress(false).clock;
  const double first = clock();
  EXPECT_GE(clock(), first);
}

}  // namespace
}  // namespace pendula
