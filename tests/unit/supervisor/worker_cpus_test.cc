#include "supervisor/worker_cpus.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace headgate {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

CpuSet cpus(std::initializer_list<std::size_t> numbers) {
  CpuSet set;
  for (const std::size_t number : numbers) set.add(number);
  return set;
}

config::Config with(int workers, std::vector<config::CpuRange> ranges) {
  config::Config config;
  config.workers = workers;
  config.worker_cpus = std::move(ranges);
  return config;
}

TEST(WorkerCpus, BindNoWorkerUnlessTheyAreGiven) {
  const auto plan = plan_workers(with(3, {}), cpus({0, 1}));
  ASSERT_TRUE(plan.has_value());
  EXPECT_EQ(plan->count, 3U);
  EXPECT_THAT(plan->cpus, IsEmpty());
  EXPECT_EQ(plan->cpu_of(0), std::nullopt);
}

TEST(WorkerCpus, HaveAWorkerEachUnlessACountIsGiven) {
  const auto plan = plan_workers(with(0, {{8191, 8191}, {2, 4}}), cpus({2, 3, 4, 8191}));
  ASSERT_TRUE(plan.has_value());
  EXPECT_EQ(plan->count, 4U);
  EXPECT_THAT(plan->cpus, ElementsAre(8191, 2, 3, 4));
  EXPECT_EQ(plan->all.count(), 4);
}

TEST(WorkerCpus, AreGivenInTurn) {
  const auto plan = plan_workers(with(3, {{0, 1}}), cpus({0, 1}));
  ASSERT_TRUE(plan.has_value());
  EXPECT_EQ(plan->cpu_of(0), 0U);
  EXPECT_EQ(plan->cpu_of(1), 1U);
  EXPECT_EQ(plan->cpu_of(2), 0U);
}

TEST(WorkerCpus, GetTheConnectionsThatTheyReceiveWhereThatIsAskedFor) {
  auto config = with(2, {{0, 1}});
  EXPECT_FALSE(plan_workers(config, cpus({0, 1}))->incoming);
  config.worker_incoming_cpu = true;
  EXPECT_TRUE(plan_workers(config, cpus({0, 1}))->incoming);
}

TEST(WorkerCpus, AreAmongThoseOfTheProcess) {
  const auto plan = plan_workers(with(0, {{0, 3}}), cpus({0, 1}));
  ASSERT_FALSE(plan.has_value());
  EXPECT_EQ(plan.error().what, "workers.cpus: CPU 2 is none that this process may use; it may use 0, 1");
}

}  // namespace
}  // namespace headgate
