#include "admin/admin_server.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <future>
#include <map>
#include <semaphore>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "admin/admin_endpoint.h"
#include "net/fd.h"
#include "unit/admin/fake_source.h"

namespace headgate {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

Fd connect_to(const Address& address) {
  Fd fd(::socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC, 0));
  EXPECT_EQ(::connect(fd.number(), address.data(), address.size_bytes()), 0);
  return fd;
}

void send_text(const Fd& fd, const std::string& text) {
  EXPECT_EQ(::send(fd.number(), text.data(), text.size(), MSG_NOSIGNAL), static_cast<ssize_t>(text.size()));
}

/// Everything until the end of the stream.
std::string read_all(const Fd& fd) {
  std::string all;
  char chunk[4096];
  for (ssize_t n = 0; (n = ::recv(fd.number(), chunk, sizeof chunk, 0)) > 0;)
    all.append(chunk, static_cast<std::size_t>(n));
  return all;
}

std::string converse(const Address& address, const std::string& request) {
  const Fd fd = connect_to(address);
  send_text(fd, request);
  return read_all(fd);
}

constexpr const char* kHost = "Host: localhost\r\n";

std::string get(const Address& address, const std::string& path, const std::string& method = "GET") {
  return converse(address, method + " " + path + " HTTP/1.1\r\n" + kHost + "\r\n");
}

struct AdminServerTest : ::testing::Test {
  FakeSource source;
};

std::unique_ptr<AdminServer> open_server(const Address& address, AdminSource& source) {
  auto socket = AdminServer::listen(address);
  EXPECT_TRUE(socket.has_value()) << (socket ? "" : socket.error().what);
  if (!socket) return nullptr;
  auto server = AdminServer::open(*std::move(socket), source);
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
  const std::string answer = converse(
      server->bound_address(),
      "POST /log?level=debug&listener=w%65b HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n");
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
  const auto second = AdminServer::listen(server->bound_address());
  ASSERT_FALSE(second.has_value());
  EXPECT_THAT(second.error().what,
              HasSubstr("admin.bind: cannot listen on " + server->bound_address().text()));
  EXPECT_THAT(second.error().what, HasSubstr("choose another port"));
}

TEST_F(AdminServerTest, SaysThatAnAddressIsNotOfThisMachine) {
  const auto socket = AdminServer::listen(*Address::parse("192.0.2.1:0"));
  ASSERT_FALSE(socket.has_value());
  EXPECT_THAT(socket.error().what, HasSubstr("192.0.2.1:0"));
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

TEST_F(AdminServerTest, AnswersAProbeHoweverManyClientsAreIdle) {
  const auto server = open_server(Address::loopback(0), source);
  std::vector<Fd> idle;
  for (int i = 0; i < 200; ++i) idle.push_back(connect_to(server->bound_address()));
  EXPECT_THAT(get(server->bound_address(), "/healthz"), HasSubstr("200 OK"));
  EXPECT_EQ(read_all(idle.front()), "");  // the first to come is the first to go
}

TEST_F(AdminServerTest, AnswersAProbeWhileAllOtherAnswersHang) {
  std::promise<void> go;
  std::counting_semaphore begun(0);
  source.before_answers = [&begun, may_go = go.get_future().share()] {
    begun.release();
    may_go.wait();
  };
  const auto server = open_server(Address::loopback(0), source);
  std::vector<Fd> hanging;
  const auto ask = [&](const std::string& request, int times) {
    for (int i = 0; i < times; ++i) {
      hanging.push_back(connect_to(server->bound_address()));
      send_text(hanging.back(), request + " HTTP/1.1\r\n" + kHost + "\r\n");
    }
  };
  const std::map<std::string, int> threads{{"GET /status.json", 2}, {"POST /reload", 2}, {"POST /drain", 1}};
  for (const auto& [request, number] : threads) {
    ask(request, number);
    for (int i = 0; i < number; ++i) begun.acquire();
  }
  for (const auto& [request, number] : threads) ask(request, 30);
  EXPECT_THAT(get(server->bound_address(), "/healthz"), HasSubstr("200 OK"));
  EXPECT_THAT(get(server->bound_address(), "/metrics"), HasSubstr("503 "));
  go.set_value();
  EXPECT_THAT(read_all(hanging.front()), HasSubstr("200 OK"));
}

TEST_F(AdminServerTest, AnswersOneOfPipelinedRequests) {
  const auto server = open_server(Address::loopback(0), source);
  const std::string request = std::string("GET /healthz HTTP/1.1\r\n") + kHost + "\r\n";
  const std::string answer = converse(server->bound_address(), request + request);
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(answer, HasSubstr("Connection: close\r\n"));
  EXPECT_EQ(answer.find("HTTP/1.1", 1), answer.npos);
}

TEST_F(AdminServerTest, DropsAChunkedBodyAndAnswers) {
  const auto server = open_server(Address::loopback(0), source);
  const std::string answer =
      converse(server->bound_address(), std::string("POST /reload HTTP/1.1\r\n") + kHost +
                                            "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_EQ(source.reloads, 1);
}

TEST_F(AdminServerTest, EndsAConnectionWhoseChunkedBodyIsTooLarge) {
  const auto server = open_server(Address::loopback(0), source);
  const std::string chunk = "4000\r\n" + std::string(0x4000, 'x') + "\r\n";
  const std::string answer =
      converse(server->bound_address(), std::string("POST /reload HTTP/1.1\r\n") + kHost +
                                            "Transfer-Encoding: chunked\r\n\r\n" + chunk + chunk + chunk +
                                            chunk + chunk + "0\r\n\r\n");
  EXPECT_THAT(answer, Not(HasSubstr(" 200 ")));
  EXPECT_EQ(source.reloads, 0);
}

TEST_F(AdminServerTest, AsksForABodyThatWaitsForItAndRefusesALargeOne) {
  const auto server = open_server(Address::loopback(0), source);
  const auto post = [&](const std::string& length, const std::string& body) {
    const Fd fd = connect_to(server->bound_address());
    send_text(fd, std::string("POST /reload HTTP/1.1\r\n") + kHost +
                      "Expect: 100-continue\r\nContent-Length: " + length + "\r\n\r\n" + body);
    return read_all(fd);
  };
  const std::string taken = post("2", "{}");
  EXPECT_THAT(taken, HasSubstr("HTTP/1.1 200 OK\r\n"));
  for (const std::string large : {"65537", "99999999999999999"}) {
    const std::string refused = post(large, "");
    EXPECT_THAT(refused, StartsWith("HTTP/1.1 413 ")) << large;
    EXPECT_THAT(refused, Not(HasSubstr("100 Continue"))) << large;
  }
  EXPECT_EQ(source.reloads, 1);
}

TEST_F(AdminServerTest, RefusesAHugeHead) {
  const auto server = open_server(Address::loopback(0), source);
  const std::string answer =
      converse(server->bound_address(), std::string("GET /healthz HTTP/1.1\r\n") + kHost +
                                            "X: " + std::string(AdminServer::kMaxHeadBytes, 'x'));
  EXPECT_THAT(answer, HasSubstr(" 431 "));
  EXPECT_THAT(get(server->bound_address(), "/healthz"), HasSubstr("200 OK"));
}

TEST_F(AdminServerTest, WantsExactlyOneHostOfHttp11) {
  const auto server = open_server(Address::loopback(0), source);
  const auto ask = [&](const std::string& head) { return converse(server->bound_address(), head + "\r\n"); };
  EXPECT_THAT(ask("GET /healthz HTTP/1.0\r\n"), HasSubstr(" 200 "));
  EXPECT_THAT(ask("GET /healthz HTTP/1.1\r\n"), HasSubstr(" 400 "));
  EXPECT_THAT(ask(std::string("GET /healthz HTTP/1.1\r\n") + kHost + "hOST: evil.example\r\n"),
              HasSubstr(" 400 "));
  EXPECT_THAT(ask("GET /healthz HTTP/1.1\r\nHost: evil.example\r\n"), HasSubstr(" 421 "));
}

/// Whether the thread of the endpoint waits for clients.
bool endpoint_sleeps() {
  for (const auto& thread : std::filesystem::directory_iterator("/proc/self/task")) {
    std::ifstream in(thread.path() / "status");
    std::string name, state;
    std::getline(in, name);
    while (std::getline(in, state) && !state.starts_with("State:")) {
    }
    if (name == "Name:\tadmin") return state.find('S') != state.npos && state.find("sleeping") != state.npos;
  }
  return false;
}

// The answer came only when another client did, where its thread had not been faster than the endpoint's.
TEST_F(AdminServerTest, SendsAnAnswerThatIsMadeWhileItSleeps) {
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  source.before_answers = [until] {
    while (!endpoint_sleeps() && std::chrono::steady_clock::now() < until) std::this_thread::yield();
  };
  const auto server = open_server(Address::loopback(0), source);
  const Fd client = connect_to(server->bound_address());
  const timeval patience{.tv_sec = 10, .tv_usec = 0};
  ::setsockopt(client.number(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  send_text(client, std::string("POST /reload HTTP/1.1\r\n") + kHost + "\r\n");
  EXPECT_THAT(read_all(client), HasSubstr("200 OK"));
}

TEST_F(AdminServerTest, EndsWhileAnAnswerIsMadeAndDeliversIt) {
  std::promise<void> begun, go;
  source.before_answers = [&, may_go = go.get_future().share()] {
    begun.set_value();
    may_go.wait();
  };
  auto server = open_server(Address::loopback(0), source);
  const Fd client = connect_to(server->bound_address());
  send_text(client, std::string("POST /reload HTTP/1.1\r\n") + kHost + "\r\n");
  begun.get_future().wait();
  auto ended = std::async(std::launch::async, [&] { server.reset(); });
  go.set_value();
  EXPECT_THAT(read_all(client), HasSubstr("200 OK"));
  ended.get();
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

/// Restores the umask at its end.
struct Umask {
  explicit Umask(mode_t wanted) : before(::umask(wanted)) {}
  ~Umask() { ::umask(before); }
  Umask(const Umask&) = delete;
  Umask& operator=(const Umask&) = delete;
  mode_t before;
};

TEST_F(UnixAdmin, AnswersOnAUnixSocket) {
  const auto server = open_server(address, source);
  EXPECT_EQ(server->bound_address().text(), "unix:" + path.string());
  for (int i = 0; i < 5; ++i) EXPECT_THAT(get(address, "/metrics"), HasSubstr("up 1\n"));
}

TEST_F(UnixAdmin, IsNotForOtherUsersWhateverTheUmask) {
  const Umask open_to_all(0);
  const auto server = open_server(address, source);
  EXPECT_EQ(std::filesystem::status(path).permissions(), std::filesystem::perms(0770));
}

struct UnixEndpoint : UnixAdmin {
  UnixEndpoint() : log(*Log::open({.level = LogLevel::kError})) {}
  std::unique_ptr<Log> log;
};

TEST_F(UnixEndpoint, RemovesTheFileOfItsSocketAtTheEnd) {
  {
    AdminEndpoint endpoint(address, source, *log);
    ASSERT_TRUE(endpoint.open({}));
    EXPECT_TRUE(std::filesystem::exists(path));
  }
  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST_F(UnixEndpoint, HandsItsSocketToTheNextWithTheClientsThatWait) {
  AdminEndpoint before(address, source, *log), after(address, source, *log);
  ASSERT_TRUE(before.open({}));
  auto held = before.held();
  before.close();
  const Fd waiting = connect_to(address);
  send_text(waiting, std::string("GET /healthz HTTP/1.1\r\n") + kHost + "\r\n");
  ASSERT_TRUE(after.open(std::move(held)));
  EXPECT_THAT(read_all(waiting), HasSubstr("200 OK"));
}

TEST_F(UnixEndpoint, LeavesTheFileOfASocketThatSystemdMade) {
  auto socket = AdminServer::listen(address);
  ASSERT_TRUE(socket);
  {
    AdminEndpoint endpoint(address, source, *log);
    ASSERT_TRUE(endpoint.open({"headgate-admin.socket", address.text(), *std::move(socket)}));
  }
  EXPECT_TRUE(std::filesystem::exists(path));
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
