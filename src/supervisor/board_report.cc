#include "supervisor/board_report.h"

#include <chrono>
#include <functional>
#include <utility>

#include "config/show.h"
#include "tls/certificate/certificate_fields.h"
#include "tls/handshake/negotiated_info.h"

namespace headgate {
namespace {

std::string versions_of(const config::Listener& listener) {
  if (!listener.tls) return "plain";
  const auto word = [](config::TlsVersion version) {
    return version == config::TlsVersion::kTls12 ? "1.2" : "1.3";
  };
  const std::string low = word(listener.tls->min_version), high = word(listener.tls->max_version);
  return low == high ? low : low + "-" + high;
}

ListenerReport report_of(const ListenerPolicy& policy, const ListeningSockets& sockets) {
  ListenerReport report;
  report.name = policy.config.name;
  for (const auto& address : sockets.addresses(policy.config.name)) report.bind.push_back(address.text());
  report.tls = versions_of(policy.config);
  report.backend = policy.config.backend;
  report.keylog = policy.config.tls && !policy.config.tls->keylog_file.empty();
  if (policy.tls && policy.config.tls->resumption.tickets) {
    report.ticket_keys_for = policy.tls->ticket_secrets->rotate_every;
  }
  return report;
}

CertificateReport report_of(const StoredCertificate& certificate, const std::string& listener) {
  CertificateReport report;
  report.file = certificate.file();
  for (const auto name : certificate.names()) report.names.emplace_back(name);
  report.listener = listener;
  report.key_type = key_type_word(certificate);
  report.issuer = issuer_common_name(certificate.leaf_der());
  report.not_before = certificate.not_before();
  report.not_after = certificate.not_after();
  return report;
}

/// Keeps the stores that it reports on, and no other part of their snapshot.
class HeldCertificates : public CertificateList {
 public:
  explicit HeldCertificates(const Snapshot& snapshot) {
    for (const auto& listener : snapshot.listeners) {
      if (listener->tls) stores_.emplace_back(listener->config.name, listener->tls->certificates);
    }
  }

  [[nodiscard]] std::size_t size() const override {
    std::size_t size = 0;
    for (const auto& [listener, store] : stores_) size += store->size();
    return size;
  }

  [[nodiscard]] std::vector<Item> items() const override {
    std::vector<Item> all;
    all.reserve(size());
    for (std::size_t i = 0; i < stores_.size(); ++i) {
      stores_[i].second->for_each([&](const StoredCertificate& one) {
        all.push_back({.not_after = one.not_after(), .file = one.file(), .what = &one, .listener = i});
      });
    }
    return all;
  }

  [[nodiscard]] CertificateReport report(const Item& item) const override {
    const auto& [listener, store] = stores_[item.listener];
    CertificateReport report = report_of(*static_cast<const StoredCertificate*>(item.what), listener);
    for (std::size_t i = 0; i < store->listed_size(); ++i) {
      const auto& canary = store->canary(i);
      const bool held_back = canary != nullptr && canary->state() == CanaryState::kWentBack;
      if (held_back && canary->old().get() == item.what) {
        report.fault = "more handshakes failed with the newer certificate that the file holds";
      }
    }
    return report;
  }

 private:
  std::vector<std::pair<std::string, std::shared_ptr<const CertificateStore>>> stores_;
};

std::string_view word_of(config::Balance balance) {
  switch (balance) {
    case config::Balance::kRoundRobin:
      return "round_robin";
    case config::Balance::kLeastConnections:
      return "least_connections";
    case config::Balance::kRandomTwo:
      return "random_two";
    case config::Balance::kSourceHash:
      return "source_hash";
  }
  return "";
}

}  // namespace

void count_faults(const Diagnostics& diagnostics, StateBoard& board) {
  board.update([&](ProcessState& state) {
    for (const auto& diagnostic : diagnostics) {
      if (diagnostic.severity == Severity::kWarning) continue;
      ++state.reload.file_faults[std::string(name(diagnostic.fault))];
    }
  });
}

void report_snapshot(const Snapshot& snapshot, const ListeningSockets& sockets, ProcessState& state) {
  state.listeners.clear();
  for (const auto& listener : snapshot.listeners) state.listeners.push_back(report_of(*listener, sockets));
  state.certificates = std::make_shared<const HeldCertificates>(snapshot);
  state.reload.config_hash =
      std::hash<std::string>{}(config::show(snapshot.config)) >> 11U;  // exact as a double
  report_servers(snapshot, state);
}

void report_servers(const Snapshot& snapshot, ProcessState& state) {
  std::vector<BackendReport> reports;
  for (const auto& [name, backend] : snapshot.backends) {
    BackendReport report;
    report.name = name;
    report.balance = word_of(backend.group->config.balance);
    for (const auto& server : backend.group->servers) {
      ServerReport one;
      one.address = server.config.address;
      ServerState::Condition condition = server.state->condition();
      one.up = condition.up;
      one.reason = std::move(condition.why);
      one.since = condition.since;
      one.weight = server.config.weight;
      report.servers.push_back(std::move(one));
    }
    reports.push_back(std::move(report));
  }
  state.backends = std::move(reports);
}

void report_busy_ratios(const MetricsRegistry& registry, std::vector<std::uint64_t>& before_us,
                        Duration elapsed, StateBoard& board) {
  const double elapsed_us = std::chrono::duration<double, std::micro>(elapsed).count();
  std::vector<WorkerReport> workers;
  for (const auto& entry : registry.loops()) {
    const auto index = static_cast<std::size_t>(entry.worker);
    if (before_us.size() <= index) before_us.resize(index + 1);
    const std::uint64_t busy_us = entry.metrics->busy_us.value();
    const double ratio = static_cast<double>(busy_us - before_us[index]) / elapsed_us;
    before_us[index] = busy_us;
    workers.push_back({.worker = entry.worker, .busy_ratio = ratio > 1 ? 1 : ratio});
  }
  board.update([&](ProcessState& state) { state.workers = std::move(workers); });
}

}  // namespace headgate
