#include "base/server_name.h"

#include <string>

#include <gtest/gtest.h>

namespace headgate {
namespace {

TEST(NormalName, IsInLowerCaseWithoutAFinalDot) {
  EXPECT_EQ(NormalName("WWW.Example.COM.").view(), "www.example.com");
  EXPECT_EQ(NormalName("a").view(), "a");
}

TEST(NormalName, IsEmptyForATextThatIsNoName) {
  for (const char* text : {"", ".", "..", ".a", "a..b", "a..."})
    EXPECT_EQ(NormalName(text).view(), "") << text;
  EXPECT_EQ(NormalName(std::string(255, 'a')).view().size(), 255U);
  EXPECT_EQ(NormalName(std::string(256, 'a')).view(), "");
}

class Patterns : public testing::Test {
 protected:
  Patterns() {
    patterns_.add("Admin.example.com", 1);
    patterns_.add("*.example.com.", 2);
    patterns_.add("b.example.com", 3);
    patterns_.add("c.example.org", 4);
    patterns_.add("*.example.org", 4);
    patterns_.add("d.example.org", 5);
  }
  [[nodiscard]] int find(const std::string& name) const {
    return static_cast<int>(patterns_.find(name).value_or(0));
  }
  NamePatterns patterns_;
};

TEST_F(Patterns, HaveANameWhateverItsSpelling) {
  EXPECT_EQ(find("admin.example.com"), 1);
  EXPECT_EQ(find("ADMIN.Example.com."), 1);
}

TEST_F(Patterns, AreTakenInTheOrderOfTheirLists) {
  EXPECT_EQ(find("b.example.com"), 2) << "the wildcard comes first";
  EXPECT_EQ(find("c.example.org"), 4);
  EXPECT_EQ(find("d.example.org"), 4);
}

TEST_F(Patterns, TakeAStarForOneLabel) {
  EXPECT_EQ(find("x.example.com"), 2);
  EXPECT_EQ(find("x.y.example.com"), 0);
  EXPECT_EQ(find("example.com"), 0);
}

TEST_F(Patterns, HaveNoTextThatIsNoName) {
  for (const char* text : {"", ".", "..example.com", ".example.com", "x..example.com"})
    EXPECT_EQ(find(text), 0);
}

}  // namespace
}  // namespace headgate
