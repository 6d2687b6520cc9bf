#include "supervisor/systemd.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "unit/supervisor/temporary_directory.h"

namespace headgate {
namespace {

using testing::MatchesRegex;

/// Stands in for systemd at the other end of $NOTIFY_SOCKET.
class SystemdNotify : public testing::Test {
 protected:
  SystemdNotify() : socket_(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
    const std::string path = temporary_.path() / "notify";
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    EXPECT_EQ(bind(socket_.number(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    setenv("NOTIFY_SOCKET", path.c_str(), 1);
  }
  ~SystemdNotify() override { unsetenv("NOTIFY_SOCKET"); }

  std::string received() {
    char buffer[512];
    const ssize_t size = recv(socket_.number(), buffer, sizeof buffer, MSG_DONTWAIT);
    return size < 0 ? "nothing" : std::string(buffer, static_cast<std::size_t>(size));
  }

  TemporaryDirectory temporary_;
  Fd socket_;
};

TEST_F(SystemdNotify, HearsThatTheServiceIsReady) {
  systemd::notify_ready("2 listeners");
  EXPECT_EQ(received(), "READY=1\nSTATUS=2 listeners");
}

TEST_F(SystemdNotify, HearsWhenAReloadBegan) {
  systemd::notify_reloading();
  EXPECT_THAT(received(), MatchesRegex("RELOADING=1\nMONOTONIC_USEC=[0-9]+"));
}

TEST_F(SystemdNotify, HearsOfTheDrainTheMainProcessAndTheWatchdog) {
  systemd::notify_stopping("draining");
  EXPECT_EQ(received(), "STOPPING=1\nSTATUS=draining");
  systemd::notify_main_process(42);
  EXPECT_EQ(received(), "MAINPID=42");
  systemd::feed_watchdog();
  EXPECT_EQ(received(), "WATCHDOG=1");
}

TEST_F(SystemdNotify, AStatusCannotSmuggleAnAssignment) {
  systemd::notify_status("reload failed:\nMAINPID=1");
  EXPECT_EQ(received(), "STATUS=reload failed: MAINPID=1");
}

TEST(Systemd, NothingHappensWhereNobodyListens) {
  unsetenv("NOTIFY_SOCKET");
  systemd::notify_ready("alone");
  EXPECT_TRUE(systemd::take_activated_sockets()->empty());
}

TEST(Systemd, FeedsTheWatchdogAtHalfItsTime) {
  unsetenv("WATCHDOG_PID");
  setenv("WATCHDOG_USEC", "10000000", 1);
  EXPECT_EQ(systemd::watchdog_interval(), std::chrono::seconds(5));
  unsetenv("WATCHDOG_USEC");
  EXPECT_EQ(systemd::watchdog_interval(), std::nullopt);
}

Fd listening_on(const Address& address) {
  Fd socket(::socket(address.family(), SOCK_STREAM, 0));
  EXPECT_EQ(bind(socket.number(), address.data(), address.size_bytes()), 0);
  EXPECT_EQ(listen(socket.number(), 1), 0);
  return socket;
}

TEST(Systemd, AnActivatedSocketIsKnownByAddressAndName) {
  Fd socket = listening_on(Address::loopback(0));
  const auto adopted = systemd::adopt_sockets(socket.release(), 1, {"https"});
  ASSERT_TRUE(adopted);
  const auto& [fd, address, name] = adopted->front();
  EXPECT_EQ(address.host_text(), "127.0.0.1");
  EXPECT_NE(address.port(), 0);
  EXPECT_EQ(name, "https");
  EXPECT_TRUE(fcntl(fd.number(), F_GETFD) & FD_CLOEXEC);
  EXPECT_TRUE(fcntl(fd.number(), F_GETFL) & O_NONBLOCK);
}

TEST(Systemd, AnActivatedUnixSocketIsKnownByItsPath) {
  TemporaryDirectory temporary;
  const auto path = Address::parse("unix:" + (temporary.path() / "s").string());
  Fd socket = listening_on(*path);
  const auto adopted = systemd::adopt_sockets(socket.release(), 1, {});
  ASSERT_TRUE(adopted);
  EXPECT_EQ(adopted->front().address, *path);
}

TEST(Systemd, RefusesADescriptorThatDoesNotListen) {
  const auto adopted = systemd::adopt_sockets(open("/dev/null", O_RDONLY), 1, {"https"});
  ASSERT_FALSE(adopted);
  EXPECT_EQ(adopted.error().kind, ErrorKind::kInvalid);
  EXPECT_THAT(adopted.error().what, testing::HasSubstr("\"https\""));
}

}  // namespace
}  // namespace headgate
