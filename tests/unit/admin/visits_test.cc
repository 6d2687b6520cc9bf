#include "admin/visits.h"

#include <sys/socket.h>

#include <cerrno>
#include <vector>

#include <gtest/gtest.h>

#include "net/fd.h"

namespace headgate {
namespace {

using std::chrono::seconds;

/// Connections whose clients' ends the test has.
struct VisitsTest : ::testing::Test {
  Visit& arrive() {
    int ends[2] = {-1, -1};
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends), 0);
    sockets.emplace_back(ends[0]);
    sockets.emplace_back(ends[1]);
    clients.push_back(ends[1]);
    return visits.begin(nullptr, ends[0], now);
  }
  /// Whether the client of the connection that came as number `index` sees its end.
  bool is_cut(std::size_t index) {
    char byte = 0;
    return ::recv(clients[index], &byte, 1, MSG_PEEK) == 0;
  }
  void answer_with(Visit& visit, std::size_t body_bytes) {
    visit.response = HttpResponse{.body = std::string(body_bytes, 'x')};
    visits.takes(visit, now);
  }

  TimePoint now{};
  Visits visits;
  std::vector<Fd> sockets;
  std::vector<int> clients;
};

TEST_F(VisitsTest, CutAClientThatDoesNotAskInTime) {
  arrive();
  now += Visits::kTimeToAsk - seconds(1);
  arrive();
  visits.cut_overdue(now);
  EXPECT_FALSE(is_cut(0));
  EXPECT_EQ(visits.next_deadline(), now + seconds(1));
  visits.cut_overdue(now + seconds(1));
  EXPECT_TRUE(is_cut(0));
  EXPECT_FALSE(is_cut(1));
  EXPECT_EQ(visits.next_deadline(), now + Visits::kTimeToAsk);
}

TEST_F(VisitsTest, GiveAnAnswerAllTheTimeThatItTakesToMakeAndItsClientABoundedTimeToTakeIt) {
  Visit& visit = arrive();
  visits.waits(visit);
  EXPECT_EQ(visits.next_deadline(), std::nullopt);
  visits.cut_overdue(now += seconds(3600));
  EXPECT_FALSE(is_cut(0));
  answer_with(visit, 1);
  EXPECT_EQ(visits.next_deadline(), now + Visits::kTimeToTake);
  visits.cut_overdue(now + Visits::kTimeToTake);
  EXPECT_TRUE(is_cut(0));
}

TEST_F(VisitsTest, MakeRoomByTheOldestThatHasNotAsked) {
  visits.waits(arrive());
  for (std::size_t i = 1; i < Visits::kMax; ++i) arrive();
  visits.make_room();
  EXPECT_FALSE(is_cut(0));
  EXPECT_TRUE(is_cut(1));
  EXPECT_FALSE(is_cut(2));
  visits.make_room();  // there is room already
  EXPECT_FALSE(is_cut(2));
}

TEST_F(VisitsTest, MakeRoomByTheSlowestReaderWhereAllHaveAsked) {
  std::vector<Visit*> all;
  for (std::size_t i = 0; i < Visits::kMax; ++i) all.push_back(&arrive());
  for (std::size_t i = Visits::kMax; i-- > 0;) answer_with(*all[i], 1);
  visits.make_room();
  EXPECT_TRUE(is_cut(Visits::kMax - 1));
  EXPECT_FALSE(is_cut(0));
}

TEST_F(VisitsTest, BoundTheMemoryOfAnswersThatAreNotTaken) {
  answer_with(arrive(), Visits::kMaxUntakenBytes / 2);
  answer_with(arrive(), Visits::kMaxUntakenBytes / 2);
  EXPECT_FALSE(is_cut(0));
  answer_with(arrive(), 1);
  EXPECT_TRUE(is_cut(0));
  EXPECT_FALSE(is_cut(1));
  answer_with(arrive(), Visits::kMaxUntakenBytes + 1);
  EXPECT_TRUE(is_cut(1));
  EXPECT_TRUE(is_cut(2));
  EXPECT_FALSE(is_cut(3));
}

TEST_F(VisitsTest, ForgetAConnectionThatHasEnded) {
  Visit& visit = arrive();
  EXPECT_FALSE(visits.empty());
  visits.end(visit);
  EXPECT_TRUE(visits.empty());
}

}  // namespace
}  // namespace headgate
