#include "metrics/exporter.h"

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <set>
#include <sstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "metrics/alert_name.h"
#include "unit/metrics/certificate_list.h"

namespace headgate {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::HasSubstr;
using ::testing::Not;

struct ExporterTest : ::testing::Test {
  MetricsRegistry registry;
  StateBoard board;
  Exporter exporter{registry, board};
};

TEST_F(ExporterTest, SumsTheWorkersOfAListener) {
  registry.listener(0, "web").accepted.add(3);
  registry.listener(1, "web").accepted.add(4);
  registry.listener(1, "mail").active.add(2);
  const std::string text = exporter.text();
  EXPECT_THAT(text, HasSubstr("headgate_connections_accepted_total{listener=\"web\"} 7\n"));
  EXPECT_THAT(text, HasSubstr("headgate_connections_active{listener=\"mail\"} 2\n"));
}

TEST_F(ExporterTest, TellsOfSpliceOnlyWhereThereWasAny) {
  registry.listener(0, "web").accepted.add(1);
  EXPECT_THAT(exporter.text(), Not(HasSubstr("headgate_spliced_bytes_total{")));
  registry.listener(0, "web").spliced_bytes[static_cast<std::size_t>(Direction::kToClient)].add(5);
  registry.listener(1, "web").splice_events[static_cast<std::size_t>(SpliceEvent::kNoPipe)].add(2);
  const std::string text = exporter.text();
  EXPECT_THAT(text, HasSubstr("headgate_spliced_bytes_total{listener=\"web\",direction=\"to_client\"} 5\n"));
  EXPECT_THAT(text, HasSubstr("headgate_splice_events_total{listener=\"web\",event=\"no_pipe\"} 2\n"));
}

TEST_F(ExporterTest, LeavesOutWhatIsNotWanted) {
  registry.listener(0, "web").accepted.add(3);
  MetricSet wanted;
  wanted.set(*find_metric("headgate_handshake_duration_seconds"));
  const std::string text = exporter.text(wanted);
  EXPECT_THAT(text, HasSubstr("headgate_handshake_duration_seconds_count"));
  EXPECT_THAT(text, Not(HasSubstr("accepted")));
  EXPECT_THAT(text, Not(HasSubstr("process_")));
  EXPECT_EQ(exporter.text(MetricSet()), "");
}

/// The value of the only series of `metric` in `text`.
double value_of(const std::string& text, const std::string& metric) {
  const std::size_t at = text.find(metric + "{");
  return at == std::string::npos ? -1 : std::stod(text.substr(text.find(' ', at)));
}

TEST_F(ExporterTest, AgesATicketKeyUntilTheNextOneIsDueWithoutAReload) {
  board.update(
      [](ProcessState& state) { state.listeners.push_back({.name = "web", .ticket_keys_for = seconds(1)}); });
  const double age = value_of(exporter.text(), "headgate_ticket_key_age_seconds");
  EXPECT_GE(age, 0);
  EXPECT_LT(age, 1);
}

// A process that has just begun, or just got another secret, issues tickets with a new key, at any place in
// the slot.
TEST_F(ExporterTest, AgesATicketKeyFromTheTimeOfItsSecret) {
  board.update([](ProcessState& state) {
    state.listeners.push_back(
        {.name = "web",
         .ticket_keys_for = std::chrono::hours(24 * 365 * 100),
         .ticket_secret_since = std::chrono::system_clock::now() - std::chrono::hours(2)});
  });
  const double age = value_of(exporter.text(), "headgate_ticket_key_age_seconds");
  EXPECT_GE(age, 7200);
  EXPECT_LT(age, 7200 + 600);
}

TEST_F(ExporterTest, ShowsHistogramsInSecondsWithCumulativeBuckets) {
  auto& histogram = registry.listener(0, "web").handshake_duration[0][1];
  histogram.observe(milliseconds(1));
  histogram.observe(milliseconds(300));
  registry.listener(1, "web").handshake_duration[0][1].observe(std::chrono::minutes(5));
  const std::string text = exporter.text();
  const std::string series = "headgate_handshake_duration_seconds_";
  const std::string labels = "{listener=\"web\",phase=\"total\",resumed=\"yes\"";
  EXPECT_THAT(text, HasSubstr(series + "bucket" + labels + ",le=\"0.001\"} 1\n"));
  EXPECT_THAT(text, HasSubstr(series + "bucket" + labels + ",le=\"0.5\"} 2\n"));
  EXPECT_THAT(text, HasSubstr(series + "bucket" + labels + ",le=\"+Inf\"} 3\n"));
  EXPECT_THAT(text, HasSubstr(series + "count" + labels + "} 3\n"));
  EXPECT_THAT(text, HasSubstr(series + "sum" + labels + "} 300.301\n"));
}

TEST_F(ExporterTest, HasZeroesForSmallSetsOfLabelsAndLeavesThemOutOfLargeOnes) {
  static_cast<void>(registry.listener(0, "web"));
  const std::string text = exporter.text();
  EXPECT_THAT(text,
              HasSubstr("headgate_handshakes_total{listener=\"web\",result=\"shed\",resumed=\"no\"} 0\n"));
  EXPECT_THAT(text, HasSubstr("headgate_bytes_total{listener=\"web\",direction=\"to_client\"} 0\n"));
  EXPECT_THAT(text, Not(HasSubstr("headgate_handshake_failures_total")));
  EXPECT_THAT(text, Not(HasSubstr("headgate_connections_closed_total")));
}

TEST_F(ExporterTest, NamesFailuresByReasonAndAlertAndEndsBySide) {
  auto& metrics = registry.listener(0, "web");
  metrics.handshake_failures.add(HandshakeFailure::kNoSharedCipher, 40);
  metrics.handshake_failures.add(HandshakeFailure::kNoSharedCipher, kNoAlert, 2);
  metrics.closed[static_cast<std::size_t>(CloseReason::kBackendReset)].add();
  const std::string text = exporter.text();
  const std::string start =
      "headgate_handshake_failures_total{listener=\"web\",reason=\"no_shared_cipher\",alert=";
  EXPECT_THAT(text, HasSubstr(start + "\"handshake_failure\"} 1\n"));
  EXPECT_THAT(text, HasSubstr(start + "\"none\"} 2\n"));
  EXPECT_THAT(text,
              HasSubstr("closed_total{listener=\"web\",reason=\"backend_reset\",side=\"backend\"} 1\n"));
}

TEST_F(ExporterTest, HasOneSeriesForAllAlertsWithoutAName) {
  auto& metrics = registry.listener(0, "web");
  for (const int alert : {1, 77, 200, 253})
    metrics.handshake_failures.add(HandshakeFailure::kPeerAlert, static_cast<std::uint8_t>(alert));
  const std::string text = exporter.text();
  EXPECT_THAT(text, HasSubstr("{listener=\"web\",reason=\"peer_alert\",alert=\"other\"} 4\n"));
  EXPECT_THAT(text, Not(HasSubstr("alert=\"77\"")));
}

TEST_F(ExporterTest, AddsUpWhatWorkersNegotiated) {
  const Negotiated key{"TLSv1.3", "X25519", "TLS_AES_128_GCM_SHA256", "P-256"};
  registry.listener(0, "web").negotiated.of(key).add(2);
  registry.listener(1, "web").negotiated.of(key).add(3);
  EXPECT_THAT(exporter.text(),
              HasSubstr("headgate_handshakes_negotiated_total{listener=\"web\",version=\"TLSv1.3\","
                        "group=\"X25519\",cipher=\"TLS_AES_128_GCM_SHA256\",key_type=\"P-256\"} 5\n"));
}

TEST_F(ExporterTest, ShowsServersWorkersAndTheProcess) {
  registry.server(0, "app", "127.0.0.1:1").connect_failures[0].add();
  registry.loop(3).busy_us.add(1'500'000);
  const std::string text = exporter.text();
  EXPECT_THAT(text,
              HasSubstr("headgate_backend_connect_failures_total{backend=\"app\",server=\"127.0.0.1:1\","
                        "reason=\"refused\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("headgate_worker_busy_seconds_total{worker=\"3\"} 1.5\n"));
  EXPECT_THAT(text, Not(HasSubstr("process_resident_memory_bytes 0\n")));
  EXPECT_THAT(text, Not(HasSubstr("process_open_fds 0\n")));
}

TEST_F(ExporterTest, ShowsTheSupervisorsState) {
  board.update([](ProcessState& state) {
    state.version = "1.2.3";
    state.openssl = "OpenSSL 3.5.0";
    state.reload.failed = 2;
    state.reload.config_hash = ~std::uint64_t{0};
    state.draining = true;
    state.drains = {{.what = "listener web", .at_start = 3, .remaining = 1, .oldest = milliseconds(500)},
                    {.what = "process", .at_start = 9, .remaining = 4, .oldest = milliseconds(1500)}};
    state.drained_bytes = 1234;
    state.handover[{"left", "tls12"}] = 4;
    state.handovers_failed = 3;
    state.listeners.push_back(
        {.name = "web", .draining = false, .keylog = true, .ticket_keys_for = std::chrono::hours(6)});
    state.backends.push_back({"app", "round_robin", {{.address = "127.0.0.1:1", .up = false}}});
    state.workers.push_back({.worker = 0, .busy_ratio = 0.25});
  });
  const std::string text = exporter.text();
  EXPECT_THAT(text, HasSubstr("headgate_build_info{version=\"1.2.3\",openssl=\"OpenSSL 3.5.0\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("headgate_reloads_total{result=\"failed\"} 2\n"));
  EXPECT_THAT(text, HasSubstr("headgate_config_hash 9007199254740991\n"));
  EXPECT_THAT(text, HasSubstr("headgate_drain_connections_remaining 5\n"));
  EXPECT_THAT(text, HasSubstr("headgate_drain_oldest_connection_seconds 1.5\n"));
  EXPECT_THAT(text, HasSubstr("headgate_drain_bytes_total 1234\n"));
  EXPECT_THAT(text, HasSubstr("headgate_handovers_total{result=\"failed\"} 3\n"));
  EXPECT_THAT(text, HasSubstr("headgate_handover_connections_total{result=\"left\",reason=\"tls12\"} 4\n"));
  EXPECT_THAT(text, HasSubstr("headgate_keylog_enabled{listener=\"web\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("headgate_ticket_key_age_seconds{listener=\"web\"} "));
  EXPECT_THAT(text, HasSubstr("headgate_backend_up{backend=\"app\",server=\"127.0.0.1:1\"} 0\n"));
  EXPECT_THAT(text, HasSubstr("headgate_worker_busy_ratio{worker=\"0\"} 0.25\n"));
}

TEST_F(ExporterTest, HasSeriesForTheCertificatesThatExpireFirstAndCountsAll) {
  std::vector<CertificateReport> certificates;
  for (int i = 0; i < 1500; ++i) {
    certificates.push_back({.file = "c" + std::to_string(i) + ".pem",
                            .names = {"n"},
                            .not_after = WallTime(seconds(1'000'000 - i))});
  }
  certificates.push_back(certificates.back());
  board.update([&](ProcessState& state) {
    state.certificates = std::make_shared<const test::ListedCertificates>(std::move(certificates));
  });
  const std::string text = exporter.text();
  EXPECT_THAT(text, HasSubstr("headgate_certificates 1501\n"));
  EXPECT_THAT(text, HasSubstr("certificate=\"c1499.pem\",name=\"n\"} 998501\n"));
  EXPECT_THAT(text, Not(HasSubstr("certificate=\"c10.pem\"")));
}

TEST_F(ExporterTest, ShowsACanaryWhileItsCertificateIsNotServedToAll) {
  board.update([&](ProcessState& state) {
    state.canaries.push_back({.listener = "web",
                              .file = "a.pem",
                              .went_back = true,
                              .percent = 5,
                              .with_new = {.ok = 1, .failed = 4},
                              .with_old = {.ok = 90, .failed = 2}});
    state.canary_ends[{"web", "a.pem", "went_back"}] = 1;
  });
  const std::string text = exporter.text();
  const std::string labels = "{listener=\"web\",certificate=\"a.pem\",";
  EXPECT_THAT(text, HasSubstr("headgate_certificate_canary" + labels + "state=\"held_back\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("headgate_certificate_canary" + labels + "state=\"comparing\"} 0\n"));
  EXPECT_THAT(text, HasSubstr("canary_handshakes" + labels + "group=\"new\",result=\"failed\"} 4\n"));
  EXPECT_THAT(text, HasSubstr("canary_handshakes" + labels + "group=\"old\",result=\"ok\"} 90\n"));
  EXPECT_THAT(text, HasSubstr("canary_total" + labels + "result=\"went_back\"} 1\n"));
}

TEST_F(ExporterTest, NeverShowsASeriesOrAHeaderTwice) {
  registry.listener(0, "web").closed[0].add();
  static_cast<void>(registry.server(0, "app", "a\"b\\c\n"));
  static_cast<void>(registry.loop(0));
  std::istringstream text(exporter.text());
  std::set<std::string> seen;
  for (std::string line; std::getline(text, line);) {
    EXPECT_TRUE(seen.insert(line.substr(0, line.rfind(' '))).second || line.starts_with("# TYPE")) << line;
  }
}

TEST_F(ExporterTest, PassesPromtool) {
  if (std::system("command -v promtool >/dev/null 2>&1") != 0) GTEST_SKIP() << "promtool is not installed";
  registry.listener(0, "web").closed[0].add();
  registry.listener(0, "web").handshake_failures.add(HandshakeFailure::kNoSharedCipher, 40);
  registry.listener(0, "web").negotiated.of({"TLSv1.3", "X25519", "C", "P-256"}).add();
  static_cast<void>(registry.server(0, "app", "127.0.0.1:1"));
  static_cast<void>(registry.loop(0));
  FILE* promtool = ::popen("promtool check metrics 2>&1", "w");
  ASSERT_NE(promtool, nullptr);
  const std::string text = exporter.text();
  EXPECT_EQ(std::fwrite(text.data(), 1, text.size(), promtool), text.size());
  EXPECT_EQ(::pclose(promtool), 0);
}

TEST(AlertName, IsTheWordOfTheSpecification) {
  EXPECT_EQ(alert_name(40), "handshake_failure");
  EXPECT_EQ(alert_name(120), "no_application_protocol");
  EXPECT_EQ(alert_name(200), "200");
  EXPECT_EQ(alert_name(kNoAlert), "none");
  EXPECT_EQ(alert_name(kOtherAlert), "other");
}

}  // namespace
}  // namespace headgate
