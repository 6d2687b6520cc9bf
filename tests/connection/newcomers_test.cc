#include "worker/newcomers.h"

#include "connection/fixture.h"

namespace headgate::test {
namespace {

/// Clients that have not sent a whole ClientHello. The fixture's own connection is the first of them.
class NewcomersTest : public ConnectionTest {
 protected:
  NewcomersTest() {
    host.on_ready_newcomer = [this](Connection& ready) { newcomers.push(ready); };
  }
  ~NewcomersTest() override {
    if (connection) newcomers.remove(*connection);
  }

  void open(int count) {
    start();
    scripts.push_back(client);
    for (int i = 1; i < count; ++i) {
      scripts.push_back(std::make_shared<Script>());
      others.push_back(accept(scripts.back(), static_cast<std::uint64_t>(i + 1)));
    }
  }
  void each_sends_a_byte() {
    for (const auto& script : scripts) script->sends("\x16");
  }
  [[nodiscard]] std::vector<std::size_t> bytes_read() const {
    std::vector<std::size_t> all;
    for (const auto& script : scripts) all.push_back(script->bytes_read);
    return all;
  }

  Newcomers newcomers;
  std::vector<std::shared_ptr<Script>> scripts;
  std::vector<std::unique_ptr<Connection>> others;
};

using testing::ElementsAre;

TEST_F(NewcomersTest, OnlyOneIsServedWhereTheSliceIsOverAtOnce) {
  open(3);
  each_sends_a_byte();
  wake();
  EXPECT_THAT(bytes_read(), ElementsAre(0, 0, 0)) << "nobody is served before the established connections";
  newcomers.serve(Duration{});
  EXPECT_TRUE(newcomers.has_queued());
  std::size_t sum = 0;
  for (const std::size_t bytes : bytes_read()) sum += bytes;
  EXPECT_EQ(sum, 1U);
  newcomers.serve(Duration{});
  EXPECT_TRUE(newcomers.has_queued());
  newcomers.serve(Duration{});
  EXPECT_FALSE(newcomers.has_queued());
  EXPECT_THAT(bytes_read(), ElementsAre(1, 1, 1));
}

TEST_F(NewcomersTest, TheLoopDoesNotFindThoseThatWaitForTheirTurnAgain) {
  open(3);
  each_sends_a_byte();
  wake();
  newcomers.serve(Duration{});
  int found = 0;
  host.on_ready_newcomer = [&found](Connection&) { ++found; };
  wake();
  EXPECT_EQ(found, 0);
}

TEST_F(NewcomersTest, TheyAreWatchedAgainAfterTheirTurn) {
  open(3);
  each_sends_a_byte();
  wake();
  while (newcomers.has_queued()) newcomers.serve(Duration{});
  each_sends_a_byte();
  wake();
  while (newcomers.has_queued()) newcomers.serve(Duration{});
  EXPECT_THAT(bytes_read(), ElementsAre(2, 2, 2));
}

TEST_F(NewcomersTest, OneThatIsDestroyedWhileItWaitsIsForgotten) {
  open(3);
  each_sends_a_byte();
  wake();
  newcomers.serve(Duration{});
  for (auto& other : others) {
    other->end(CloseReason::kCut);
    newcomers.remove(*other);
    other.reset();
  }
  while (newcomers.has_queued()) newcomers.serve(Duration{});
  EXPECT_TRUE(newcomers.empty());
}

// A deadline or a permit may let it take a step while it waits.
TEST_F(NewcomersTest, AStepForAnotherReasonLosesNothing) {
  open(2);
  each_sends_a_byte();
  wake();
  newcomers.serve(Duration{});
  connection->deadline_passed();
  others.front()->deadline_passed();
  while (newcomers.has_queued()) newcomers.serve(Duration{});
  EXPECT_THAT(bytes_read(), ElementsAre(1, 1));
  EXPECT_FALSE(connection->is_buried());
}

TEST_F(NewcomersTest, AnEstablishedConnectionDoesNotQueue) {
  listener().tls.reset();
  start_relay();
  client->sends("hello");
  wake();
  EXPECT_FALSE(newcomers.has_queued());
  EXPECT_EQ(server->written, "hello");
}

}  // namespace
}  // namespace headgate::test
