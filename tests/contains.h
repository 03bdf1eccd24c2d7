// EXPECT_TRUE(contains(text, {"a", "b"})): every piece stands in the text; says which one does not.
#pragma once

#include <gtest/gtest.h>

#include <initializer_list>
#include <string>

namespace pendula {

inline ::testing::AssertionResult contains(const std::string& text,
                                           std::initializer_list<std::string> pieces) {
  for (const std::string& piece : pieces) {
    if (text.find(piece) == std::string::npos) {
      return ::testing::AssertionFailure() << "no \"" << piece << "\" in \"" << text << "\"";
    }
  }
  return ::testing::AssertionSuccess();
}

}  // namespace pendula
