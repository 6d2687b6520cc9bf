#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <iostream>
#include <map>
#include <string>

#include <gtest/gtest.h>
#include <openssl/ssl.h>

#include "faults/injection.h"
#include "faults/world.h"

namespace headgate::test {
namespace {

/// Every kind of life of which the worker has code of its own.
constexpr LifeKind kLives[] = {
    {.name = "Tls13"},
    {.name = "Tls13Resumed", .resumes = true},
    {.name = "Tls13Retried", .groups = "P-521:X25519"},
    {.name = "Tls13OpensslRecords", .openssl_records = true},
    {.name = "Tls13RsaSignature", .key = "RSA-2048"},
    {.name = "Tls12", .max_version = TLS1_2_VERSION},
    {.name = "Tls12Resumed", .resumes = true, .max_version = TLS1_2_VERSION},
    {.name = "Tls12RsaKeyExchange",
     .max_version = TLS1_2_VERSION,
     .ciphers = "AES128-GCM-SHA256",
     .key = "RSA-2048"},
    {.name = "ClientCertificate", .client_certificate = true},
    {.name = "ClientCertificateResumed", .client_certificate = true, .resumes = true},
    {.name = "Plain", .client_tls = false},
    {.name = "Passthrough", .passthrough = true},
    {.name = "Starttls", .starttls = true},
    {.name = "ProxyHeaders", .proxy_headers = true},
    {.name = "BackendTls", .client_tls = false, .backend_tls = true},
};

/// What has to become of a connection when a call fails.
enum class Outcome : std::uint8_t {
  kWhole,  ///< Nothing is lost: every byte arrives, and both ends are in order.
  kEnds,   ///< The connection may end, with a reason.
};

struct FaultRow {
  Call call;
  int error;
  Outcome outcome = Outcome::kEnds;
};

constexpr FaultRow kSystemCalls[] = {
    {Call::kAccept, EAGAIN, Outcome::kWhole},
    {Call::kAccept, EINTR, Outcome::kWhole},
    {Call::kAccept, ECONNABORTED, Outcome::kWhole},
    {Call::kAccept, EMFILE},
    {Call::kAccept, ENFILE},
    {Call::kAccept, ENOBUFS},
    {Call::kAccept, ENOMEM},
    {Call::kRecv, EAGAIN, Outcome::kWhole},
    {Call::kRecv, EINTR, Outcome::kWhole},
    {Call::kRecv, kOneByte, Outcome::kWhole},
    {Call::kRecv, ECONNRESET},
    {Call::kRecv, ENOMEM},
    {Call::kRecvmsg, EAGAIN, Outcome::kWhole},
    {Call::kRecvmsg, EINTR, Outcome::kWhole},
    {Call::kRecvmsg, kOneByte, Outcome::kWhole},
    {Call::kRecvmsg, ECONNRESET},
    {Call::kRecvmsg, ENOBUFS},
    {Call::kSend, EAGAIN, Outcome::kWhole},
    {Call::kSend, EINTR, Outcome::kWhole},
    {Call::kSend, kOneByte, Outcome::kWhole},
    {Call::kSend, ECONNRESET},
    {Call::kSend, EPIPE},
    {Call::kSend, ENOBUFS},
    {Call::kSend, ENOMEM},
    {Call::kSplice, EAGAIN, Outcome::kWhole},
    {Call::kSplice, EINTR, Outcome::kWhole},
    {Call::kSplice, EINVAL, Outcome::kWhole},
    {Call::kSplice, kOneByte, Outcome::kWhole},
    {Call::kSplice, ECONNRESET},
    {Call::kSplice, ENOMEM},
    {Call::kPipe, EMFILE, Outcome::kWhole},
    {Call::kPipe, ENFILE, Outcome::kWhole},
    {Call::kSocket, EMFILE},
    {Call::kSocket, ENFILE},
    {Call::kSocket, ENOBUFS},
    {Call::kSocket, ENOMEM},
    {Call::kConnect, EADDRNOTAVAIL},
    {Call::kConnect, ECONNREFUSED},
    {Call::kConnect, EAGAIN},
    {Call::kSetsockopt, ENOBUFS},
    {Call::kGetsockname, ENOBUFS},
    {Call::kPoll, EINTR, Outcome::kWhole},
    {Call::kPoll, ENOMEM, Outcome::kWhole},
    {Call::kEpollCtl, ENOMEM},
    {Call::kEpollCtl, ENOSPC},
};

/// A call that fails each time, in one life.
constexpr FaultRow kLastingFaults[] = {
    {Call::kRecv, ENOMEM},        {Call::kSend, ENOBUFS},
    {Call::kSocket, EMFILE},      {Call::kConnect, EADDRNOTAVAIL},
    {Call::kSetsockopt, ENOBUFS}, {Call::kEpollCtl, ENOSPC},
    {Call::kNew, ENOMEM},         {Call::kOpensslMemory, ENOMEM},
};

/// How far apart the calls are that fail, where a life makes `calls` of them: each fails where
/// HEADGATE_FAULTS=all, else about `most` of them.
std::uint64_t stride(std::uint64_t calls, std::uint64_t most) {
  const char* wanted = std::getenv("HEADGATE_FAULTS");
  const bool all = wanted != nullptr && std::string_view(wanted) == "all";
  return all ? 1 : (calls + most - 1) / most;
}

/// Where HEADGATE_FAULTS_LOG is set, each fault is named before its life begins: a crash shows which one it
/// was.
void announce(const LifeKind& life, const FaultRow& row, std::uint64_t nth) {
  if (std::getenv("HEADGATE_FAULTS_LOG") == nullptr) return;
  std::cerr << life.name << ": " << name(row.call) << " " << nth << ", error " << row.error << std::endl;
}

constexpr std::uint64_t kMostCalls = 1'000'000;

class FaultsTest : public testing::TestWithParam<LifeKind> {
 protected:
  /// One life with one fault. Returns whether the life came to the call.
  bool survives(World& world, const FaultRow& row, std::uint64_t nth) {
    announce(GetParam(), row, nth);
    const LifeEnd end = world.live({.call = row.call, .nth = nth, .error = row.error});
    const std::string what = std::string(name(row.call)) + " number " + std::to_string(nth) + ", error " +
                             std::to_string(row.error);
    EXPECT_EQ(end.fault, "") << what;
    if (!end.why) return false;
    const bool may_end = end.struck && row.outcome == Outcome::kEnds;
    EXPECT_TRUE(may_end || end.whole) << what << ": ended as " << headgate::name(*end.why);
    if (end.struck) ++ends_[std::string(headgate::name(*end.why))];
    return end.struck;
  }
  /// Makes the n-th call fail, for every n that a life has, or for some `most` of them.
  void fail_each(World& world, const FaultRow& row, std::uint64_t most = kMostCalls) {
    survives(world, {Call::kNone, 0, Outcome::kWhole}, 1);
    const std::uint64_t step = std::max<std::uint64_t>(stride(calls_made(row.call), most), 1);
    for (std::uint64_t nth = 1; survives(world, row, nth) && !HasFailure(); nth += step) continue;
    report(row);
  }
  /// The same with a new worker for each n.
  void fail_each_of_the_first_life(const FaultRow& row, std::uint64_t most = kMostCalls) {
    {
      World world(GetParam(), Worked::kNever);
      survives(world, {Call::kNone, 0, Outcome::kWhole}, 1);
    }
    const std::uint64_t step = std::max<std::uint64_t>(stride(calls_made(row.call), most), 1);
    for (std::uint64_t nth = 1; !HasFailure(); nth += step) {
      World world(GetParam(), Worked::kNever);
      if (!survives(world, row, nth)) break;
    }
    report(row);
  }
  /// Prints a row of the table of faults: how often a life ended in each way.
  void report(const FaultRow& row) {
    if (ends_.empty()) return;
    const char* error = row.error == kOneByte ? "one byte" : strerrorname_np(row.error);
    std::cout << GetParam().name << ", " << name(row.call) << ", " << error << ":";
    for (const auto& [why, times] : ends_) std::cout << " " << why << " " << times;
    std::cout << "\n";
    ends_.clear();
  }

  std::map<std::string, int> ends_;
};

TEST_P(FaultsTest, EachSystemCallMayFail) {
  World world(GetParam(), Worked::kBefore);
  for (const FaultRow& row : kSystemCalls) fail_each(world, row);
}

TEST_P(FaultsTest, ACallMayFailEachTime) {
  World world(GetParam(), Worked::kBefore);
  for (const FaultRow& row : kLastingFaults) {
    survives(world, row, kEach);
    report(row);
    survives(world, {Call::kNone, 0, Outcome::kWhole}, 1);
  }
}

TEST_P(FaultsTest, EachAllocationMayFail) {
  World world(GetParam(), Worked::kBefore);
  fail_each(world, {Call::kNew, ENOMEM});
}

TEST_P(FaultsTest, EachAllocationOfOpensslMayFail) {
  World world(GetParam(), Worked::kBefore);
  fail_each(world, {Call::kOpensslMemory, ENOMEM}, 60);
}

TEST_P(FaultsTest, EachCallOfAWorkersFirstConnectionMayFail) {
  fail_each_of_the_first_life({Call::kThread, EAGAIN, Outcome::kWhole});
  fail_each_of_the_first_life({Call::kNew, ENOMEM}, 20);
  fail_each_of_the_first_life({Call::kOpensslMemory, ENOMEM}, 20);
}

// The peer of a socket is not told of the end then, and waits.
TEST(FaultTable, AnEndThatCannotBeSentIsOverWithItsTimeout) {
  for (LifeKind kind : {LifeKind{.name = "Tls13"}, LifeKind{.name = "Plain", .client_tls = false}}) {
    kind.half_close_ms = 100;
    World world(kind, Worked::kNever);
    const LifeEnd end = world.live({.call = Call::kShutdown, .nth = 1, .error = ENOTCONN});
    EXPECT_EQ(end.fault, "") << kind.name;
    EXPECT_TRUE(end.struck) << kind.name;
    EXPECT_EQ(end.why, CloseReason::kHalfCloseTimeout) << kind.name;
  }
}

// A row whose call nobody makes would prove nothing.
TEST(FaultTable, EachOfItsCallsIsMadeInSomeLife) {
  std::map<Call, std::uint64_t> calls;
  for (const LifeKind& kind : kLives) {
    World world(kind, Worked::kNever);
    EXPECT_TRUE(world.live({}).whole) << kind.name;
    for (const FaultRow& row : kSystemCalls) calls[row.call] += calls_made(row.call);
    for (const Call call : {Call::kThread, Call::kNew, Call::kOpensslMemory}) calls[call] += calls_made(call);
  }
  for (const auto& [call, made] : calls) EXPECT_GT(made, 0U) << name(call);
}

INSTANTIATE_TEST_SUITE_P(Lives, FaultsTest, testing::ValuesIn(kLives),
                         [](const auto& life) { return std::string(life.param.name); });

}  // namespace
}  // namespace headgate::test
