#include "admin/admin_server.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <string>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "net/fd.h"
#include "unit/admin/fake_source.h"

namespace headgate {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

Fd connect_to(const Address& address) {
  Fd fd(::socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC, 0));
  EXPECT_EQ(::connect(fd.number(), address.data(), address.size_bytes()), 0);
  return fd;
}

std::string converse(const Address& address, const std::string& request) {
  const Fd fd = connect_to(address);
  EXPECT_EQ(::send(fd.number(), request.data(), request.size(), MSG_NOSIGNAL),
            static_cast<ssize_t>(request.size()));
  std::string all;
  char chunk[4096];
  for (ssize_t n = 0; (n = ::recv(fd.number(), chunk, sizeof chunk, 0)) > 0;)
    all.append(chunk, static_cast<std::size_t>(n));
  return all;
}

std::string get(const Address& address, const std::string& path, const std::string& method = "GET") {
  return converse(address, method + " " + path + " HTTP/1.1\r\nHost: h\r\n\r\n");
}

struct AdminServerTest : ::testing::Test {
  FakeSource source;
};

std::unique_ptr<AdminServer> open_server(const Address& address, AdminSource& source) {
  auto server = AdminServer::open(address, source);
  EXPECT_TRUE(server.has_value()) << (server ? "" : server.error().what);
  return server ? std::move(*server) : nullptr;
}

TEST_F(AdminServerTest, AnswersOnAPortOfTheSystemsChoice) {
  const auto server = open_server(Address::loopback(0), source);
  EXPECT_NE(server->bound_address().port(), 0);
  const std::string answer = get(server->bound_address(), "/metrics");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(answer, HasSubstr("Content-Type: text/plain; version=0.0.4"));
  EXPECT_THAT(answer, HasSubstr("X-Content-Type-Options: nosniff\r\n"));
  EXPECT_THAT(answer, HasSubstr("Cache-Control: no-store\r\n"));
  EXPECT_THAT(answer, HasSubstr("Content-Security-Policy: default-src 'none'"));
  EXPECT_THAT(answer, HasSubstr("\r\n\r\n# TYPE up gauge\nup 1\n"));
}

TEST_F(AdminServerTest, AnswersHeadWithoutABody) {
  const auto server = open_server(Address::loopback(0), source);
  const std::string answer = get(server->bound_address(), "/healthz", "HEAD");
  EXPECT_THAT(answer, HasSubstr("Content-Length: 3\r\n"));
  EXPECT_TRUE(answer.ends_with("\r\n\r\n"));
}

TEST_F(AdminServerTest, TakesAPostWithItsQuery) {
  const auto server = open_server(Address::loopback(0), source);
  const std::string answer =
      converse(server->bound_address(),
               "POST /log?level=debug&listener=w%65b HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 200 OK\r\n"));
  ASSERT_EQ(source.log_levels.size(), 1U);
  EXPECT_EQ(source.log_levels[0].listener, "web");
}

TEST_F(AdminServerTest, SaysWhichMethodIsAllowed) {
  const auto server = open_server(Address::loopback(0), source);
  EXPECT_THAT(get(server->bound_address(), "/reload"), HasSubstr("Allow: POST\r\n"));
  EXPECT_THAT(get(server->bound_address(), "/../etc/passwd"), StartsWith("HTTP/1.1 404 "));
}

TEST_F(AdminServerTest, SaysWhichPortIsTakenAndWhatToDo) {
  const auto server = open_server(Address::loopback(0), source);
  const auto second = AdminServer::open(server->bound_address(), source);
  ASSERT_FALSE(second.has_value());
  EXPECT_THAT(second.error().what, HasSubstr(server->bound_address().text()));
  EXPECT_THAT(second.error().what, HasSubstr("taken"));
}

TEST_F(AdminServerTest, SaysThatAnAddressIsNotOfThisMachine) {
  const auto server = AdminServer::open(*Address::parse("192.0.2.1:0"), source);
  ASSERT_FALSE(server.has_value());
  EXPECT_THAT(server.error().what, HasSubstr("192.0.2.1:0"));
}

TEST_F(AdminServerTest, SurvivesGarbageAndHalfRequests) {
  const auto server = open_server(Address::loopback(0), source);
  converse(server->bound_address(), std::string("\x16\x03\x01\0\x05hello\r\n\r\n", 14));
  {
    const Fd silent = connect_to(server->bound_address());
  }
  EXPECT_THAT(get(server->bound_address(), "/healthz"), HasSubstr("200 OK"));
}

TEST_F(AdminServerTest, AnswersWhileOtherClientsDawdle) {
  const auto server = open_server(Address::loopback(0), source);
  const Fd one = connect_to(server->bound_address()), two = connect_to(server->bound_address());
  EXPECT_THAT(get(server->bound_address(), "/healthz"), HasSubstr("200 OK"));
}

TEST_F(AdminServerTest, LeavesTheProcessesSignalsAlone) {
  struct sigaction before{}, after{};
  ::sigaction(SIGCHLD, nullptr, &before);
  const auto server = open_server(Address::loopback(0), source);
  ::sigaction(SIGCHLD, nullptr, &after);
  EXPECT_EQ(before.sa_handler, after.sa_handler);
}

struct UnixAdmin : AdminServerTest {
  UnixAdmin()
      : path(std::filesystem::temp_directory_path() / ("headgate_admin_" + std::to_string(::getpid()))) {}
  ~UnixAdmin() override { std::filesystem::remove(path); }
  std::filesystem::path path;
  Address address = *Address::parse("unix:" + path.string());
};

TEST_F(UnixAdmin, AnswersOnAUnixSocketAndRemovesItsFile) {
  auto server = open_server(address, source);
  EXPECT_EQ(server->bound_address().text(), "unix:" + path.string());
  for (int i = 0; i < 5; ++i) EXPECT_THAT(get(address, "/metrics"), HasSubstr("up 1\n"));
  server.reset();
  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST_F(UnixAdmin, DeliversAnAnswerLargerThanASocketsBuffer) {
  source.page.connections.resize(20'000, {.sni = std::string(100, 'x')});
  const auto server = open_server(address, source);
  const std::string answer = get(address, "/connections.json");
  EXPECT_GT(answer.size(), 4'000'000U);
  EXPECT_TRUE(answer.ends_with("}]}\n"));
}

TEST_F(UnixAdmin, EndsWhileAVisitorIsInside) {
  auto server = open_server(address, source);
  const Fd visitor = connect_to(address);
  server.reset();
  char byte = 0;
  EXPECT_LE(::recv(visitor.number(), &byte, 1, 0), 0);
}

}  // namespace
}  // namespace headgate
