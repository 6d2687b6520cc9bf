#include "metrics/status_report.h"

#include <gtest/gtest.h>

namespace headgate {
namespace {

TEST(StatusReport, AddsWorkersUp) {
  MetricsRegistry registry;
  registry.listener(0, "web").active.add(2);
  registry.listener(1, "web").active.add(3);
  registry.listener(1, "web").handshakes[static_cast<std::size_t>(HandshakeResult::kOk)][1].add(4);
  registry.listener(0, "web").handshakes[static_cast<std::size_t>(HandshakeResult::kTimeout)][0].add(1);
  registry.listener(0, "web").handshakes[static_cast<std::size_t>(HandshakeResult::kProbe)][0].add(9);
  registry.server(0, "app", "a:1").connect_failures[0].add();
  registry.server(1, "app", "a:1").connect_failures[5].add();
  registry.server(0, "app", "a:1").spares.set(2);
  registry.server(1, "app", "a:1").spares.set(1);
  registry.server(1, "app", "a:1").spares_used.add(4);
  registry.server(1, "app", "a:1").spares_stopped.set(1);
  registry.loop(1).handshakes_queued.set(6);
  ProcessState state;
  state.version = "1.0";
  const StatusReport report = status_report(registry, std::move(state));
  EXPECT_EQ(report.process.version, "1.0");
  EXPECT_EQ(report.listeners.at("web").active, 5U);
  EXPECT_EQ(report.listeners.at("web").handshakes_ok, 4U);
  EXPECT_EQ(report.listeners.at("web").handshakes_resumed, 4U);
  EXPECT_EQ(report.listeners.at("web").handshakes_failed, 1U);
  EXPECT_EQ(report.servers.at({"app", "a:1"}).connect_failures, 2U);
  EXPECT_EQ(report.servers.at({"app", "a:1"}).spares, 3U);
  EXPECT_EQ(report.servers.at({"app", "a:1"}).spares_used, 4U);
  EXPECT_EQ(report.servers.at({"app", "a:1"}).spares_stopped, 1U);
  ASSERT_EQ(report.workers.size(), 1U);
  EXPECT_EQ(report.workers[0].handshakes_queued, 6U);
}

}  // namespace
}  // namespace headgate
