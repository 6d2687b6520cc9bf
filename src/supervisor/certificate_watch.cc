#include "supervisor/certificate_watch.h"

#include <algorithm>
#include <map>
#include <utility>

#include "tls/library/asn1_time.h"

namespace headgate {
namespace {

constexpr auto kSoonest = std::chrono::seconds(1);
constexpr auto kLatest = std::chrono::minutes(1);
/// A look at so many certificates takes less than a thousandth of this time.
constexpr auto kPerCertificate = std::chrono::milliseconds(1);
/// The certificates that one look names in the log; certificates that were issued together end together.
constexpr std::size_t kNamed = 20;

std::string first_name(const StoredCertificate& certificate) {
  const auto names = certificate.names();
  return names.empty() ? std::string() : std::string(names.front());
}

}  // namespace

struct CertificateWatch::Findings {
  /// A certificate that has reached a point of its life since the look before.
  struct Reached {
    std::string listener, file, name;
    WallTime not_after;
  };
  std::vector<Reached> expiring, expired;
  std::vector<std::string> read_again{};
  std::map<std::string, CertificateCounts> counts{};
  std::string unserved{};  ///< A sentence about one name; empty: every name is served.
  std::size_t certificates = 0;
};

void CertificateWatch::follow(std::shared_ptr<const Snapshot> snapshot, WallTime now) {
  snapshot_ = std::move(snapshot);
  look(now);
}

// A clock that was set back must not keep the next look away.
void CertificateWatch::step(WallTime now) {
  if (snapshot_ != nullptr && (now >= next_ || now < *looked_)) look(now);
}

void CertificateWatch::look(WallTime now) {
  const Span span{.after = std::min(looked_.value_or(now), now), .until = now};
  Findings findings;
  for (const auto& listener : snapshot_->listeners) {
    if (listener->tls) look_at(*listener, span, findings);
  }
  looked_ = now;
  next_ = now + std::clamp<WallTime::duration>(findings.certificates * kPerCertificate, kSoonest, kLatest);
  say(findings);
  board_.update([&](ProcessState& state) {
    state.certificate_counts = findings.counts;
    state.unserved_name = findings.unserved;
  });
  if (!findings.read_again.empty()) read_again_(findings.read_again);
}

void CertificateWatch::look_at(const ListenerPolicy& listener, Span span, Findings& findings) const {
  const std::string& label = listener.config.name;
  const CertificateStore& store = *listener.tls->certificates;
  const int percent = listener.config.tls->warn_before_percent;
  CertificateCounts& counts = findings.counts[label];
  const auto require = [&](std::string_view name, const std::string& of) {
    if (!findings.unserved.empty() || store.serves_name(name, span.until)) return;
    findings.unserved = "listener " + label + " has no valid certificate for " + std::string(name) + of;
  };
  store.for_each([&](const StoredCertificate& one) {
    ++findings.certificates;
    const WallTime soon = begin_of_last_share(one.not_before(), one.not_after(), percent);
    if (soon <= span.until) ++counts.expiring;
    const Findings::Reached reached{label, std::string(one.file()), first_name(one), one.not_after()};
    if (span.has(soon)) findings.expiring.push_back(reached);
    if (span.has(one.not_after())) findings.expired.push_back(reached);
    if (one.is_valid_at(span.until)) return;
    for (const std::string_view name : one.names()) require(name, ", which " + reached.file + " has");
  });
  for (const auto& [file, refused] : store.refused()) {
    ++counts.refused;
    if (refused.usable_from && span.has(*refused.usable_from)) findings.read_again.push_back(file);
    if (!refused.kept && findings.unserved.empty())
      findings.unserved = "listener " + label + " serves nothing of " + file + ": " + refused.why;
  }
  for (const config::Route& route : listener.config.routes) {
    if (route.passthrough) continue;
    for (const std::string& name : route.sni) {
      if (name != "*") require(name, ", which a route has");
    }
  }
}

void CertificateWatch::say(const Findings& findings) const {
  const auto tell = [this](LogLevel level, const char* message,
                           const std::vector<Findings::Reached>& reached) {
    for (std::size_t i = 0; i < std::min(reached.size(), kNamed); ++i) {
      const auto& [listener, file, name, not_after] = reached[i];
      const std::string date = date_text(not_after);
      log_.write(level, message,
                 {{"listener", std::string_view(listener)},
                  {"certificate", std::string_view(file)},
                  {"name", std::string_view(name)},
                  {"not_after", std::string_view(date)}});
    }
    if (reached.size() <= kNamed) return;
    log_.write(level, message, {{"more", static_cast<std::int64_t>(reached.size() - kNamed)}});
  };
  tell(LogLevel::kWarn, "a certificate expires soon", findings.expiring);
  tell(LogLevel::kError, "a certificate has expired", findings.expired);
}

}  // namespace headgate
