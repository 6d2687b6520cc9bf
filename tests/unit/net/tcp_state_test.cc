#include "net/tcp_state.h"

#include <sys/socket.h>

#include <array>
#include <chrono>

#include <gtest/gtest.h>

#include "net/socket.h"

namespace headgate {
namespace {

TEST(TcpState, IsThatOfAConnection) {
  const auto listening = listen_on(*Address::parse("127.0.0.1:0"), {});
  ASSERT_TRUE(listening.has_value());
  const auto connecting = start_connect(local_address(listening->number()));
  ASSERT_TRUE(connecting.has_value());
  const auto state = tcp_state(connecting->fd.number());
  ASSERT_TRUE(state.has_value());
  EXPECT_EQ(state->retransmits, 0U);
  EXPECT_LT(state->rtt, std::chrono::seconds(1));
}

TEST(TcpState, IsNoneOfAUnixSocketAndOfNoSocket) {
  std::array<int, 2> pair{};
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, pair.data()), 0);
  const Fd one(pair[0]), other(pair[1]);
  EXPECT_FALSE(tcp_state(one.number()).has_value());
  EXPECT_FALSE(tcp_state(-1).has_value());
}

}  // namespace
}  // namespace headgate
