#include "admin/admin_answers.h"

#include <algorithm>
#include <memory>
#include <mutex>

#include "admin/connection_search.h"
#include "metrics/status_report.h"

namespace headgate {
namespace {

constexpr std::chrono::seconds kReloadPatience{60};

/// The sums that workers add to, each from its own thread. Shared: a worker that answers late still finds it.
template <class Report>
struct Gathered {
  std::mutex mutex;
  std::vector<Report> all;
  void add(std::vector<Report> some) {
    const std::lock_guard lock(mutex);
    all.insert(all.end(), std::make_move_iterator(some.begin()), std::make_move_iterator(some.end()));
  }
  std::vector<Report> take() {
    const std::lock_guard lock(mutex);
    return std::move(all);
  }
};

}  // namespace

std::vector<std::string> AdminAnswers::names() {
  return supervisor_.board().read([](const ProcessState& state) { return state.admin_names; });
}

std::string AdminAnswers::metrics_text(const MetricSet& wanted) {
  return supervisor_.metrics_text(wanted);
}

Health AdminAnswers::healthz() {
  return supervisor_.loops_turn();
}

Health AdminAnswers::readyz() {
  if (supervisor_.is_draining()) return {false, "draining"};
  if (!supervisor_.is_serving()) return {false, "the names of backends are being looked up"};
  if (auto every = supervisor_.serves_every_name(); !every.ok) return every;
  return supervisor_.loops_turn();
}

StatusReport AdminAnswers::status() {
  return status_report(supervisor_.registry(), supervisor_.board().copy());
}

ConnectionsPage AdminAnswers::connections(const ConnectionsQuery& query) {
  return ConnectionSearch([this](const auto& ask) { return supervisor_.ask_workers(ask); }).run(query);
}

RecordedHandshakes AdminAnswers::handshakes() {
  auto failed = std::make_shared<Gathered<RecordedHandshake>>();
  auto slowest = std::make_shared<Gathered<RecordedHandshake>>();
  supervisor_.ask_workers([failed, slowest](Worker& worker) {
    failed->add(worker.recorder().failed());
    slowest->add(worker.recorder().slowest(Clock::now()));
  });
  RecordedHandshakes report{.failed = failed->take(), .slowest = slowest->take()};
  std::sort(report.failed.begin(), report.failed.end(),
            [](const auto& a, const auto& b) { return a.at > b.at; });
  std::sort(report.slowest.begin(), report.slowest.end(),
            [](const auto& a, const auto& b) { return a.times.total > b.times.total; });
  return report;
}

std::optional<std::vector<HistoryStep>> AdminAnswers::history(const std::string& listener) {
  return supervisor_.history().steps(listener);
}

Outcome AdminAnswers::reload() {
  const auto outcome = supervisor_.request_reload();
  if (outcome.wait_for(kReloadPatience) != std::future_status::ready) {
    return {Outcome::Verdict::kUnderWay,
            "the reload has not ended within 60 s and goes on; the log will have its outcome",
            {}};
  }
  return outcome.get();
}

Outcome AdminAnswers::drain(const DrainRequest& request) {
  return supervisor_.request_drain(request);
}

Outcome AdminAnswers::set_log_level(const LogLevelRequest& request) {
  return supervisor_.request_log_level(request);
}

}  // namespace headgate
