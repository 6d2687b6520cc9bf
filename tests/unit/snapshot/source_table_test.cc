#include "snapshot/source_table.h"

#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace headgate {
namespace {

using namespace std::chrono_literals;

struct Remembered {
  TimePoint until;
  std::uint64_t value;
  [[nodiscard]] TimePoint forgettable() const { return until; }
};
using Table = SourceTable<Remembered>;

void remember(Table& table, SourceNetwork source, TimePoint until) {
  table.with(source, [&](Remembered& record) { record = {.until = until, .value = source + 1}; });
}

bool knows(Table& table, SourceNetwork source) {
  return table.with(source, [&](const Remembered& record) { return record.value == source + 1; });
}

TEST(SourceTable, RemembersARecordOfEachSource) {
  Table table;
  EXPECT_FALSE(knows(table, 0)) << "a unix socket's clients and ::/64 are the source 0";
  for (SourceNetwork source = 0; source < 200; ++source) remember(table, source, TimePoint(1h));
  for (SourceNetwork source = 0; source < 200; ++source) EXPECT_TRUE(knows(table, source)) << source;
  EXPECT_FALSE(knows(table, 200));
}

TEST(SourceTable, ForgetsThoseFirstThatHaveNothingMoreToSay) {
  Table table;
  for (SourceNetwork source = 0; source < 100; ++source) remember(table, source, TimePoint(2h));
  for (SourceNetwork flood = 1000; flood < 1000 + 4 * Table::kSources; ++flood)
    remember(table, flood, TimePoint(1h));
  for (SourceNetwork source = 0; source < 100; ++source) EXPECT_TRUE(knows(table, source)) << source;
}

TEST(SourceTable, ForgetsNothingForAQuestionAboutAnUnknownSource) {
  Table table;
  for (SourceNetwork source = 1; source <= Table::kSources; ++source) remember(table, source, TimePoint(1h));
  const auto known = [&] {
    std::size_t count = 0;
    for (SourceNetwork source = 1; source <= Table::kSources; ++source)
      table.with_known(source,
                       [&](const Remembered& record) { count += record.value == source + 1 ? 1 : 0; });
    return count;
  };
  const std::size_t before = known();
  EXPECT_GT(before, Table::kSources / 2);
  for (SourceNetwork other = 1; other <= Table::kSources; ++other)
    table.with_known(other << 20U, [](Remembered& record) { record.value = 0; });
  EXPECT_EQ(known(), before);
}

TEST(SourceTable, MayBeUsedByManyThreads) {
  Table table;
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&] {
        for (SourceNetwork source = 0; source < 200; ++source)
          table.with(source, [](Remembered& record) {
            ++record.value;
            record.until = TimePoint(1h);
          });
      });
    }
  }
  for (SourceNetwork source = 0; source < 200; ++source)
    EXPECT_EQ(table.with(source, [](const Remembered& record) { return record.value; }), 4U) << source;
}

}  // namespace
}  // namespace headgate
