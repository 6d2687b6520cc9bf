#include "supervisor/cpu_count.h"

#include <sched.h>

#include <thread>

#include <gtest/gtest.h>

#include "unit/supervisor/temporary_directory.h"

namespace headgate {
namespace {

constexpr std::string_view kVersionTwo =
    "31 24 0:28 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw\n";
constexpr std::string_view kVersionOne =
    "30 23 0:29 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n"
    "31 23 0:30 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu,cpuacct\n";

TEST(CpuCount, HasNoQuotaWhereNoGroupSetsOne) {
  TemporaryDirectory root;
  EXPECT_EQ(quota_cpus(root.path()), std::nullopt);
  root.write("proc/self/mountinfo", kVersionTwo);
  root.write("proc/self/cgroup", "0::/\n");
  EXPECT_EQ(quota_cpus(root.path()), std::nullopt);
  root.write("sys/fs/cgroup/cpu.max", "max 100000\n");
  EXPECT_EQ(quota_cpus(root.path()), std::nullopt);
}

TEST(CpuCount, RoundsTheQuotaUp) {
  TemporaryDirectory root;
  root.write("proc/self/mountinfo", kVersionTwo);
  root.write("proc/self/cgroup", "0::/pod\n");
  root.write("sys/fs/cgroup/pod/cpu.max", "150000 100000\n");
  EXPECT_EQ(quota_cpus(root.path()), 2);
  root.write("sys/fs/cgroup/pod/cpu.max", "200000 100000\n");
  EXPECT_EQ(quota_cpus(root.path()), 2);
  root.write("sys/fs/cgroup/pod/cpu.max", "1000 100000\n");
  EXPECT_EQ(quota_cpus(root.path()), 1);
}

TEST(CpuCount, TakesTheLeastQuotaOfAllGroupsAbove) {
  TemporaryDirectory root;
  root.write("proc/self/mountinfo", kVersionTwo);
  root.write("proc/self/cgroup", "0::/slice/pod/container\n");
  root.write("sys/fs/cgroup/slice/cpu.max", "800000 100000\n");
  root.write("sys/fs/cgroup/slice/pod/cpu.max", "300000 100000\n");
  root.write("sys/fs/cgroup/slice/pod/container/cpu.max", "max 100000\n");
  root.write("sys/fs/cgroup/other/cpu.max", "100000 100000\n");
  EXPECT_EQ(quota_cpus(root.path()), 3);
}

TEST(CpuCount, ReadsTheQuotaOfVersionOne) {
  TemporaryDirectory root;
  root.write("proc/self/mountinfo", kVersionOne);
  root.write("proc/self/cgroup", "4:cpuset:/elsewhere\n3:cpu,cpuacct:/box\n0::/\n");
  root.write("sys/fs/cgroup/cpu/box/cpu.cfs_quota_us", "-1\n");
  root.write("sys/fs/cgroup/cpu/box/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(quota_cpus(root.path()), std::nullopt);
  root.write("sys/fs/cgroup/cpu/box/cpu.cfs_quota_us", "350000\n");
  EXPECT_EQ(quota_cpus(root.path()), 4);
}

TEST(CpuCount, FindsItsGroupWhereOnlyAPartOfTheHierarchyIsMounted) {
  TemporaryDirectory root;
  root.write("proc/self/mountinfo",
             "31 23 0:30 /docker/abc /sys/fs/cgroup/cpu ro - cgroup cgroup rw,cpuacct,cpu\n");
  root.write("proc/self/cgroup", "3:cpuacct,cpu:/docker/abc/inner\n");
  root.write("sys/fs/cgroup/cpu/inner/cpu.cfs_quota_us", "200000\n");
  root.write("sys/fs/cgroup/cpu/inner/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(quota_cpus(root.path()), 2);
}

TEST(CpuCount, ReadsTheTopOfTheMountWhenItsGroupLiesOutside) {
  TemporaryDirectory root;
  root.write("proc/self/mountinfo", "31 23 0:30 /docker/abc /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n");
  root.write("proc/self/cgroup", "0::/../def\n");
  root.write("sys/fs/cgroup/cpu.max", "100000 50000\n");
  EXPECT_EQ(quota_cpus(root.path()), 2);
}

TEST(CpuCount, HonoursTheAffinityOfTheCallingThread) {
  std::thread([] {
    cpu_set_t allowed;
    ASSERT_EQ(sched_getaffinity(0, sizeof allowed, &allowed), 0);
    int first = 0;
    while (!CPU_ISSET(first, &allowed)) ++first;
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(first, &one);
    ASSERT_EQ(sched_setaffinity(0, sizeof one, &one), 0);
    EXPECT_EQ(usable_cpus(), 1);
  }).join();
}

TEST(CpuCount, IsAtLeastOne) {
  EXPECT_GE(usable_cpus(), 1);
}

}  // namespace
}  // namespace headgate
