// Edit distance and the nearest words.
#include "host/suggest.h"

#include <gtest/gtest.h>

namespace pendula {
namespace {

TEST(Suggest, EditDistance) {
  EXPECT_EQ(edit_distance("", ""), 0);
  EXPECT_EQ(edit_distance("", "abc"), 3);
  EXPECT_EQ(edit_distance("gamma", "gamma"), 0);
  EXPECT_EQ(edit_distance("gama", "gamma"), 1);
  EXPECT_EQ(edit_distance("gammma", "gamma"), 1);
  EXPECT_EQ(edit_distance("gomma", "gamma"), 1);
  EXPECT_EQ(edit_distance("gmama", "gamma"), 1);  // two neighbours swapped: one edit
  EXPECT_EQ(edit_distance("ca", "abc"), 3);       // 2 if letters could go between swapped ones
  EXPECT_EQ(edit_distance("Gamma", "gAMMA"), 0);
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3);
}

TEST(Suggest, NearestGivesTheBestAndOnlyThose) {
  const std::vector<std::string> known = {"beta1", "beta2", "eps", "sigma"};
  EXPECT_EQ(nearest("beta3", known, 2), (std::vector<std::string>{"beta1", "beta2"}));
  // "beta1" comes first at a distance of 2, "beta2" has 1.
  EXPECT_EQ(nearest("bta2", known, 3), (std::vector<std::string>{"beta2"}));
  EXPECT_EQ(nearest("zzzz", known, 2), std::vector<std::string>{});
  EXPECT_EQ(nearest(std::string(100000, 'a'), known, 3), std::vector<std::string>{});
}

TEST(Suggest, Sentence) {
  EXPECT_EQ(did_you_mean({}), "");
  EXPECT_EQ(did_you_mean({"a", "b"}), "; did you mean \"a\" or \"b\"?");
}

}  // namespace
}  // namespace pendula
