#include "supervisor/listening_sockets.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <set>
#include <utility>

#include <gtest/gtest.h>

#include "net/socket.h"

namespace headgate {
namespace {

/// One listener `web` on a port of the kernel's choice, and the sockets on which its workers listen.
class Sockets : public testing::Test {
 protected:
  Sockets() {
    config_.listeners.emplace_back();
    config_.listeners.front().name = "web";
    config_.listeners.front().bind = {{.address = Address::loopback(0)}};
  }
  /// Opens the sockets as the supervisor does, for a configuration with so many workers.
  void adopt(std::size_t workers) {
    auto plan = sockets_.plan(config_, workers);
    ASSERT_TRUE(plan.has_value());
    auto changes = sockets_.commit(*std::move(plan),
                                   {.count = workers, .cpus = cpus_, .all = {}, .incoming = !cpus_.empty()});
    if (!changes.close.empty()) listening_.clear();
    gone_ = std::move(changes.gone);
    listening_.resize(workers);
    for (std::size_t i = 0; i < workers; ++i) {
      for (auto& socket : changes.listen[i]) listening_[i].push_back(std::move(socket));
    }
  }
  [[nodiscard]] std::vector<std::size_t> counts() const {
    std::vector<std::size_t> all;
    for (const auto& one : listening_) all.push_back(one.size());
    return all;
  }
  /// The kernel's information about the first socket of the first worker.
  [[nodiscard]] int option(int level, int name) const {
    int value = -1;
    socklen_t size = sizeof value;
    EXPECT_EQ(::getsockopt(listening_[0].front().socket.number(), level, name, &value, &size), 0);
    return value;
  }
  [[nodiscard]] bool waits_for_first_bytes() const { return option(IPPROTO_TCP, TCP_DEFER_ACCEPT) > 0; }
  [[nodiscard]] std::uint32_t backlog() const {
    tcp_info info{};
    socklen_t size = sizeof info;
    EXPECT_EQ(::getsockopt(listening_[0].front().socket.number(), IPPROTO_TCP, TCP_INFO, &info, &size), 0);
    return info.tcpi_sacked;  // for a listening socket this is the most that may wait
  }
  /// Clients that the kernel has taken in and no worker has accepted.
  void connect(int count) {
    const Address address = sockets_.addresses("web").front();
    for (int i = 0; i < count; ++i) {
      clients_.emplace_back(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
      ASSERT_EQ(::connect(clients_.back().number(), address.data(), address.size_bytes()), 0);
    }
  }
  /// Returns how many of them the sockets that listen now accept.
  [[nodiscard]] int accepted() const {
    int count = 0;
    for (const auto& one : listening_) {
      for (const BoundSocket& bound : one) {
        while (const Fd client = Fd(::accept4(bound.socket.number(), nullptr, nullptr, SOCK_NONBLOCK)))
          ++count;
      }
    }
    return count;
  }

  config::Config config_;
  std::vector<std::size_t> cpus_;  // with workers.incoming_cpu; empty: none
  ListeningSockets sockets_{{}};
  std::vector<std::vector<BoundSocket>> listening_;  // by worker
  std::vector<ListeningSockets::Key> gone_;          // by the adoption before
  std::vector<Fd> clients_;
};

TEST_F(Sockets, AreOneForEachWorkerOnOnePort) {
  adopt(4);
  EXPECT_EQ(counts(), (std::vector<std::size_t>{1, 1, 1, 1}));
  EXPECT_EQ(sockets_.addresses("web").size(), 1U);
}

// The kernel would share the port (SO_REUSEPORT) with any process of this user.
TEST_F(Sockets, AreNotBoundWhereAnotherProcessListens) {
  const auto other = listen_on(Address::loopback(0), {});
  ASSERT_TRUE(other.has_value());
  config_.listeners.front().bind = {{.address = local_address(other->number())}};
  const auto refused = sockets_.plan(config_, 2);
  ASSERT_FALSE(refused.has_value());
  EXPECT_NE(refused.error().what.find("another process listens there"), std::string::npos);
}

TEST_F(Sockets, MoveToAnotherListenerAtTheSameAddressWithAllWhoWaitInThem) {
  adopt(2);
  const Address address = sockets_.addresses("web").front();
  config_.listeners.front().bind = {{.address = address}};
  adopt(2);
  connect(40);
  config_.listeners.front().name = "renamed";
  adopt(2);
  EXPECT_EQ(counts(), (std::vector<std::size_t>{1, 1}));
  EXPECT_TRUE(sockets_.addresses("web").empty());
  EXPECT_EQ(sockets_.addresses("renamed"), std::vector{address});
  EXPECT_TRUE(gone_.empty());
  EXPECT_EQ(accepted(), 40);
}

TEST_F(Sockets, OfTwoListenersThatChangePlacesStayWhereTheyAre) {
  config_.listeners.push_back(config_.listeners.front());
  config_.listeners.back().name = "other";
  adopt(2);
  for (auto& listener : config_.listeners)
    listener.bind = {{.address = sockets_.addresses(listener.name).front()}};
  adopt(2);
  const auto first = sockets_.addresses("web"), second = sockets_.addresses("other");
  connect(40);
  std::swap(config_.listeners.front().bind, config_.listeners.back().bind);
  adopt(2);
  EXPECT_EQ(sockets_.addresses("web"), second);
  EXPECT_EQ(sockets_.addresses("other"), first);
  for (const auto& one : listening_) {
    ASSERT_EQ(one.size(), 2U);
    for (const BoundSocket& bound : one)
      EXPECT_EQ(local_address(bound.socket.number()), (bound.listener == "web" ? second : first).front());
  }
  EXPECT_TRUE(gone_.empty());
  EXPECT_EQ(accepted(), 40);
}

TEST_F(Sockets, OfARenamedListenerAreSharedOutAmongFewerWorkersToo) {
  adopt(1);
  config_.listeners.front().bind = {{.address = sockets_.addresses("web").front()}};
  adopt(4);
  connect(40);
  config_.listeners.front().name = "renamed";
  adopt(1);
  EXPECT_EQ(counts(), (std::vector<std::size_t>{4}));
  EXPECT_TRUE(gone_.empty());
  EXPECT_EQ(accepted(), 40);
}

TEST_F(Sockets, OfARenamedListenerAreReplacedWhereItTakesOtherClients) {
  config_.listeners.front().bind = {{.address = *Address::parse("[::]:0")}};
  if (!sockets_.plan(config_, 2)) GTEST_SKIP() << "this system has no IPv6";
  adopt(2);
  const Address address = sockets_.addresses("web").front();
  config_.listeners.front().bind = {{.address = address}};
  adopt(2);
  config_.listeners.front().name = "renamed";
  config_.listeners.front().bind.front().ipv6_only = true;
  adopt(2);
  EXPECT_EQ(counts(), (std::vector<std::size_t>{1, 1}));
  EXPECT_EQ(option(IPPROTO_IPV6, IPV6_V6ONLY), 1);
  EXPECT_EQ(gone_, (std::vector<ListeningSockets::Key>{{"web", address.text()}}));
  EXPECT_TRUE(sockets_.addresses("web").empty());
  EXPECT_EQ(sockets_.addresses("renamed"), std::vector{address});
}

TEST_F(Sockets, GetTheConnectionsOfTheirWorkersCpu) {
  const auto incoming_cpus = [this] {
    std::vector<int> all;
    for (const auto& one : listening_) {
      int cpu = -2;
      socklen_t size = sizeof cpu;
      EXPECT_EQ(::getsockopt(one.front().socket.number(), SOL_SOCKET, SO_INCOMING_CPU, &cpu, &size), 0);
      all.push_back(cpu);
    }
    return all;
  };
  cpus_ = {5, 0};
  adopt(3);
  sockets_.apply_options();
  EXPECT_EQ(incoming_cpus(), (std::vector{5, 0, 5}));
  cpus_.clear();
  adopt(3);
  sockets_.apply_options();
  EXPECT_EQ(incoming_cpus(), (std::vector{-1, -1, -1}));
}

TEST_F(Sockets, AreSharedOutAmongFewerWorkersWithAllWhoWaitInThem) {
  adopt(4);
  connect(40);
  adopt(1);
  EXPECT_EQ(counts(), (std::vector<std::size_t>{4}));
  EXPECT_EQ(accepted(), 40);
}

TEST_F(Sockets, GoBackToTheirWorkersWhenThereAreMoreAgain) {
  adopt(4);
  adopt(2);
  EXPECT_EQ(counts(), (std::vector<std::size_t>{2, 2}));
  adopt(3);
  EXPECT_EQ(counts(), (std::vector<std::size_t>{2, 1, 1}));
  adopt(5);
  connect(40);
  EXPECT_EQ(counts(), (std::vector<std::size_t>{1, 1, 1, 1, 1}));
  EXPECT_EQ(accepted(), 40);
}

TEST_F(Sockets, StayWithTheirWorkersWhereNothingChanges) {
  adopt(2);
  const int before = listening_[0].front().socket.number();
  adopt(2);
  EXPECT_EQ(counts(), (std::vector<std::size_t>{1, 1}));
  EXPECT_EQ(listening_[0].front().socket.number(), before);
}

TEST_F(Sockets, OfAProcessWithMoreWorkersAreAllTakenOverByWhateverListenerHasTheAddress) {
  adopt(4);
  config_.listeners.front().bind = {{.address = sockets_.addresses("web").front()}};
  adopt(4);
  connect(40);
  config_.listeners.front().name = "renamed";
  std::vector<systemd::ActivatedSocket> handed_over;
  for (auto& held : sockets_.held())
    handed_over.push_back({std::move(held.descriptor), *Address::parse(held.bind), held.listener});
  listening_.clear();
  sockets_ = ListeningSockets(std::move(handed_over));
  adopt(1);
  EXPECT_EQ(counts(), (std::vector<std::size_t>{4}));
  EXPECT_EQ(accepted(), 40);
}

TEST_F(Sockets, OfAListenerThatIsTakenOutAreClosed) {
  adopt(2);
  config_.listeners.clear();
  adopt(2);
  EXPECT_TRUE(listening_[0].empty());
  EXPECT_EQ(gone_.size(), 1U);
  EXPECT_TRUE(sockets_.addresses("web").empty());
}

// The kernel would keep a client that waits for the greeting for seconds.
TEST_F(Sockets, StopWaitingForAClientsFirstBytesWhenTheServerSpeaksFirst) {
  config_.listeners.front().tls.emplace();
  adopt(2);
  sockets_.apply_options();
  EXPECT_TRUE(waits_for_first_bytes());
  config_.listeners.front().starttls = StarttlsProtocol::kSmtp;
  adopt(2);
  sockets_.apply_options();
  EXPECT_FALSE(waits_for_first_bytes());
}

TEST_F(Sockets, WaitForAClientsFirstBytesOnceTlsComesFirst) {
  adopt(1);
  EXPECT_FALSE(waits_for_first_bytes());
  config_.listeners.front().tls.emplace();
  adopt(1);
  sockets_.apply_options();
  EXPECT_TRUE(waits_for_first_bytes());
}

TEST_F(Sockets, TakeANewBacklogWithAllWhoWaitInThem) {
  config_.listeners.front().backlog = 64;
  adopt(1);
  EXPECT_EQ(backlog(), 64U);
  connect(10);
  config_.listeners.front().backlog = 32;
  adopt(1);
  sockets_.apply_options();
  EXPECT_EQ(backlog(), 32U);
  EXPECT_EQ(accepted(), 10);
}

TEST_F(Sockets, ThatAnotherProcessMadeGetTheOptionsOfThisOne) {
  Fd made(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const int seconds = 5;
  ASSERT_EQ(::setsockopt(made.number(), IPPROTO_TCP, TCP_DEFER_ACCEPT, &seconds, sizeof seconds), 0);
  ASSERT_EQ(::listen(made.number(), 16), 0);
  const Address address = Address::loopback(local_address(made.number()).port());
  std::vector<systemd::ActivatedSocket> activated;
  activated.push_back({std::move(made), address, "web"});
  sockets_ = ListeningSockets(std::move(activated));
  config_.listeners.front().bind = {{.address = address}};
  adopt(1);
  EXPECT_EQ(backlog(), 16U) << "the process that serves still decides about it";
  sockets_.apply_options();
  EXPECT_FALSE(waits_for_first_bytes());
  EXPECT_EQ(backlog(), 4096U);
  EXPECT_EQ(option(IPPROTO_TCP, TCP_NODELAY), 1);
  EXPECT_EQ(option(SOL_SOCKET, SO_KEEPALIVE), 1);
}

}  // namespace
}  // namespace headgate
