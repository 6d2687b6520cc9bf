#include <fstream>
#include <sstream>
#include <string>

#include <gtest/gtest.h>

#include "checkout/checkout.h"
#include "metrics/alert_name.h"
#include "metrics/exporter.h"

namespace headgate {
namespace {

/// Gives every counter it meets another number.
class Filler {
 public:
  explicit Filler(std::uint64_t first) : next_(first) {}

  void fill(Counter& counter) { counter.add(next_++); }
  void fill(CountHistogram& histogram) {
    for (const std::uint64_t bound : kCountBounds) histogram.observe(bound);
    for (const std::uint64_t end = next_ + 3; next_ < end; ++next_) histogram.observe(next_);
  }
  template <const auto& Bounds>
  void fill(Histogram<Bounds, 1'000'000>& histogram) {
    for (const std::uint64_t bound : Bounds) histogram.observe(std::chrono::microseconds(bound));
    for (const std::uint64_t end = next_ + 3; next_ < end; ++next_)
      histogram.observe(std::chrono::milliseconds(next_));
  }
  template <class T, std::size_t Size>
  void fill(std::array<T, Size>& all) {
    for (T& one : all) fill(one);
  }
  void fill(FailureCounters& failures) {
    failures.add(HandshakeFailure::kNoSharedCipher, 40, next_++);
    failures.add(HandshakeFailure::kPeerAlert, kNoAlert, next_++);
    failures.add(HandshakeFailure::kPeerAlert, 77, next_++);
  }
  void fill(NegotiatedCounters& negotiated) {
    fill(negotiated.of({"TLSv1.3", "X25519", "TLS_AES_128_GCM_SHA256", "P-256"}));
    fill(negotiated.of({"TLSv1.2", "P-256", "ECDHE-RSA-AES128-GCM-SHA256", "RSA"}));
  }
  void fill(SparseCounters<Signatures>& signatures) {
    fill(signatures.of({"ecdsa_secp256r1_sha256", "none"}));
    fill(signatures.of({"rsa_pss_rsae_sha256", "ed25519"}));
  }
  void fill(SparseCounters<OfferedSession>& sessions) {
    fill(sessions.of({"/etc/app.pem", true}));
    fill(sessions.of({"/etc/app.pem", false}));
    fill(sessions.of({"other", false}));
  }
  template <class... Members>
  void fill_all(Members&... members) {
    (fill(members), ...);
  }

 private:
  std::uint64_t next_;
};

void fill(ListenerMetrics& of, std::uint64_t first) {
  Filler(first).fill_all(of.accepted, of.active, of.closed, of.connection_duration, of.bytes, of.handshakes,
                         of.handshake_failures, of.handshake_duration, of.client_certificate_faults,
                         of.negotiated, of.tickets, of.record_layer, of.ocsp_staples_expired,
                         of.certificates_compressed, of.hello_retry_requests, of.would_refuse,
                         of.log_lines_dropped, of.key_updates, of.sources_penalized, of.proxy_headers,
                         of.tcp_rtt, of.tcp_retransmits, of.postgres_cancels, of.signatures,
                         of.offered_sessions, of.ocsp_staples_served);
}
void fill(ServerMetrics& of, std::uint64_t first) {
  Filler(first).fill_all(of.active, of.connect_duration, of.connect_failures, of.spares, of.spares_stopped,
                         of.spares_used, of.spares_discarded);
}
void fill(BackendMetrics& of, std::uint64_t first) {
  Filler(first).fill_all(of.queued, of.queue_duration, of.queue_ends);
}
void fill(LoopMetrics& of, std::uint64_t first) {
  Filler(first).fill_all(of.handshakes_in_progress, of.handshakes_queued, of.loop_lag, of.busy_us,
                         of.accept_pauses, of.cpu_and_one);
}

std::string golden() {
  std::ifstream file(in_checkout("tests/unit/metrics/exporter_text.txt"));
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

// Of a registry in which each counter of each worker has a number of its own.
TEST(ExporterText, IsThatOfTheFileByteForByte) {
  MetricsRegistry registry;
  StateBoard board;
  fill(registry.listener(0, "web"), 1000);
  fill(registry.listener(1, "web"), 20'000);
  static_cast<void>(registry.listener(1, "mail"));
  fill(registry.server(0, "app", "127.0.0.1:1"), 3000);
  fill(registry.server(1, "app", "127.0.0.1:1"), 40'000);
  static_cast<void>(registry.server(1, "app", "127.0.0.1:2"));
  fill(registry.backend(0, "app"), 7000);
  fill(registry.backend(1, "app"), 8000);
  fill(registry.loop(0), 5000);
  fill(registry.loop(1), 6000);
  MetricSet wanted;
  for (std::size_t i = 0; i < metric_count(); ++i) wanted.set(i, row(i).name.starts_with("headgate_"));
  EXPECT_EQ(Exporter(registry, board).text(wanted), golden());
}

}  // namespace
}  // namespace headgate
