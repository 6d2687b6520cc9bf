#include "net/resolver.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <condition_variable>
#include <cstring>
#include <future>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "net/service_thread.h"
#include "net/socket.h"

namespace headgate {
namespace {

using namespace std::chrono_literals;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;

TEST(LookupSchedule, FollowsTheTimeToLiveWithinBounds) {
  LookupSchedule schedule;
  EXPECT_EQ(schedule.after_answer(30s), 30s);
  EXPECT_EQ(schedule.after_answer(0s), 1s);
  EXPECT_EQ(schedule.after_answer(86400s), 300s);
}

TEST(LookupSchedule, TriesLessAndLessOftenUntilAnAnswerComes) {
  LookupSchedule schedule;
  for (const auto expected : {1s, 2s, 4s, 8s, 16s, 32s, 60s, 60s})
    EXPECT_EQ(schedule.after_failure(), expected);
  EXPECT_EQ(schedule.after_answer(30s), 30s);
  EXPECT_EQ(schedule.after_failure(), 1s);
}

/// A name server on a loopback port. It answers A queries from a table, other queries with no records, and
/// queries for unknown names with NXDOMAIN.
class NameServer {
 public:
  NameServer() : socket_(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
    const Address any = Address::loopback(0);
    EXPECT_EQ(::bind(socket_.number(), any.data(), any.size_bytes()), 0);
    thread_ = ServiceThread::start("name-server", [this](ServiceThread& self) { run(self); }).value();
  }
  std::string address() const { return local_address(socket_.number()).text(); }

  /// The addresses as bytes, "\xC0\x00\x02\x01", one after another.
  void set(const std::string& name, std::vector<std::string> ips, std::uint8_t ttl_seconds) {
    const std::lock_guard lock(mutex_);
    records_[name] = {std::move(ips), ttl_seconds};
  }
  void forget(const std::string& name) {
    const std::lock_guard lock(mutex_);
    records_.erase(name);
  }

 private:
  struct Records {
    std::vector<std::string> ips;
    std::uint8_t ttl_seconds = 0;
  };

  void run(ServiceThread& self) {
    while (!self.stopping()) {
      pollfd watched[2] = {{self.wake_descriptor(), POLLIN, 0}, {socket_.number(), POLLIN, 0}};
      ::poll(watched, 2, -1);
      if (watched[1].revents != 0) answer_one();
    }
  }

  void answer_one() {
    char query[512];
    sockaddr_storage from{};
    socklen_t from_bytes = sizeof from;
    const ssize_t size =
        ::recvfrom(socket_.number(), query, sizeof query, 0, reinterpret_cast<sockaddr*>(&from), &from_bytes);
    if (size < 17) return;
    const std::string reply = answer({query, static_cast<std::size_t>(size)});
    ::sendto(socket_.number(), reply.data(), reply.size(), 0, reinterpret_cast<sockaddr*>(&from), from_bytes);
  }

  std::string answer(const std::string& query) {
    const std::lock_guard lock(mutex_);
    std::string name;
    std::size_t at = 12;
    while (query[at] != 0) {
      name += (name.empty() ? "" : ".") + query.substr(at + 1, static_cast<std::size_t>(query[at]));
      at += static_cast<std::size_t>(query[at]) + 1;
    }
    const bool asks_a = query[at + 2] == 1;
    const auto found = records_.find(name);
    const auto& ips = found == records_.end() || !asks_a ? std::vector<std::string>{} : found->second.ips;
    std::string reply = query.substr(0, 2) + '\x81' + (found == records_.end() ? '\x83' : '\x80');
    reply += std::string("\0\1\0", 3) + static_cast<char>(ips.size()) + std::string(4, '\0');
    reply += query.substr(12, at + 5 - 12);
    for (const auto& ip : ips) {
      reply += std::string("\xC0\x0C\0\1\0\1\0\0\0", 9) + static_cast<char>(found->second.ttl_seconds);
      reply += std::string("\0\4", 2) + ip;
    }
    return reply;
  }

  Fd socket_;
  std::mutex mutex_;
  std::map<std::string, Records> records_;
  std::unique_ptr<ServiceThread> thread_;
};

/// Waits for the answers that a resolver delivers.
class Deliveries {
 public:
  void add(const std::string& host, const Result<std::vector<Address>>& found) {
    const std::lock_guard lock(mutex_);
    delivered_.emplace_back(host, found);
    arrived_.notify_all();
  }
  std::pair<std::string, Result<std::vector<Address>>> next() {
    std::unique_lock lock(mutex_);
    if (!arrived_.wait_for(lock, 20s, [this] { return !delivered_.empty(); })) {
      return {"nothing in time", fail(ErrorKind::kSystem, "nothing in time")};
    }
    auto first = delivered_.front();
    delivered_.erase(delivered_.begin());
    return first;
  }

 private:
  std::mutex mutex_;
  std::condition_variable arrived_;
  std::vector<std::pair<std::string, Result<std::vector<Address>>>> delivered_;
};

class ResolverTest : public testing::Test {
 protected:
  Address ip(const char* text) { return Address::from_ip(text, 0).value(); }
  std::unique_ptr<Resolver> resolver() {
    return std::make_unique<Resolver>(
        Resolver::Options{.name_servers = server_.address(), .query_timeout = 2s, .tries = 3},
        [this](const std::string& host, const Result<std::vector<Address>>& found) {
          deliveries_.add(host, found);
        });
  }

  NameServer server_;
  Deliveries deliveries_;
};

TEST_F(ResolverTest, DeliversEveryAddressOfAName) {
  server_.set("app.test", {std::string("\xC0\0\2\1", 4), std::string("\xC0\0\2\2", 4)}, 60);
  const auto names = resolver();
  ASSERT_TRUE(names->follow({"app.test"}).has_value());
  const auto [host, found] = deliveries_.next();
  EXPECT_EQ(host, "app.test");
  ASSERT_TRUE(found.has_value()) << found.error().what;
  EXPECT_THAT(*found, testing::UnorderedElementsAre(ip("192.0.2.1"), ip("192.0.2.2")));
}

TEST_F(ResolverTest, LooksUpAgainWhenTheTimeToLiveIsOver) {
  server_.set("app.test", {std::string("\xC0\0\2\1", 4)}, 1);
  const auto names = resolver();
  ASSERT_TRUE(names->follow({"app.test"}).has_value());
  EXPECT_THAT(deliveries_.next().second.value(), ElementsAre(ip("192.0.2.1")));
  server_.set("app.test", {std::string("\xC0\0\2\7", 4)}, 1);
  auto again = deliveries_.next().second.value();
  if (again == std::vector{ip("192.0.2.1")}) again = deliveries_.next().second.value();
  EXPECT_THAT(again, ElementsAre(ip("192.0.2.7")));
}

TEST_F(ResolverTest, SaysWhyANameHasNoAddressAndTriesAgain) {
  const auto names = resolver();
  ASSERT_TRUE(names->follow({"nobody.test"}).has_value());
  const auto [host, found] = deliveries_.next();
  ASSERT_FALSE(found.has_value());
  EXPECT_THAT(found.error().what, HasSubstr("cannot resolve nobody.test: "));
  server_.set("nobody.test", {std::string("\xC0\0\2\1", 4)}, 60);
  auto later = deliveries_.next().second;
  if (!later) later = deliveries_.next().second;
  ASSERT_TRUE(later.has_value()) << later.error().what;
  EXPECT_THAT(*later, ElementsAre(ip("192.0.2.1")));
}

TEST_F(ResolverTest, DeliversWhatItKnowsAgainWhenItIsToldToFollowAgain) {
  server_.set("app.test", {std::string("\xC0\0\2\1", 4)}, 60);
  server_.set("api.test", {std::string("\xC0\0\2\2", 4)}, 60);
  const auto names = resolver();
  ASSERT_TRUE(names->follow({"app.test"}).has_value());
  EXPECT_EQ(deliveries_.next().first, "app.test");
  server_.forget("app.test");
  ASSERT_TRUE(names->follow({"app.test", "api.test"}).has_value());
  const std::vector<std::string> hosts{deliveries_.next().first, deliveries_.next().first};
  EXPECT_THAT(hosts, testing::UnorderedElementsAre("app.test", "api.test"));
}

TEST_F(ResolverTest, TellsWhenEveryNameHasBeenLookedUpOnce) {
  server_.set("app.test", {std::string("\xC0\0\2\1", 4)}, 60);
  std::promise<std::size_t> told;  // how many answers had come by then
  std::atomic<std::size_t> delivered{0};
  Resolver names({.name_servers = server_.address(), .on_first_answers = [&] { told.set_value(delivered); }},
                 [&](const std::string&, const Result<std::vector<Address>>&) { ++delivered; });
  EXPECT_TRUE(names.unanswered().empty());
  ASSERT_TRUE(names.follow({"app.test", "nobody.test"}).has_value());
  auto all = told.get_future();
  ASSERT_EQ(all.wait_for(20s), std::future_status::ready);
  EXPECT_EQ(all.get(), 2U);
  EXPECT_TRUE(names.unanswered().empty());
}

TEST_F(ResolverTest, KnowsLocalhostWithoutANameServer) {
  const auto names = resolver();
  ASSERT_TRUE(names->follow({"localhost"}).has_value());
  const auto found = deliveries_.next().second;
  ASSERT_TRUE(found.has_value()) << found.error().what;
  EXPECT_THAT(*found, Contains(ip("127.0.0.1")));
}

TEST_F(ResolverTest, EndsWhileALookupIsUnderWay) {
  // This name server never answers: its socket is bound and never read.
  const Fd silent(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  const Address any = Address::loopback(0);
  ASSERT_EQ(::bind(silent.number(), any.data(), any.size_bytes()), 0);
  Resolver names(
      {.name_servers = local_address(silent.number()).text(), .query_timeout = 60s, .tries = 3},
      [](const std::string&, const Result<std::vector<Address>>&) { FAIL() << "nothing was learned"; });
  ASSERT_TRUE(names.follow({"app.test"}).has_value());
  pollfd asked{silent.number(), POLLIN, 0};
  ASSERT_EQ(::poll(&asked, 1, 20'000), 1);
  EXPECT_THAT(names.unanswered(), testing::ElementsAre("app.test"));
}

}  // namespace
}  // namespace headgate
