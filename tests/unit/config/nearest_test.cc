#include "config/nearest.h"

#include <string>

#include <gtest/gtest.h>

namespace headgate::config {
namespace {

TEST(Nearest, FindsWhatDiffersByALetterAddedLeftOutChangedOrSwapped) {
  for (const char* word : {"bindd", "bid", "bint", "bnid", "bind"})
    EXPECT_EQ(nearest(word, {"user", "bind"}), "bind");
}

TEST(Nearest, PrefersTheFewestChanges) {
  EXPECT_EQ(nearest("max_connection", {"connections", "max_connections"}), "max_connections");
}

TEST(Nearest, FindsNothingForAWordThatIsLikeNone) {
  EXPECT_EQ(nearest("colour", {"level", "format"}), std::nullopt);
  EXPECT_EQ(nearest("", {"level"}), std::nullopt);
  EXPECT_EQ(nearest("x", {"y"}), std::nullopt);
  EXPECT_EQ(nearest(std::string(100'000, 'x'), {"level"}), std::nullopt);
}

TEST(Nearest, AsksWhetherItWasMeant) {
  EXPECT_EQ(suggestion("levle", {"level"}), "; did you mean \"level\"?");
  EXPECT_EQ(suggestion("colour", {"level"}), "");
}

TEST(Enumeration, EndsWithItsConjunction) {
  EXPECT_EQ(enumeration({}, "or"), "");
  EXPECT_EQ(enumeration({"a"}, "or"), "a");
  EXPECT_EQ(enumeration({"a", "b"}, "or"), "a or b");
  EXPECT_EQ(enumeration({"a", "b", "c"}, "and"), "a, b and c");
}

}  // namespace
}  // namespace headgate::config
