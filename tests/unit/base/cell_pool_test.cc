#include "base/cell_pool.h"

#include <array>
#include <cstdint>
#include <cstring>
#include <memory>
#include <set>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace headgate {
namespace {

constexpr std::size_t kCellBytes = 336;
constexpr std::size_t kPerPage = CellPool::cells_per_page(kCellBytes);

std::vector<void*> take(CellPool& pool, std::size_t count) {
  std::vector<void*> cells(count);
  for (void*& cell : cells) {
    cell = pool.take();
    std::memset(cell, 0xa5, kCellBytes);
  }
  return cells;
}

void give_back(const std::vector<void*>& cells) {
  for (void* cell : cells) CellPool::give_back(cell);
}

TEST(CellPool, CellsDoNotOverlap) {
  CellPool pool(kCellBytes);
  const auto cells = take(pool, 1000);
  const std::set<void*> ordered(cells.begin(), cells.end());
  ASSERT_EQ(ordered.size(), cells.size());
  std::uintptr_t end = 0;
  for (void* cell : ordered) {
    const auto begin = reinterpret_cast<std::uintptr_t>(cell);
    EXPECT_GE(begin, end);
    EXPECT_EQ(begin % 8, 0U);
    end = begin + kCellBytes;
  }
  give_back(cells);
}

TEST(CellPool, PagesAreFull) {
  CellPool pool(kCellBytes);
  const auto cells = take(pool, 10 * kPerPage);
  EXPECT_EQ(pool.cells_in_use(), 10 * kPerPage);
  EXPECT_EQ(pool.size_bytes(), 10 * CellPool::kPageBytes);
  give_back(cells);
}

TEST(CellPool, CellsAreUsedAgainBeforeANewPageIs) {
  CellPool pool(kCellBytes);
  auto cells = take(pool, 10 * kPerPage);
  for (std::size_t i = 0; i < cells.size(); i += 3) CellPool::give_back(cells[i]);
  for (std::size_t i = 0; i < cells.size(); i += 3) cells[i] = pool.take();
  EXPECT_EQ(pool.size_bytes(), 10 * CellPool::kPageBytes);
  give_back(cells);
}

TEST(CellPool, MemoryGoesBackWithTheLastCellOfItsPage) {
  CellPool pool(kCellBytes);
  give_back(take(pool, 1000 * kPerPage));
  EXPECT_EQ(pool.cells_in_use(), 0U);
  EXPECT_LE(pool.size_bytes(), CellPool::kSparePages * CellPool::kPageBytes);
}

TEST(CellPool, MemoryThatWentBackServesAgain) {
  CellPool pool(kCellBytes);
  for (int round = 0; round < 3; ++round) give_back(take(pool, 200 * kPerPage));
  EXPECT_LE(pool.size_bytes(), CellPool::kSparePages * CellPool::kPageBytes);
}

TEST(CellPool, GivingBackNothingIsAllowed) {
  CellPool::give_back(nullptr);
}

struct Pebble final : Pooled<Pebble> {
  std::array<std::uint64_t, 5> content{};
};

TEST(Pooled, ObjectsLieSideBySide) {
  const auto first = std::make_unique<Pebble>();
  const auto second = std::make_unique<Pebble>();
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(second.get()) - reinterpret_cast<std::uintptr_t>(first.get()),
            sizeof(Pebble));
}

TEST(Pooled, AnObjectMayOutliveItsThread) {
  std::vector<std::unique_ptr<Pebble>> left;
  std::thread([&left] {
    for (int i = 0; i < 500; ++i) left.push_back(std::make_unique<Pebble>());
    left.resize(300);
  }).join();
  for (const auto& pebble : left) EXPECT_EQ(pebble->content[4], 0U);
}

TEST(PooledDeathTest, AnotherThreadMayNotDestroyAnObjectWhileItsOwnGoesOn) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(
      {
        auto pebble = std::make_unique<Pebble>();
        std::thread([&pebble] { pebble.reset(); }).join();
      },
      "is_owner");
}

}  // namespace
}  // namespace headgate
