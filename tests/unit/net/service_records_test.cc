#include "net/service_records.h"

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace headgate {
namespace {

using namespace std::chrono_literals;
using namespace std::string_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::SizeIs;

std::string u16(unsigned value) {
  return {static_cast<char>(value >> 8), static_cast<char>(value & 0xFF)};
}

/// A name as DNS has it.
std::string labels(const std::string& name) {
  std::string text;
  for (std::size_t at = 0; at < name.size();) {
    const std::size_t end = std::min(name.find('.', at), name.size());
    text += static_cast<char>(end - at) + name.substr(at, end - at);
    at = end + 1;
  }
  return text + '\0';
}

std::string record(unsigned type, unsigned ttl_seconds, const std::string& data) {
  return "\xC0\x0C"s + u16(type) + u16(1) + u16(0) + u16(ttl_seconds) +
         u16(static_cast<unsigned>(data.size())) + data;
}
std::string service(unsigned priority, unsigned weight, unsigned port, const std::string& host,
                    unsigned ttl_seconds = 60) {
  return record(33, ttl_seconds, u16(priority) + u16(weight) + u16(port) + labels(host));
}

/// The answer to a question for the SRV records of _pg._tcp.test.
std::string answer_with(const std::vector<std::string>& records) {
  std::string message =
      "\x12\x34\x81\x80"s + u16(1) + u16(static_cast<unsigned>(records.size())) + u16(0) + u16(0);
  message += labels("_pg._tcp.test") + u16(33) + u16(1);
  for (const std::string& one : records) message += one;
  return message;
}

Result<ServiceRecords> parse(const std::string& message) {
  return parse_service_records(std::as_bytes(std::span(message)));
}

TEST(ServiceRecords, AreTargetsByPriorityWithTheShortestTimeToLive) {
  const auto found =
      parse(answer_with({service(20, 5, 5433, "b.test", 30), service(10, 5, 5432, "a.test", 90)}));
  ASSERT_TRUE(found.has_value()) << found.error().what;
  EXPECT_EQ(found->ttl, 30s);
  EXPECT_THAT(found->targets,
              ElementsAre(ServiceTarget{"a.test", 5432, 10, 1}, ServiceTarget{"b.test", 5433, 20, 1}));
}

TEST(ServiceRecords, HaveTheirWeightsOfWhichZeroIsAVerySmallOne) {
  const auto found = parse(
      answer_with({service(1, 0, 1, "a.test"), service(1, 2, 1, "b.test"), service(1, 6, 1, "c.test")}));
  EXPECT_EQ(found->targets[0].weight, 1U);
  EXPECT_EQ(found->targets[1].weight, 32U);
  EXPECT_EQ(found->targets[2].weight, 96U);
  const auto zeros = parse(answer_with({service(1, 0, 1, "a.test"), service(1, 0, 1, "b.test")}));
  for (const auto& target : zeros->targets) EXPECT_EQ(target.weight, 1U);
}

TEST(ServiceRecords, MayComeBehindAnAlias) {
  const std::string alias = record(5, 10, labels("other.test"));
  EXPECT_THAT(parse(answer_with({alias, service(1, 1, 5432, "a.test")}))->targets, SizeIs(1));
}

TEST(ServiceRecords, SayThatThereIsNoSuchService) {
  EXPECT_THAT(parse(answer_with({service(0, 0, 0, "")})).error().what, HasSubstr("no such service"));
  EXPECT_THAT(parse(answer_with({})).error().what, HasSubstr("no SRV record"));
  EXPECT_THAT(parse(answer_with({record(1, 10, "\x7F\0\0\1"s)})).error().what, HasSubstr("no SRV record"));
}

TEST(ServiceRecords, AreSkippedWhereNoConnectionCanGo) {
  const auto found = parse(answer_with(
      {service(1, 1, 0, "zero.test"), service(1, 1, 5432, "a b.test"), service(1, 1, 5432, "a.test")}));
  EXPECT_THAT(found->targets, ElementsAre(ServiceTarget{"a.test", 5432, 1, 1}));
}

TEST(ServiceRecords, AreBoundedAndThoseOfTheLowestPrioritiesStay) {
  std::vector<std::string> records;
  for (unsigned i = 0; i < 200; ++i) records.push_back(service(200 - i, 1, 5432, "a.test"));
  const auto found = parse(answer_with(records));
  EXPECT_THAT(found->targets, SizeIs(kMaxServiceTargets));
  EXPECT_EQ(found->targets.front().priority, 1U);
}

TEST(ServiceRecords, AreMalformedInEveryPrefixAndNoDamageIsWorseThanThat) {
  const std::string good = answer_with({service(1, 1, 5432, "a.test"), service(1, 1, 5433, "b.test")});
  for (std::size_t size = 0; size < good.size(); ++size) {
    const auto found = parse(good.substr(0, size));
    ASSERT_FALSE(found.has_value()) << size;
    EXPECT_EQ(found.error().kind, ErrorKind::kMalformed) << size;
  }
  for (std::size_t at = 0; at < good.size(); ++at) {
    for (const int flip : {1, 0x40, 0x80, 0xFF}) {
      std::string damaged = good;
      damaged[at] = static_cast<char>(damaged[at] ^ flip);
      const auto found = parse(damaged);
      if (found) {
        EXPECT_LE(found->targets.size(), 2U);
      }
    }
  }
}

}  // namespace
}  // namespace headgate
