#include "admin/admin_answers.h"

#include <algorithm>
#include <memory>
#include <mutex>

#include "metrics/status_report.h"

namespace headgate {
namespace {

constexpr std::chrono::seconds kReloadPatience{60};

/// What workers add to, each from its own thread. Shared: a worker that answers late finds it still there.
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

ConnectionReport report_of(const Connection& connection, int worker, TimePoint now) {
  using std::chrono::duration_cast;
  using std::chrono::milliseconds;
  const ConnectionInfo& info = connection.info();
  ConnectionReport report;
  report.id = info.id;
  report.worker = worker;
  report.listener = connection.listener().policy->config.name;
  report.source = info.client.address().text();
  report.phase = name(connection.phase());
  report.sni = info.server_name.view();
  report.alpn = info.alpn.view();
  report.version = info.tls->version.view();
  report.group = info.tls->group.view();
  report.cipher = info.tls->cipher.view();
  if (info.peer) report.peer = info.peer->short_name();
  report.backend = info.backend.view();
  report.server = info.server.view();
  report.record_layer = name(info.protection);
  report.resumed = info.tls->resumed;
  report.age = duration_cast<milliseconds>(now - info.accepted);
  const auto* relay = std::get_if<Relay>(&connection.phase());
  report.idle = relay != nullptr ? duration_cast<milliseconds>(now - relay->last_byte) : report.age;
  report.bytes_from_client = info.bytes_from_client;
  report.bytes_to_client = info.bytes_to_client;
  return report;
}

/// Whether a connection is asked for.
class ConnectionsFilter {
 public:
  explicit ConnectionsFilter(const ConnectionsQuery& query) : query_(query) {
    if (!query.source.empty()) {
      if (auto network = Network::parse(query.source)) source_ = *network;
    }
  }
  [[nodiscard]] bool wants(const Connection& connection) const {
    const ConnectionInfo& info = connection.info();
    if (!query_.listener.empty() && connection.listener().policy->config.name != query_.listener)
      return false;
    if (!query_.backend.empty() && info.backend.view() != query_.backend) return false;
    return query_.source.empty() || (source_ && source_->contains(info.client.address()));
  }

 private:
  ConnectionsQuery query_;
  std::optional<Network> source_;
};

}  // namespace

std::string AdminAnswers::metrics_text(const MetricSet& wanted) {
  return supervisor_.metrics_text(wanted);
}

Health AdminAnswers::healthz() {
  return supervisor_.loops_turn();
}

Health AdminAnswers::readyz() {
  if (supervisor_.is_draining()) return {false, "draining"};
  return supervisor_.loops_turn();
}

StatusReport AdminAnswers::status() {
  return status_report(supervisor_.registry(), supervisor_.board().copy());
}

ConnectionsPage AdminAnswers::connections(const ConnectionsQuery& query) {
  auto gathered = std::make_shared<Gathered<ConnectionReport>>();
  const ConnectionsFilter filter(query);
  supervisor_.ask_workers([gathered, filter](Worker& worker) {
    std::vector<ConnectionReport> some;
    const TimePoint now = Clock::now();
    for (const auto& connection : worker.connections()) {
      if (!connection->is_buried() && filter.wants(*connection)) {
        some.push_back(report_of(*connection, worker.index(), now));
      }
    }
    gathered->add(std::move(some));
  });
  std::vector<ConnectionReport> all = gathered->take();
  std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.id < b.id; });
  ConnectionsPage page;
  page.total = all.size();
  const std::size_t first = std::min(query.offset, all.size());
  const std::size_t last = std::min(all.size(), first + query.limit);
  page.connections.assign(std::make_move_iterator(all.begin() + static_cast<std::ptrdiff_t>(first)),
                          std::make_move_iterator(all.begin() + static_cast<std::ptrdiff_t>(last)));
  return page;
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

Outcome AdminAnswers::reload() {
  const auto outcome = supervisor_.request_reload();
  if (outcome.wait_for(kReloadPatience) != std::future_status::ready) {
    return {
        Outcome::Verdict::kFailed, "the reload has not ended within 60 s; the log will say how it does", {}};
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
