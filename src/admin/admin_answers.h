#pragma once

#include "admin/admin_source.h"
#include "supervisor/supervisor.h"

namespace headgate {

/// Answers the questions of the admin endpoint with the data of the supervisor and its workers. Any thread.
class AdminAnswers final : public AdminSource {
 public:
  /// `supervisor` outlives it.
  explicit AdminAnswers(Supervisor& supervisor) : supervisor_(supervisor) {}

  [[nodiscard]] std::vector<std::string> names() override;
  [[nodiscard]] bool admits(std::string_view token) override { return supervisor_.admits(token); }
  [[nodiscard]] std::string metrics_text(const MetricSet& wanted) override;
  [[nodiscard]] Health healthz() override;
  [[nodiscard]] Health readyz() override;
  [[nodiscard]] StatusReport status() override;
  [[nodiscard]] ConnectionsPage connections(const ConnectionsQuery& query) override;
  [[nodiscard]] RecordedHandshakes handshakes() override;
  [[nodiscard]] std::optional<std::vector<HistoryStep>> history(const std::string& listener) override;
  [[nodiscard]] Outcome reload() override;
  [[nodiscard]] Outcome drain(const DrainRequest& request) override;
  [[nodiscard]] Outcome set_log_level(const LogLevelRequest& request) override;

 private:
  Supervisor& supervisor_;
};

}  // namespace headgate
