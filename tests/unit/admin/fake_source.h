#pragma once

#include <atomic>
#include <functional>
#include <string>
#include <vector>

#include "admin/admin_source.h"

namespace headgate {

/// Gives the answers that a test sets, and remembers the questions.
class FakeSource : public AdminSource {
 public:
  std::vector<std::string> names() override { return own_names; }
  std::string metrics_text(const MetricSet& wanted) override {
    metrics_wanted = wanted;
    return "# TYPE up gauge\nup 1\n";
  }
  bool admits(std::string_view shown) override { return token.empty() || shown == token; }
  Health healthz() override { return health; }
  Health readyz() override { return ready; }
  StatusReport status() override {
    before_answers();
    return report;
  }
  ConnectionsPage connections(const ConnectionsQuery& query) override {
    connections_query = query;
    return page;
  }
  RecordedHandshakes handshakes() override { return recorded; }
  std::optional<std::vector<HistoryStep>> history(const std::string& listener) override {
    return listener.empty() || listener == "web" ? std::optional(steps) : std::nullopt;
  }
  Outcome reload() override {
    before_answers();
    ++reloads;
    return outcome;
  }
  Outcome drain(const DrainRequest& request) override {
    before_answers();
    drains.push_back(request);
    return outcome;
  }
  Outcome set_log_level(const LogLevelRequest& request) override {
    log_levels.push_back(request);
    return outcome;
  }

  std::function<void()> before_answers = [] {};  ///< Of the status, reloads and drains.
  std::vector<std::string> own_names;
  std::string token;  ///< Empty: none.
  MetricSet metrics_wanted;
  Health health, ready;
  StatusReport report;
  ConnectionsPage page;
  ConnectionsQuery connections_query;
  RecordedHandshakes recorded;
  std::vector<HistoryStep> steps;  ///< Of the process and of listener "web".
  Outcome outcome{.message = "done"};
  std::atomic<int> reloads = 0;  ///< Two threads may reload at once.
  std::vector<DrainRequest> drains;
  std::vector<LogLevelRequest> log_levels;
};

}  // namespace headgate
