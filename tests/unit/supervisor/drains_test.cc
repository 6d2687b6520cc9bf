#include "supervisor/drains.h"

#include <optional>

#include "unit/supervisor/process_parts.h"

namespace headgate {
namespace {

using namespace std::chrono_literals;

class DrainsTest : public testing::Test {
 protected:
  DrainsTest() {
    EXPECT_TRUE(reloader_.begin());
    EXPECT_TRUE(parts_.workers.start());
  }
  /// A client and the backend's end of its connection.
  void connect() {
    clients_.push_back(Talk::to(parts_.sockets.addresses("web").front()));
    clients_.back().say("hello");
    servers_.push_back(backend_.accept());
    EXPECT_EQ(servers_.back().hear(), "hello");
  }
  DrainReport begin(Duration time) {
    std::optional<DrainReport> begun;
    drains_.begin({}, time, [](Worker&) {}, [&](const DrainReport& report) { begun = report; });
    turn_until(parts_.loop, [&] { return begun.has_value(); });
    return begun.value_or(DrainReport());
  }
  void step() {
    bool done = false;
    drains_.step([&] { done = true; });
    turn_until(parts_.loop, [&] { return done; });
  }

  TestBackend backend_;
  ProcessParts parts_{plain_config(backend_.address())};
  Reloader reloader_{parts_.reloader_parts(), {.load = [this] { return parts_.load(); }}};
  Drains drains_{parts_.workers};
  std::vector<Talk> clients_, servers_;
};

TEST_F(DrainsTest, AreAboutTheConnectionsThatAreOpenWhenTheyBegin) {
  connect();
  connect();
  EXPECT_EQ(begin(1h).at_start, 2U);
  connect();
  step();
  ASSERT_EQ(drains_.reports().size(), 1U);
  EXPECT_EQ(drains_.reports().front().remaining, 2U);
}

TEST_F(DrainsTest, EndWhatIsLeftAtTheirDeadlineAndAreOver) {
  connect();
  EXPECT_EQ(begin(0s).at_start, 1U);
  step();
  EXPECT_EQ(clients_[0].hear(), "");
  while (!drains_.empty()) step();
  EXPECT_TRUE(drains_.reports().empty());
}

TEST_F(DrainsTest, HoldUpNobodyWhereAWorkerHangs) {
  auto hang = std::make_optional<Hang>(parts_.workers.at(0));
  std::optional<DrainReport> begun;
  drains_.begin({}, 1h, [](Worker&) {}, [&](const DrainReport& report) { begun = report; });
  bool turned = false;
  parts_.inbox.post([&] { turned = true; });
  turn_until(parts_.loop, [&] { return turned; });
  EXPECT_FALSE(begun.has_value());
  turn_until(parts_.loop, [&] { return begun.has_value(); });
  step();
  EXPECT_FALSE(drains_.empty()) << "the worker that hangs may have connections left";
  hang.reset();
  while (!drains_.empty()) step();
}

TEST_F(DrainsTest, TellNobodyOnceTheyAreGone) {
  std::optional<Drains> drains(std::in_place, parts_.workers);
  bool told = false;
  drains->begin({}, 1h, [](Worker&) {}, [&](const DrainReport&) { told = true; });
  drains.reset();
  bool turned = false;
  parts_.workers.ask([](Worker&) {}, [&](Workers::Heard) { turned = true; });
  turn_until(parts_.loop, [&] { return turned; });
  EXPECT_FALSE(told);
}

}  // namespace
}  // namespace headgate
