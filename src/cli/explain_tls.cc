#include "cli/explain_tls.h"

#include <algorithm>
#include <string>

#include "cli/explain_lines.h"
#include "config/keys.h"
#include "tls/library/asn1_time.h"

namespace headgate {
namespace {

void say_resumption(const config::Resumption& resumption) {
  if (!resumption.tickets) return say("resumption", "none: tickets are off");
  if (resumption.per_connection == 0) return say("resumption", "no new ticket");
  std::string what = std::to_string(resumption.per_connection) +
                     (resumption.per_connection == 1 ? " ticket" : " tickets") + ", good for " +
                     config::duration_text(resumption.lifetime);
  if (!resumption.secret_file.empty())
    what += " at every instance with the secret of " + resumption.secret_file;
  say("resumption", what);
}

void say_record_layer(const config::Tls& tls) {
  const bool configured = tls.record_layer == config::RecordLayer::kOpenssl;
  if (!configured && tls.max_version == config::TlsVersion::kTls13) return;
  say("record layer", std::string("openssl, because of ") + (configured ? "record_layer" : "max_version") +
                          ": an upgrade leaves this connection with the old process");
}

}  // namespace

void explain_tls_settings(const config::Tls& tls) {
  const std::string least = config::kTlsVersions.text(tls.min_version);
  const std::string most = config::kTlsVersions.text(tls.max_version);
  std::string what = least == most ? "version " + most : "versions " + least + " to " + most;
  what += "; groups " + joined(tls.groups);
  if (!tls.cipher_suites.empty()) what += "; cipher_suites " + joined(tls.cipher_suites);
  if (!tls.ciphers.empty()) what += "; ciphers " + tls.ciphers;
  say("tls", what);
}

void explain_certificate_extras(const ListenerTls& tls, const StoredCertificate& certificate, WallTime now) {
  const auto& listed = tls.settings.certificates;
  const auto entry = std::ranges::find(listed, certificate.file(), &config::Certificate::certificate);
  if (entry != listed.end() && entry->canary_percent > 0)
    say("canary", "when the file changes, " + std::to_string(entry->canary_percent) +
                      "% of the handshakes get the new certificate at first, for " +
                      config::duration_text(entry->canary_for));
  if (certificate.staple() == nullptr) return;
  const OcspStaple* staple = certificate.staple_at(now);
  say("ocsp staple", staple == nullptr
                         ? "has expired: not sent"
                         : "sent to a client that asks, until " + date_text(staple->next_update));
}

void explain_dry_runs(const config::Tls& tls, const ClientHello& hello) {
  for (const std::string& policy : tls.dry_run) {
    if (policy == "client_auth") continue;
    const bool refused = policy == "pq_only" ? pq_only_would_refuse(hello) : tls13_only_would_refuse(hello);
    say("dry run of " + policy,
        refused ? "would refuse this client, which is counted and let in" : "would let this client in");
  }
}

void explain_after_handshake(const ListenerTls& tls, const ClientRules& rules, bool identified) {
  say_resumption(tls.settings.resumption);
  if (identified && rules.settings.cut_live)
    say("live connection", "ended when the rules in force refuse this certificate (cut_live)");
  say_record_layer(tls.settings);
  if (!tls.settings.keylog_file.empty())
    say("key log", "the secrets of this connection are written to " + tls.settings.keylog_file);
}

}  // namespace headgate
