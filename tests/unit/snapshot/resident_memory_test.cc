#include "snapshot/resident_memory.h"

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>

#include <gtest/gtest.h>

#include "snapshot/process_counters.h"

namespace headgate {
namespace {

constexpr TimePoint kNow{std::chrono::hours(1)};

/// A file in the form of /proc/PID/statm.
class Statm {
 public:
  Statm() {
    const int fd = ::mkstemp(name_.data());
    EXPECT_GE(fd, 0);
    const Fd closed(fd);
  }
  ~Statm() { std::remove(name_.c_str()); }
  Statm(const Statm&) = delete;
  Statm& operator=(const Statm&) = delete;
  [[nodiscard]] const char* name() const { return name_.c_str(); }
  void says(const std::string& text) const { std::ofstream(name_) << text; }

 private:
  std::string name_ = testing::TempDir() + "statm-XXXXXX";
};

TEST(ResidentMemory, IsThatOfTheProcess) {
  const Bytes size = ResidentMemory().size(kNow);
  EXPECT_GT(size, 1_MiB);
}

TEST(ResidentMemory, IsReadAgainOnlyAfterAWhile) {
  const Statm file;
  ResidentMemory memory(file.name());
  file.says("100 2 1 1 0 50 0\n");
  const Bytes one = memory.size(kNow);
  EXPECT_GT(one.count, 0U);
  file.says("100 4 1 1 0 50 0\n");
  EXPECT_EQ(memory.size(kNow + ResidentMemory::kInterval / 2), one);
  EXPECT_EQ(memory.size(kNow + ResidentMemory::kInterval), Bytes{2 * one.count});
}

TEST(ResidentMemory, IsNoneWhereTheSystemDoesNotTell) {
  EXPECT_EQ(ResidentMemory("/nowhere").size(kNow), Bytes{});
  for (const char* text : {"", " ", "100", "100 ", "100 x", "\n", "100 -4 1"})
    EXPECT_EQ(resident_pages(text), 0U);
  EXPECT_EQ(resident_pages("100 77 1 1 0 50 0\n"), 77U);
}

TEST(ProcessCounters, AreNearALimitOfMemoryAtNineTenthsOfIt) {
  EXPECT_EQ(ProcessCounters::near(100_MiB), 90_MiB);
  ProcessCounters counters;
  EXPECT_FALSE(counters.is_near(Bytes{}, kNow)) << "0 is no limit";
  EXPECT_TRUE(counters.is_near(1_MiB, kNow));
  EXPECT_FALSE(counters.is_near({1ULL << 50U}, kNow));
}

}  // namespace
}  // namespace headgate
