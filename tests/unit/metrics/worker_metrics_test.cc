#include "metrics/worker_metrics.h"

#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace headgate {
namespace {

using std::chrono::microseconds;
using std::chrono::nanoseconds;

TEST(MetricsRegistry, GivesAWorkerTheSameCountersAgain) {
  MetricsRegistry registry;
  registry.listener(0, "web").accepted.add(2);
  registry.listener(0, "web").accepted.add();
  EXPECT_EQ(registry.listener(0, "web").accepted.value(), 3U);
  EXPECT_EQ(registry.listeners().size(), 1U);
}

TEST(MetricsRegistry, KeepsWorkersListenersAndServersApart) {
  MetricsRegistry registry;
  EXPECT_NE(&registry.listener(0, "web"), &registry.listener(1, "web"));
  EXPECT_NE(&registry.listener(0, "web"), &registry.listener(0, "mail"));
  EXPECT_NE(&registry.server(0, "app", "a:1"), &registry.server(0, "app", "b:1"));
  EXPECT_NE(&registry.server(0, "app", "a:1"), &registry.server(0, "api", "a:1"));
  EXPECT_EQ(registry.listeners().size(), 3U);
  EXPECT_EQ(registry.servers().size(), 3U);
  registry.loop(7).handshakes_queued.set(4);
  ASSERT_EQ(registry.loops().size(), 1U);
  EXPECT_EQ(registry.loops()[0].worker, 7);
  EXPECT_EQ(registry.loops()[0].metrics->handshakes_queued.value(), 4U);
}

TEST(MetricsRegistry, IsReadWhileWorkersCount) {
  MetricsRegistry registry;
  ListenerMetrics& metrics = registry.listener(0, "web");
  std::thread worker([&] {
    for (int i = 0; i < 10'000; ++i) {
      metrics.accepted.add();
      metrics.negotiated.of({"TLSv1.3", std::to_string(i % 50), "c", "k"}).add();
    }
  });
  for (int i = 0; i < 100; ++i) static_cast<void>(registry.listeners()[0].metrics->negotiated.values());
  worker.join();
  EXPECT_EQ(metrics.negotiated.values().size(), 50U);
  EXPECT_EQ(registry.listeners()[0].metrics->accepted.value(), 10'000U);
}

TEST(NegotiatedCounters, CountCombinationsAndKeepTheirCounterInPlace) {
  NegotiatedCounters counters;
  Counter& first = counters.of({"TLSv1.3", "X25519", "TLS_AES_128_GCM_SHA256", "P-256"});
  counters.of({"TLSv1.2", "X25519", "ECDHE", "P-256"}).add();
  first.add(5);
  EXPECT_EQ(&first, &counters.of({"TLSv1.3", "X25519", "TLS_AES_128_GCM_SHA256", "P-256"}));
  EXPECT_THAT(counters.values(), ::testing::SizeIs(2));
}

TEST(DurationHistogram, PutsADurationIntoTheBucketWhoseBoundHoldsIt) {
  DurationHistogram histogram;
  histogram.observe(microseconds(25));
  histogram.observe(microseconds(26));
  histogram.observe(std::chrono::hours(2));
  histogram.observe(nanoseconds(-5));
  EXPECT_EQ(histogram.bucket(0), 2U);
  EXPECT_EQ(histogram.bucket(1), 1U);
  EXPECT_EQ(histogram.bucket(DurationHistogram::bucket_count() - 1), 1U);
  EXPECT_EQ(histogram.sum(), 25U + 26U + 7'200'000'000U);
}

TEST(LabelWords, AreThoseOfTheManual) {
  EXPECT_EQ(name(Direction::kToClient), "to_client");
  EXPECT_EQ(name(HandshakeResult::kShed), "shed");
  EXPECT_EQ(name(HandshakePhase::kPeerWait), "peer_wait");
  EXPECT_EQ(name(TicketEvent::kRefusedPolicy), "refused_policy");
  EXPECT_EQ(name(Protection::kOpenssl), "openssl");
  EXPECT_EQ(name(ProtectionReason::kUnsupportedCipher), "unsupported_cipher");
  EXPECT_EQ(name(ConnectFailure::kOther), "other");
}

}  // namespace
}  // namespace headgate
