#include "supervisor/board_report.h"

#include <chrono>
#include <functional>
#include <utility>

#include "backend/slow_start.h"
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
    report.ticket_secret_since = policy.tls->ticket_secrets->secrets.front().used_since;
  }
  return report;
}

CertificateReport report_of(const StoredCertificate& certificate, const std::string& listener,
                            int warn_before_percent) {
  CertificateReport report;
  report.file = certificate.file();
  for (const auto name : certificate.names()) report.names.emplace_back(name);
  report.listener = listener;
  report.key_type = key_type_word(certificate);
  report.issuer = issuer_common_name(certificate.leaf_der());
  report.not_before = certificate.not_before();
  report.not_after = certificate.not_after();
  report.expires_soon_from = begin_of_last_share(report.not_before, report.not_after, warn_before_percent);
  return report;
}

/// Keeps the stores that it reports on, and no other part of their snapshot.
class HeldCertificates : public CertificateList {
 public:
  explicit HeldCertificates(const Snapshot& snapshot) {
    for (const auto& listener : snapshot.listeners) {
      if (!listener->tls) continue;
      stores_.push_back(
          {listener->config.name, listener->tls->certificates, listener->tls->settings.warn_before_percent});
    }
  }

  [[nodiscard]] std::size_t size() const override {
    std::size_t size = 0;
    for (const Held& one : stores_) size += one.store->size();
    return size;
  }

  [[nodiscard]] std::vector<Item> items() const override {
    std::vector<Item> all;
    all.reserve(size());
    for (std::size_t i = 0; i < stores_.size(); ++i) {
      stores_[i].store->for_each([&](const StoredCertificate& one) {
        all.push_back({.not_after = one.not_after(), .file = one.file(), .what = &one, .listener = i});
      });
    }
    return all;
  }

  [[nodiscard]] CertificateReport report(const Item& item) const override {
    const Held& held = stores_[item.listener];
    const CertificateStore& store = *held.store;
    CertificateReport report =
        report_of(*static_cast<const StoredCertificate*>(item.what), held.listener, held.warn_before_percent);
    if (const auto refused = store.refused().find(item.file); refused != store.refused().end()) {
      report.fault = refused->second.why;
    }
    for (std::size_t i = 0; i < store.listed_size(); ++i) {
      const auto& canary = store.canary(i);
      const bool held_back = canary != nullptr && canary->state() == CanaryState::kWentBack;
      if (held_back && canary->old().get() == item.what) {
        report.fault = "more handshakes failed with the newer certificate that the file holds";
      }
    }
    return report;
  }

 private:
  struct Held {
    std::string listener;
    std::shared_ptr<const CertificateStore> store;
    int warn_before_percent;
  };
  std::vector<Held> stores_;
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

ServerReport report_of(const Server& server, Duration slow_start, TimePoint now) {
  ServerReport report;
  report.address = server.config.address;
  ServerState::Condition condition = server.state->condition();
  report.up = condition.up;
  report.reason = std::move(condition.why);
  report.since = condition.since;
  if (const auto ejected = server.state->ejected_since(now); report.up && ejected) {
    report.up = false;
    report.reason = "connections to it failed, so it is passed over for a while";
    report.since = *ejected;
  }
  report.weight = server.config.weight;
  const TimePoint back_since = server.state->back_since();
  report.share = static_cast<double>(share_of_weight(back_since, now, slow_start)) / double{kWholeShare};
  if (back_since != TimePoint::min())
    report.back_for = std::chrono::duration_cast<std::chrono::milliseconds>(now - back_since);
  return report;
}

}  // namespace

void count_faults(const Diagnostics& diagnostics, StateBoard& board) {
  board.update([&](ProcessState& state) {
    for (const auto& diagnostic : diagnostics) {
      if (diagnostic.severity <= Severity::kWarning) continue;
      ++state.reload.file_faults[std::string(name(diagnostic.fault))];
    }
  });
}

void report_snapshot(const Snapshot& snapshot, const ListeningSockets& sockets, ProcessState& state) {
  state.admin_names = snapshot.config.admin_names;
  state.listeners.clear();
  for (const auto& listener : snapshot.listeners) state.listeners.push_back(report_of(*listener, sockets));
  state.certificates = std::make_shared<const HeldCertificates>(snapshot);
  state.ready_needs_every_name = snapshot.config.ready_needs_every_name;
  state.reload.config_hash =
      std::hash<std::string>{}(config::show(snapshot.config)) >> 11U;  // exact as a double
  report_servers(snapshot, state);
}

void report_servers(const Snapshot& snapshot, ProcessState& state) {
  const TimePoint now = Clock::now();
  std::vector<BackendReport> reports;
  for (const auto& [name, backend] : snapshot.backends) {
    BackendReport report;
    report.name = name;
    report.balance = word_of(backend.group->config.balance);
    for (const auto& server : backend.group->servers)
      report.servers.push_back(report_of(server, backend.group->config.slow_start, now));
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
