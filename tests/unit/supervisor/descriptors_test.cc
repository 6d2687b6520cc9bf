#include "supervisor/descriptors.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <fstream>
#include <functional>
#include <string>

#include <gtest/gtest.h>

#include "unit/supervisor/child_process.h"

namespace headgate {
namespace {

// How many descriptors the kernel's table of this process has room for: proc_pid_status(5).
int descriptors_that_fit() {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;) {
    int size = 0;
    if (word == "FDSize:" && status >> size) return size;
  }
  return -1;
}

void limit_descriptors(rlim_t limit) {
  const rlimit both{limit, limit};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &both), 0);
}

// A table does not shrink, so each test has a process of its own. True when `body` ended without a failure.
bool passes_in_child(const std::function<void()>& body) {
  const pid_t child = ::fork();
  if (child == 0) {
    body();
    ::_exit(testing::Test::HasFailure() ? 1 : 0);
  }
  return exit_code_of(child) == 0;
}

TEST(DescriptorLimitTest, IsRaisedToTheHardOne) {
  EXPECT_TRUE(passes_in_child([] {
    rlimit limit{};
    ::getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = 64;
    ::setrlimit(RLIMIT_NOFILE, &limit);
    const auto raised = raise_descriptor_limit();
    ::getrlimit(RLIMIT_NOFILE, &limit);
    EXPECT_TRUE(raised);
    EXPECT_EQ(*raised, limit.rlim_max);
    EXPECT_EQ(limit.rlim_cur, limit.rlim_max);
  }));
}

TEST(DescriptorTableTest, HasTheRoomThatWasAskedFor) {
  EXPECT_TRUE(passes_in_child([] {
    DescriptorTable table;
    table.make(1024);
    EXPECT_GE(descriptors_that_fit(), 1024);
    EXPECT_LT(descriptors_that_fit(), 4096);
  }));
}

TEST(DescriptorTableTest, EndsAtTheLimitOfDescriptors) {
  EXPECT_TRUE(passes_in_child([] {
    limit_descriptors(600);
    DescriptorTable table;
    table.make(65'536);
    EXPECT_GE(descriptors_that_fit(), 600);
    EXPECT_LE(descriptors_that_fit(), 1024);
  }));
}

TEST(DescriptorTableTest, GrowsOnceHalfOfItIsInUse) {
  EXPECT_TRUE(passes_in_child([] {
    DescriptorTable table;
    table.make(512);
    const int before = descriptors_that_fit();
    table.grow_ahead();
    EXPECT_EQ(descriptors_that_fit(), before);
    while (::dup(0) < 256) continue;
    table.grow_ahead();
    EXPECT_GE(descriptors_that_fit(), 1024);
  }));
}

TEST(DescriptorTableTest, StaysAsItIsWhenNoDescriptorIsLeft) {
  EXPECT_TRUE(passes_in_child([] {
    limit_descriptors(200);
    DescriptorTable table;
    table.make(64);
    while (::dup(0) >= 0) continue;
    table.grow_ahead();
    EXPECT_EQ(::open("/", O_PATH), -1);
  }));
}

}  // namespace
}  // namespace headgate
