// What the tests of the config share: parse a text, and look at the lines of the error.
#pragma once

#include <gtest/gtest.h>

#include <sstream>
#include <string>
#include <vector>

#include "host/config_io.h"
#include "host/error.h"

namespace pendula {

// The lines of the error that parsing gives; none for a good config.
inline std::vector<std::string> problems_of(const std::string& text,
                                            const std::vector<std::string>& overrides = {}) {
  std::vector<std::string> lines;
  try {
    parse_config(text, "f", overrides);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kUsage) << error.what();
    std::istringstream stream(error.what());
    for (std::string line; std::getline(stream, line);) lines.push_back(line);
    EXPECT_FALSE(lines.empty()) << "an error without a word";
  }
  return lines;
}

// The config has exactly one problem; its line begins and goes on as given.
inline void expect_problem(const std::string& text, const std::string& begin,
                           const std::string& part = "",
                           const std::vector<std::string>& overrides = {}) {
  const std::vector<std::string> lines = problems_of(text, overrides);
  ASSERT_EQ(lines.size(), 1u) << text << (lines.empty() ? "" : "\n" + lines[0] + "\n...");
  EXPECT_EQ(lines[0].substr(0, begin.size()), begin) << lines[0];
  EXPECT_NE(lines[0].find(part), std::string::npos) << lines[0] << "\nlacks " << part;
}

}  // namespace pendula
