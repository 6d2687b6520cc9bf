#include "admin/connection_search.h"

#include <algorithm>
#include <functional>

#include <gtest/gtest.h>

#include "unit/worker/busy_worker.h"
#include "worker/connection_walk.h"

namespace headgate {
namespace {

struct Search : ::testing::Test {
  ConnectionsPage run(const ConnectionsQuery& query) { return search.run(query); }

  test::BusyWorker first{0}, second{1};
  ConnectionSearch search{[this](const std::function<void(Worker&)>& ask) {
    for (test::BusyWorker* one : {&first, &second}) {
      one->worker().post([ask, worker = &one->worker()] { ask(*worker); });
    }
    return std::size_t{2};
  }};
};

TEST_F(Search, DescribesThePageAloneHoweverManyConnectionsThereAre) {
  first.add_connections(6000);
  second.add_connections(3000);
  const ConnectionsPage page = run({.limit = 1});
  EXPECT_EQ(page.total, 9000U);
  ASSERT_EQ(page.connections.size(), 1U);
  EXPECT_EQ(page.connections[0].listener, "web");
  EXPECT_EQ(page.connections[0].phase, "accept");
  EXPECT_EQ(page.connections[0].source, "192.0.2.7:4711");
  EXPECT_EQ(search.described(), 1U);
}

TEST_F(Search, ShowsEachConnectionOnOnePage) {
  first.add_connections(150);
  second.add_connections(70);
  std::vector<std::uint64_t> ids;
  std::size_t pages = 0;
  for (std::size_t offset = 0; offset < 220; offset += 50, ++pages) {
    const ConnectionsPage page = run({.offset = offset, .limit = 50});
    EXPECT_EQ(page.total, 220U);
    for (const ConnectionReport& one : page.connections) ids.push_back(one.id);
  }
  EXPECT_EQ(pages, 5U);
  EXPECT_EQ(ids.size(), 220U);
  EXPECT_TRUE(std::ranges::is_sorted(ids, std::ranges::less_equal()));
  EXPECT_EQ(search.described(), 220U);
}

TEST_F(Search, CountsAndShowsThoseThatMatch) {
  first.add_connections(2000, "192.0.2.7:1");
  first.add_connections(3, "198.51.100.1:1");
  second.add_connections(2, "[2001:db8::1]:1");
  EXPECT_EQ(run({.source = "198.51.100.0/24"}).total, 3U);
  EXPECT_EQ(run({.source = "2001:db8::/32"}).connections.size(), 2U);
  EXPECT_EQ(run({.listener = "web"}).total, 2005U);
  EXPECT_EQ(run({.backend = "other"}).total, 0U);
}

TEST_F(Search, ShowsNothingBeyondTheLastConnection) {
  first.add_connections(5);
  const ConnectionsPage page = run({.offset = 5, .limit = 10});
  EXPECT_EQ(page.total, 5U);
  EXPECT_TRUE(page.connections.empty());
  EXPECT_EQ(search.described(), 0U);
}

}  // namespace
}  // namespace headgate
