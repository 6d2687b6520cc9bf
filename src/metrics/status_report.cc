#include "metrics/status_report.h"

namespace headgate {
namespace {

std::uint64_t handshakes(const ListenerMetrics& metrics, HandshakeResult result) {
  const auto& by_resumed = metrics.handshakes[static_cast<std::size_t>(result)];
  return by_resumed[0].value() + by_resumed[1].value();
}

void add(ListenerTotals& totals, const ListenerMetrics& metrics) {
  totals.accepted += metrics.accepted.value();
  totals.active += metrics.active.value();
  totals.bytes_from_client += metrics.bytes[static_cast<std::size_t>(Direction::kFromClient)].value();
  totals.bytes_to_client += metrics.bytes[static_cast<std::size_t>(Direction::kToClient)].value();
  totals.handshakes_ok += handshakes(metrics, HandshakeResult::kOk);
  totals.handshakes_resumed += metrics.handshakes[static_cast<std::size_t>(HandshakeResult::kOk)][1].value();
  for (const auto result : {HandshakeResult::kFailed, HandshakeResult::kTimeout, HandshakeResult::kShed}) {
    totals.handshakes_failed += handshakes(metrics, result);
  }
}

void add(ServerTotals& totals, const ServerMetrics& metrics) {
  totals.active += metrics.active.value();
  for (const Counter& failures : metrics.connect_failures) totals.connect_failures += failures.value();
  totals.spares += metrics.spares.value();
  totals.spares_used += metrics.spares_used.value();
  totals.spares_stopped += metrics.spares_stopped.value();
}

}  // namespace

StatusReport status_report(const MetricsRegistry& registry, ProcessState state) {
  StatusReport report;
  report.process = std::move(state);
  for (const auto& entry : registry.listeners()) add(report.listeners[entry.listener], *entry.metrics);
  for (const auto& entry : registry.servers())
    add(report.servers[{entry.backend, entry.server}], *entry.metrics);
  for (const auto& [worker, metrics] : registry.loops()) {
    report.workers.push_back({worker, metrics->handshakes_in_progress.value(),
                              metrics->handshakes_queued.value(), metrics->accept_pauses.value(),
                              metrics->cpu_and_one.value()});
  }
  return report;
}

}  // namespace headgate
