#include "admin/connection_search.h"

#include <algorithm>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <string_view>
#include <utility>

#include "net/address.h"
#include "worker/connection_walk.h"

namespace headgate {
namespace {

/// A longer server name is cut: no name of the DNS is longer.
constexpr std::size_t kMaxNameBytes = 255;

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
  report.sni = info.server_name.view().substr(0, kMaxNameBytes);
  report.alpn = info.alpn.view();
  report.version = info.tls->version.view();
  report.group = info.tls->group.view();
  report.cipher = info.tls->cipher.view();
  if (info.peer) report.peer = info.peer->short_name();
  report.backend = info.backend.view();
  report.server = info.server.view();
  report.record_layer = name(info.protection);
  const PhaseDescriptors sockets = connection.descriptors();
  report.client_tcp = tcp_state(sockets.client);
  report.backend_tcp = tcp_state(sockets.backend);
  report.resumed = info.tls->resumed;
  report.age = duration_cast<milliseconds>(now - info.accepted);
  const auto* relay = std::get_if<Relay>(&connection.phase());
  report.idle = relay != nullptr ? duration_cast<milliseconds>(now - relay->last_byte) : report.age;
  report.bytes_from_client = info.bytes_from_client;
  report.bytes_to_client = info.bytes_to_client;
  return report;
}

/// Whether the query selects a connection.
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

/// The results of the workers, each from its own thread. Shared: a worker that answers late still finds it.
template <class Found>
class Findings {
 public:
  /// Adds the result of one worker. Any thread.
  void add(std::vector<Found> some) {
    const std::lock_guard lock(mutex_);
    all_.insert(all_.end(), std::make_move_iterator(some.begin()), std::make_move_iterator(some.end()));
    ++answers_;
    one_more_.notify_one();
  }
  /// Waits for `workers` answers, until kPatience after this was made, and takes the answers that have come.
  [[nodiscard]] std::vector<Found> take(std::size_t workers) {
    std::unique_lock lock(mutex_);
    one_more_.wait_until(lock, until_, [&] { return answers_ >= workers; });
    return std::move(all_);
  }

 private:
  std::mutex mutex_;
  std::condition_variable one_more_;
  const TimePoint until_ = Clock::now() + ConnectionSearch::kPatience;
  std::size_t answers_ = 0;
  std::vector<Found> all_;
};

/// A walk may look at a connection twice.
template <class Found, class Id>
void order(std::vector<Found>& all, Id id) {
  std::ranges::sort(all, {}, id);
  const auto [first, last] = std::ranges::unique(all, {}, id);
  all.erase(first, last);
}

}  // namespace

ConnectionsPage ConnectionSearch::run(const ConnectionsQuery& query) {
  std::vector<std::uint64_t> ids = find(query);
  ConnectionsPage page{.total = ids.size()};
  const std::size_t first = std::min(query.offset, ids.size());
  const std::size_t last = first + std::min(query.limit, ids.size() - first);
  ids.assign(ids.begin() + static_cast<std::ptrdiff_t>(first),
             ids.begin() + static_cast<std::ptrdiff_t>(last));
  if (!ids.empty()) page.connections = describe(std::move(ids));
  return page;
}

std::vector<std::uint64_t> ConnectionSearch::find(const ConnectionsQuery& query) {
  auto findings = std::make_shared<Findings<std::uint64_t>>();
  const std::size_t workers = ask_workers_([findings, filter = ConnectionsFilter(query)](Worker& worker) {
    auto ids = std::make_shared<std::vector<std::uint64_t>>();
    const auto look = [ids, filter](const Connection& connection) {
      if (filter.wants(connection)) ids->push_back(connection.info().id);
      return std::size_t{0};
    };
    ConnectionWalk::begin(worker, look, [findings, ids] { findings->add(std::move(*ids)); });
  });
  std::vector<std::uint64_t> all = findings->take(workers);
  order(all, std::identity());
  return all;
}

std::vector<ConnectionReport> ConnectionSearch::describe(std::vector<std::uint64_t> ids) {
  auto findings = std::make_shared<Findings<ConnectionReport>>();
  const auto wanted = std::make_shared<const std::vector<std::uint64_t>>(std::move(ids));
  const std::size_t workers = ask_workers_([findings, wanted, described = described_](Worker& worker) {
    auto reports = std::make_shared<std::vector<ConnectionReport>>();
    const auto look = [reports, wanted, described, index = worker.index()](const Connection& connection) {
      if (!std::ranges::binary_search(*wanted, connection.info().id)) return std::size_t{0};
      reports->push_back(report_of(connection, index, Clock::now()));
      ++*described;
      return kDescriptionCost;
    };
    ConnectionWalk::begin(worker, look, [findings, reports] { findings->add(std::move(*reports)); });
  });
  std::vector<ConnectionReport> all = findings->take(workers);
  order(all, &ConnectionReport::id);
  return all;
}

}  // namespace headgate
