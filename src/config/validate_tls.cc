#include <algorithm>
#include <string>
#include <vector>

#include "config/names.h"
#include "config/nearest.h"
#include "config/notation.h"
#include "config/validate.h"

namespace headgate::config {
namespace {

/// Whether every connection is passed through, so that no certificate is needed.
bool only_passes_through(const Listener& listener) {
  return listener.backend.empty() && !listener.routes.empty() &&
         std::all_of(listener.routes.begin(), listener.routes.end(),
                     [](const Route& r) { return r.passthrough; });
}

void check_certificates(const Listener& listener, const std::string& key, Faults& faults) {
  const Tls& tls = *listener.tls;
  const bool faulty = faults.concern(key + ".certificates") || faults.concern(key + ".certificate_dirs");
  if (tls.certificates.empty() && tls.certificate_dirs.empty() && !faulty && !only_passes_through(listener)) {
    faults.add(key, "needs \"certificates\" or \"certificate_dirs\"");
  }
  for (std::size_t index = 0; index < tls.certificates.size(); ++index) {
    const std::string certificate_key = key + ".certificates[" + std::to_string(index) + ']';
    if (!tls.certificates[index].certificate.empty() || faults.concern(certificate_key)) continue;
    faults.add(certificate_key, "needs \"certificate\": a PEM file, leaf first");
  }
}

/// These names are compared whole. A star may be meant: a certificate for "*.example.com" has it in its name.
void warn_of_stars(const std::vector<std::string>& names, const std::string& key, Faults& faults) {
  for (std::size_t index = 0; index < names.size(); ++index) {
    if (names[index].find('*') == std::string::npos) continue;
    faults.warn(key + '[' + std::to_string(index) + ']',
                quote(names[index]) +
                    " matches only a name that has the \"*\" in it: \"*\" is a pattern in "
                    "spiffe, uri and dns alone");
  }
}

void check_client_auth(const ClientAuth& client_auth, const std::string& key, Faults& faults) {
  if (faults.concern(key)) return;
  const bool asks = client_auth.mode != ClientAuthMode::kNone;
  if (asks && client_auth.ca.empty()) {
    faults.add(key, "needs \"ca\": the PEM file of the CAs of the clients");
  }
  if (!asks && (!client_auth.ca.empty() || !client_auth.crl.empty() || !client_auth.allow.empty())) {
    faults.add(key, "has no effect, because mode is none; write \"mode: required\" or leave the rest out");
  }
  if (client_auth.mode == ClientAuthMode::kOptional && !client_auth.allow.empty()) {
    faults.warn(key + ".allow", "a client without a certificate passes, because mode is optional");
  }
  warn_of_stars(client_auth.allow.common_name, key + ".allow.common_name", faults);
  warn_of_stars(client_auth.allow.organizational_unit, key + ".allow.organizational_unit", faults);
}

void check_resumption(const Resumption& resumption, const std::string& key, Faults& faults) {
  const std::chrono::seconds kept = kMaxPastTicketKeys * resumption.rotate_every;
  if (!resumption.tickets || resumption.lifetime <= kept) return;
  faults.warn(key + ".lifetime", "a ticket may resume nothing after " + duration_text(kept) +
                                     ": its key is kept for " + std::to_string(kMaxPastTicketKeys) +
                                     " times rotate_every");
}

void check_versions(const Tls& tls, const std::string& key, Faults& faults) {
  if (tls.min_version > tls.max_version) {
    faults.add(key + ".min_version", "is above max_version; no client could connect");
  }
  const bool tls13_only = tls.min_version == TlsVersion::kTls13;
  if (tls13_only && !tls.ciphers.empty())
    faults.warn(key + ".ciphers", "has no effect: these are for TLS 1.2");
  if (tls.max_version == TlsVersion::kTls12 && !tls.cipher_suites.empty()) {
    faults.warn(key + ".cipher_suites", "has no effect: these are for TLS 1.3");
  }
}

void check_groups(const Tls& tls, const std::string& key, Faults& faults) {
  if (tls.groups.empty() && !faults.concern(key))
    faults.add(key, "cannot be empty; leave it out for the defaults");
  for (std::size_t index = 0; index < tls.groups.size(); ++index) {
    const std::string& group = tls.groups[index];
    if (std::find(known_groups().begin(), known_groups().end(), group) != known_groups().end()) continue;
    faults.warn(
        key + '[' + std::to_string(index) + ']',
        quote(group) + " is not a group that OpenSSL has by itself" + suggestion(group, known_groups()));
  }
}

}  // namespace

void validate_tls(const Listener& listener, const std::string& key, Faults& faults) {
  const Tls& tls = *listener.tls;
  check_certificates(listener, key, faults);
  check_versions(tls, key, faults);
  check_groups(tls, key + ".groups", faults);
  check_client_auth(tls.client_auth, key + ".client_auth", faults);
  check_resumption(tls.resumption, key + ".resumption", faults);
  if (!tls.keylog_file.empty()) {
    faults.warn(key + ".keylog_file",
                "anyone who can read " + quote(tls.keylog_file) + " can decrypt the traffic");
  }
}

}  // namespace headgate::config
