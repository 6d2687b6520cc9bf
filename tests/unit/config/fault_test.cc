#include "config/fault.h"

#include <string>

#include <gtest/gtest.h>

namespace headgate::config {
namespace {

TEST(Fault, IsWrittenWithItsPlaceItsKeyAndWhatWouldBeRight) {
  EXPECT_EQ((Fault{"a.yaml", 3, 5, "workers", "write 4", false}).text(), "a.yaml:3:5: workers: write 4");
  EXPECT_EQ((Fault{"a.yaml", 3, 5, "workers", "write 4", true}).text(),
            "a.yaml:3:5: workers: warning: write 4");
  EXPECT_EQ((Fault{"a.yaml", 0, 0, "", "cannot be read", false}).text(), "a.yaml: cannot be read");
  EXPECT_EQ((Fault{"", 0, 0, "", "is left out", true}).text(), "warning: is left out");
}

TEST(Fault, StandsAtTheNearestKeyAroundItThatHasAPlace) {
  Faults faults("a.yaml");
  faults.place("", {1, 1});
  faults.place("listeners[0]", {2, 5});
  faults.add("listeners[0].tls.groups[3]", "first");
  faults.add("backends.app", "second");
  const auto taken = faults.take();
  ASSERT_EQ(taken.size(), 2u);
  EXPECT_EQ(taken[0].text(), "a.yaml:1:1: backends.app: second");
  EXPECT_EQ(taken[1].text(), "a.yaml:2:5: listeners[0].tls.groups[3]: first");
}

TEST(Fault, ConcernsTheKeysAroundItAndNotThoseThatBeginAlike) {
  Faults faults("a.yaml");
  faults.add("listeners[0].backend", "fault");
  faults.warn("listeners[1].bind", "warning");
  EXPECT_TRUE(faults.concern("listeners[0].backend"));
  EXPECT_TRUE(faults.concern("listeners[0]"));
  EXPECT_TRUE(faults.concern("listeners"));
  EXPECT_TRUE(faults.concern(""));
  EXPECT_FALSE(faults.concern("listeners[0].back"));
  EXPECT_FALSE(faults.concern("listeners[0].backend.x"));
  EXPECT_FALSE(faults.concern("listeners[1]"));
}

}  // namespace
}  // namespace headgate::config
