#pragma once

#include <string>
#include <vector>

#include "admin/admin_source.h"

namespace headgate {

/// Gives the answers that a test sets, and remembers the questions.
class FakeSource : public AdminSource {
 public:
  std::string metrics_text(const MetricSet& wanted) override {
    metrics_wanted = wanted;
    return "# TYPE up gauge\nup 1\n";
  }
  Health healthz() override { return health; }
  Health readyz() override { return ready; }
  StatusReport status() override { return report; }
  ConnectionsPage connections(const ConnectionsQuery& query) override {
    connections_query = query;
    return page;
  }
  RecordedHandshakes handshakes() override { return recorded; }
  Outcome reload() override {
    ++reloads;
    return outcome;
  }
  Outcome drain(const DrainRequest& request) override {
    drains.push_back(request);
    return outcome;
  }
  Outcome set_log_level(const LogLevelRequest& request) override {
    log_levels.push_back(request);
    return outcome;
  }

  MetricSet metrics_wanted;
  Health health, ready;
  StatusReport report;
  ConnectionsPage page;
  ConnectionsQuery connections_query;
  RecordedHandshakes recorded;
  Outcome outcome{.message = "done"};
  int reloads = 0;
  std::vector<DrainRequest> drains;
  std::vector<LogLevelRequest> log_levels;
};

}  // namespace headgate
