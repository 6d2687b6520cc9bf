#include "connection/flight_recorder.h"

#include <algorithm>
#include <chrono>
#include <cstdio>

#include "metrics/alert_name.h"
#include "tls/handshake/client_hello.h"

namespace headgate {
namespace {

using std::chrono::duration_cast;
using std::chrono::microseconds;

std::vector<std::string> numbers(const Uint16List& list) {
  std::vector<std::string> words;
  for (const std::uint16_t value : list) {
    char text[8];
    std::snprintf(text, sizeof text, "0x%04x", value);
    words.emplace_back(text);
  }
  return words;
}

void describe_hello(HandshakeReport& report, std::span<const std::byte> bytes) {
  const auto hello = parse_client_hello(bytes);
  if (!hello) return;
  report.ja4 = hello->ja4();
  report.versions = numbers(hello->supported_versions);
  report.groups = numbers(hello->groups);
  report.ciphers = numbers(hello->cipher_suites);
  report.signature_algorithms = numbers(hello->signature_algorithms);
  for (const auto protocol : hello->alpn) report.alpn.emplace_back(protocol);
}

HandshakeReport report_of(std::string_view listener, const ConnectionInfo& info, HandshakeResult result,
                          const HandshakeTimes& times, std::span<const std::byte> hello) {
  HandshakeReport report;
  report.at = std::chrono::system_clock::now();
  report.listener = listener;
  report.source = info.client.address().text();
  report.result = name(result);
  if (info.failure != HandshakeFailure::kNone) report.reason = name(info.failure);
  if (info.alert >= 0) report.alert = alert_name(static_cast<std::uint8_t>(info.alert));
  report.sni = info.server_name.view();
  report.version = info.tls->version.view();
  report.group = info.tls->group.view();
  report.cipher = info.tls->cipher.view();
  report.resumed = info.tls->resumed;
  report.total = duration_cast<microseconds>(times.total);
  report.queue = duration_cast<microseconds>(times.queue);
  report.cpu = duration_cast<microseconds>(times.cpu);
  report.peer_wait = duration_cast<microseconds>(times.peer_wait);
  describe_hello(report, hello);
  return report;
}

bool slower(const HandshakeReport& a, const HandshakeReport& b) {
  return a.total > b.total;
}

}  // namespace

void FlightRecorder::done(std::string_view listener, const ConnectionInfo& info, const HandshakeTimes& times,
                          std::span<const std::byte> hello, TimePoint now) {
  if (info.probe) return;
  begin_window(now);
  const bool full = slowest_.size() == kKept;
  if (full && duration_cast<microseconds>(times.total) <= slowest_.front().total) return;
  if (full) {
    std::pop_heap(slowest_.begin(), slowest_.end(), slower);
    slowest_.pop_back();
  }
  slowest_.push_back(report_of(listener, info, HandshakeResult::kOk, times, hello));
  std::push_heap(slowest_.begin(), slowest_.end(), slower);
}

std::vector<HandshakeReport> FlightRecorder::slowest(TimePoint now) {
  begin_window(now);
  std::vector<HandshakeReport> all = slowest_;
  all.insert(all.end(), before_.begin(), before_.end());
  std::ranges::sort(all, slower);
  if (all.size() > kKept) all.resize(kKept);
  return all;
}

// What is slow on a bad day is not to hide what is slow today.
void FlightRecorder::begin_window(TimePoint now) {
  if (now < window_ends_) return;
  const bool follows = now < window_ends_ + kWindow;
  before_ = follows ? std::move(slowest_) : std::vector<HandshakeReport>();
  slowest_.clear();
  window_ends_ = now + kWindow;
}

void FlightRecorder::failed(std::string_view listener, const ConnectionInfo& info, HandshakeResult result,
                            const HandshakeTimes& times, std::span<const std::byte> hello) {
  if (info.probe) return;
  HandshakeReport report = report_of(listener, info, result, times, hello);
  if (failed_.size() < kKept) {
    failed_.push_back(std::move(report));
    return;
  }
  failed_[next_] = std::move(report);
  next_ = (next_ + 1) % kKept;
}

}  // namespace headgate
