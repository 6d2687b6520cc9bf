#include "net/resolver.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
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

/// A name server on a loopback port. It answers A and SRV queries from tables, other queries with no records,
/// and queries for unknown names with NXDOMAIN, or, for a name that fails, with SERVFAIL.
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
  /// The records' data: priority, weight, port and target as bytes.
  void set_service(const std::string& name, std::vector<std::string> targets, std::uint8_t ttl_seconds) {
    const std::lock_guard lock(mutex_);
    records_[name] = {.ttl_seconds = ttl_seconds, .services = std::move(targets)};
  }
  void forget(const std::string& name) {
    const std::lock_guard lock(mutex_);
    records_.erase(name);
  }
  void fail(const std::string& name) {
    const std::lock_guard lock(mutex_);
    records_[name] = {.fails = true};
  }

 private:
  struct Records {
    std::vector<std::string> ips{};
    std::uint8_t ttl_seconds = 0;
    std::vector<std::string> services{};
    bool fails = false;
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
    const char type = query[at + 2];
    const auto found = records_.find(name);
    const Records records = found == records_.end() ? Records{} : found->second;
    const auto& datas = type == 1 ? records.ips : type == 33 ? records.services : std::vector<std::string>{};
    const char code = found == records_.end() ? '\x83' : records.fails ? '\x82' : '\x80';
    std::string reply = query.substr(0, 2) + '\x81' + code;
    reply += std::string("\0\1\0", 3) + static_cast<char>(datas.size()) + std::string(4, '\0');
    reply += query.substr(12, at + 5 - 12);
    for (const auto& data : datas) {
      reply += std::string("\xC0\x0C\0", 3) + type + std::string("\0\1\0\0\0", 5) +
               static_cast<char>(records.ttl_seconds);
      reply += '\0' + std::string(1, static_cast<char>(data.size())) + data;
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
  void add(const std::string& host, const Resolver::Found& found) {
    const std::lock_guard lock(mutex_);
    delivered_.emplace_back(host, found);
    arrived_.notify_all();
  }
  std::pair<std::string, Resolver::Found> next() {
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
  std::vector<std::pair<std::string, Resolver::Found>> delivered_;
};

class ResolverTest : public testing::Test {
 protected:
  Address ip(const char* text) { return Address::from_ip(text, 0).value(); }
  std::unique_ptr<Resolver> resolver() {
    return std::make_unique<Resolver>(
        Resolver::Options{.name_servers = server_.address(), .query_timeout = 2s, .tries = 3},
        [this](const std::string& host, const Resolver::Found& found) { deliveries_.add(host, found); });
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
  if (again == std::vector<ResolvedAddress>{ip("192.0.2.1")}) again = deliveries_.next().second.value();
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

/// The data of an SRV record of port 5432 whose target is `host`.test.
std::string service_at(const std::string& host, char priority, char weight) {
  return std::string(1, '\0') + priority + '\0' + weight + "\x15\x38" + static_cast<char>(host.size()) +
         host + std::string("\4test\0", 6);
}

class ServiceTest : public ResolverTest {
 protected:
  ServiceTest() {
    server_.set_service("_pg._tcp.test", {service_at("a", 1, 3), service_at("b", 2, 1)}, 1);
    server_.set("a.test", {std::string("\xC0\0\2\1", 4), std::string("\xC0\0\2\2", 4)}, 60);
    server_.set("b.test", {std::string("\xC0\0\2\3", 4)}, 60);
  }
  ResolvedAddress at(const char* text, std::uint16_t priority, std::uint32_t weight) {
    Address address = ip(text);
    address.set_port(5432);
    return {address, priority, weight};
  }
  Resolver::Found next() {
    auto [name, found] = deliveries_.next();
    EXPECT_EQ(name, "srv:_pg._tcp.test");
    return found;
  }
  /// The next answer that is not `other`.
  Resolver::Found next_but(const std::vector<ResolvedAddress>& other) {
    for (;;) {
      auto found = next();
      if (!found || *found != other) return found;
    }
  }

  const std::vector<ResolvedAddress> all{at("192.0.2.1", 1, 48), at("192.0.2.2", 1, 48),
                                         at("192.0.2.3", 2, 16)};
};

TEST_F(ServiceTest, DeliversTheAddressesOfAllTargetsWithTheirPlaceAmongTheOthers) {
  const auto names = resolver();
  ASSERT_TRUE(names->follow({"srv:_pg._tcp.test"}).has_value());
  const auto found = next();
  ASSERT_TRUE(found.has_value()) << found.error().what;
  EXPECT_THAT(*found, testing::UnorderedElementsAreArray(all));
  // The name counts as answered once its answer has been delivered.
  const auto latest = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (!names->unanswered().empty() && std::chrono::steady_clock::now() < latest) std::this_thread::yield();
  EXPECT_TRUE(names->unanswered().empty());
}

TEST_F(ServiceTest, FollowsTheRecordsWhenTheirTimeToLiveIsOver) {
  const auto names = resolver();
  ASSERT_TRUE(names->follow({"srv:_pg._tcp.test"}).has_value());
  const auto first = next().value();
  server_.set_service("_pg._tcp.test", {service_at("b", 1, 1)}, 1);
  EXPECT_THAT(next_but(first).value(), ElementsAre(at("192.0.2.3", 1, 1)));
}

TEST_F(ServiceTest, LeavesOutATargetThatHasNoAddress) {
  server_.forget("a.test");
  const auto names = resolver();
  ASSERT_TRUE(names->follow({"srv:_pg._tcp.test"}).has_value());
  EXPECT_THAT(next().value(), ElementsAre(at("192.0.2.3", 2, 16)));
}

TEST_F(ServiceTest, KeepsWhatItKnowsWhileTheNameServersDoNotAnswerForATarget) {
  const auto names = resolver();
  ASSERT_TRUE(names->follow({"srv:_pg._tcp.test"}).has_value());
  const auto first = next().value();
  server_.fail("a.test");
  const auto later = next_but(first);
  EXPECT_FALSE(later.has_value()) << "a failure leaves the known addresses in use";
}

TEST_F(ServiceTest, SaysWhyAServiceHasNoAddress) {
  server_.set_service("_pg._tcp.test", {std::string("\0\0\0\0\0\0\0", 7)}, 1);
  const auto names = resolver();
  ASSERT_TRUE(names->follow({"srv:_pg._tcp.test"}).has_value());
  EXPECT_EQ(next().error().what,
            "cannot resolve srv:_pg._tcp.test: its SRV records say that there is no such service");
}

TEST_F(ServiceTest, SaysThatThereIsNoSuchName) {
  server_.forget("_pg._tcp.test");
  const auto names = resolver();
  ASSERT_TRUE(names->follow({"srv:_pg._tcp.test"}).has_value());
  EXPECT_THAT(next().error().what, HasSubstr("cannot resolve srv:_pg._tcp.test: "));
}

TEST_F(ResolverTest, TellsWhenEveryNameHasBeenLookedUpOnce) {
  server_.set("app.test", {std::string("\xC0\0\2\1", 4)}, 60);
  std::promise<std::size_t> told;  // how many answers had come by then
  std::atomic<std::size_t> delivered{0};
  Resolver names({.name_servers = server_.address(), .on_first_answers = [&] { told.set_value(delivered); }},
                 [&](const std::string&, const Resolver::Found&) { ++delivered; });
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
  Resolver names({.name_servers = local_address(silent.number()).text(), .query_timeout = 60s, .tries = 3},
                 [](const std::string&, const Resolver::Found&) { FAIL() << "nothing was learned"; });
  ASSERT_TRUE(names.follow({"app.test"}).has_value());
  pollfd asked{silent.number(), POLLIN, 0};
  ASSERT_EQ(::poll(&asked, 1, 20'000), 1);
  EXPECT_THAT(names.unanswered(), testing::ElementsAre("app.test"));
}

}  // namespace
}  // namespace headgate
