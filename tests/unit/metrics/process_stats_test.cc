#include "metrics/process_stats.h"

#include <fcntl.h>
#include <unistd.h>

#include <chrono>
#include <string>

#include <gtest/gtest.h>

namespace headgate {
namespace {

constexpr std::string_view kStat =
    "4242 (a) b) c) S 1 4242 4242 0 -1 4194560 987 0 0 0 150 50 0 0 20 0 7 0 12300 104857600 2560 "
    "18446744073709551615 1";

TEST(ProcStat, GivesTheNumbersWhateverTheProgramIsCalled) {
  const auto numbers = parse_proc_stat(kStat, 100, 4096);
  ASSERT_TRUE(numbers.has_value());
  EXPECT_DOUBLE_EQ(numbers->cpu_seconds, 2.0);
  EXPECT_DOUBLE_EQ(numbers->start_time_seconds, 123.0);
  EXPECT_EQ(numbers->threads, 7U);
  EXPECT_EQ(numbers->virtual_bytes, 104857600U);
  EXPECT_EQ(numbers->resident_bytes, 2560U * 4096U);
}

TEST(ProcStat, IsRefusedWhenItIsCutShort) {
  const std::size_t resident_at = kStat.find(" 2560 ");
  for (std::size_t size = 0; size <= resident_at; ++size) {
    EXPECT_FALSE(parse_proc_stat(kStat.substr(0, size), 100, 4096).has_value()) << size;
  }
}

TEST(ProcessStats, CountsOpenDescriptors) {
  const ProcessStats stats;
  const auto before = stats.read().open_fds;
  const int extra = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  EXPECT_EQ(stats.read().open_fds, before + 1);
  ::close(extra);
  EXPECT_EQ(stats.read().open_fds, before);
}

TEST(ProcessStats, KnowsWhenTheProcessStarted) {
  const std::chrono::duration<double> now = std::chrono::system_clock::now().time_since_epoch();
  const auto numbers = ProcessStats().read();
  EXPECT_LE(numbers.start_time_seconds, now.count() + 1);
  EXPECT_GE(numbers.start_time_seconds, now.count() - 3600);
  EXPECT_GT(numbers.resident_bytes, 0U);
  EXPECT_GT(numbers.max_fds, 0U);
}

}  // namespace
}  // namespace headgate
