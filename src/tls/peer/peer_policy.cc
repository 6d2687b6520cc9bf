#include "tls/peer/peer_policy.h"

#include <algorithm>
#include <cstdint>
#include <iterator>

#include "base/ascii.h"
#include "base/hex.h"

namespace headgate {
namespace {

/// The text that a '*' may match.
struct Wildcard {
  char never;            ///< It stops before this character.
  std::size_t at_least;  ///< Characters.
};

/// Backtracks to the last '*' alone. That is enough: if an earlier '*' took more characters, it would pass
/// over the same text, and the same `never` would stop it.
bool matches(std::string_view pattern, std::string_view text, Wildcard wildcard) {
  std::size_t p = 0, t = 0;
  std::size_t star = std::string_view::npos, taken_to = 0;
  while (t < text.size() || p < pattern.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      for (std::size_t i = 0; i < wildcard.at_least; ++i, ++t) {
        if (t >= text.size() || text[t] == wildcard.never) return false;
      }
      taken_to = t;
    } else if (p < pattern.size() && t < text.size() && pattern[p] == text[t]) {
      ++p;
      ++t;
    } else if (star != std::string_view::npos && taken_to < text.size() && text[taken_to] != wildcard.never) {
      p = star + 1;
      t = ++taken_to;
    } else {
      return false;
    }
  }
  return true;
}

enum class AllowKind : std::uint8_t {
  kEveryone,
  kSpiffe,
  kUri,
  kDns,
  kSubjectName,
  kUnit,
  kFingerprint,
  kPublicKey
};

/// Calls `see(AllowKind, const std::string&)` for each entry of the list.
template <class See>
void for_each_entry(const config::ClientAllow& allow, See&& see) {
  for (const std::string& entry : allow.spiffe) see(AllowKind::kSpiffe, entry);
  for (const std::string& entry : allow.uri) see(AllowKind::kUri, entry);
  for (const std::string& entry : allow.dns) see(AllowKind::kDns, entry);
  for (const std::string& entry : allow.common_name) see(AllowKind::kSubjectName, entry);
  for (const std::string& entry : allow.organizational_unit) see(AllowKind::kUnit, entry);
  for (const std::string& entry : allow.fingerprint) see(AllowKind::kFingerprint, entry);
  for (const std::string& entry : allow.public_key) see(AllowKind::kPublicKey, entry);
}

bool matches_entry(AllowKind kind, const std::string& entry, const PeerIdentity& peer) {
  const auto uri = [&](const std::string& one) { return matches_uri(entry, one); };
  const auto dns = [&](const std::string& one) { return matches_dns(entry, one); };
  switch (kind) {
    case AllowKind::kEveryone:
      return true;
    case AllowKind::kSpiffe:
      return !peer.spiffe_id.empty() && uri(peer.spiffe_id);
    case AllowKind::kUri:
      return std::ranges::any_of(peer.uris, uri);
    case AllowKind::kDns:
      return std::ranges::any_of(peer.dns, dns);
    case AllowKind::kSubjectName:
      return !peer.common_name.empty() && peer.common_name == entry;
    case AllowKind::kUnit:
      return std::ranges::find(peer.organizational_units, entry) != peer.organizational_units.end();
    case AllowKind::kFingerprint:
      return peer.fingerprint == entry;
    case AllowKind::kPublicKey:
      return is_hex_of(entry, peer.public_key);
  }
  return false;
}

IssuedKey admission(AllowKind kind, const std::string& entry) {
  return key_of_text("admitted by " + std::to_string(static_cast<int>(kind)) + ' ' + entry);
}

Authorization refuse(HandshakeFailure why, std::string detail) {
  return {false, why, std::move(detail)};
}

}  // namespace

bool matches_uri(std::string_view pattern, std::string_view text) {
  return matches(pattern, text, {'/', 0});
}

bool matches_dns(std::string_view pattern, std::string_view text) {
  return matches(ascii_lower(pattern), ascii_lower(text), {'.', 1});
}

PeerPolicy::PeerPolicy(const config::ClientAuth& settings, TrustedKeys trusted,
                       std::shared_ptr<const RevocationList> revocations)
    : mode_(settings.mode),
      allow_(settings.allow),
      trusted_(std::move(trusted)),
      revocations_(std::move(revocations)) {
  for (auto& [domain, keys] : trusted_) std::ranges::sort(keys);
}

std::span<const IssuedKey> PeerPolicy::trusted_for(std::string_view trust_domain) const {
  auto found = trusted_.find(std::string_view());
  if (found == trusted_.end()) found = trusted_.find(trust_domain);
  return found == trusted_.end() ? std::span<const IssuedKey>() : found->second;
}

std::vector<IssuedKey> PeerPolicy::distrusted_since(const PeerPolicy& before) const {
  std::vector<IssuedKey> keys;
  for (const auto& [domain, were] : before.trusted_) {
    const auto are = trusted_.find(domain);
    const std::span<const IssuedKey> now =
        are == trusted_.end() ? std::span<const IssuedKey>() : std::span<const IssuedKey>(are->second);
    std::ranges::set_difference(were, now, std::back_inserter(keys));
  }
  return keys;
}

std::optional<IssuedKey> PeerPolicy::admission_of(const PeerIdentity& peer) const {
  if (allow_.empty()) return admission(AllowKind::kEveryone, "");
  std::optional<IssuedKey> found;
  for_each_entry(allow_, [&](AllowKind kind, const std::string& entry) {
    if (!found && matches_entry(kind, entry, peer)) found = admission(kind, entry);
  });
  return found;
}

std::vector<IssuedKey> PeerPolicy::admissions() const {
  std::vector<IssuedKey> all;
  if (allow_.empty()) all.push_back(admission(AllowKind::kEveryone, ""));
  for_each_entry(allow_,
                 [&](AllowKind kind, const std::string& entry) { all.push_back(admission(kind, entry)); });
  std::ranges::sort(all);
  return all;
}

std::vector<IssuedKey> PeerPolicy::stricter_since(const PeerPolicy& before) const {
  std::vector<IssuedKey> keys = distrusted_since(before);
  // A list that admits every peer admits all that any entry admitted.
  if (!allow_.empty())
    std::ranges::set_difference(before.admissions(), admissions(), std::back_inserter(keys));
  if (revocations_ == nullptr) return keys;
  const RevocationList* lists_before = before.revocations_.get();
  const auto add = [&keys](const std::vector<IssuedKey>& more) {
    keys.insert(keys.end(), more.begin(), more.end());
  };
  add(revocations_->revoked_since(lists_before));
  if (lists_before != nullptr) add(revocations_->issuers_lost_since(*lists_before));
  return keys;
}

Authorization no_ca_for(const PeerIdentity& peer) {
  const std::string who = "the certificate of " + peer.short_name() + " (serial " + peer.serial + ")";
  return refuse(
      HandshakeFailure::kClientCertificateUntrusted,
      peer.spiffe_id.empty()
          ? who + " is that of no workload (X509-SVID), and each CA is bound to a SPIFFE trust domain"
          : who + " is of a trust domain that has no CA in `ca`");
}

Authorization PeerPolicy::authorize(const PeerIdentity* peer, WallTime now) const {
  if (mode_ == config::ClientAuthMode::kNone)
    return {.allowed = true, .why = HandshakeFailure::kNone, .detail = {}};
  if (peer == nullptr) {
    if (mode_ == config::ClientAuthMode::kOptional)
      return {.allowed = true, .why = HandshakeFailure::kNone, .detail = {}};
    return refuse(HandshakeFailure::kClientCertificateMissing, "the client sent no certificate");
  }
  const std::string who = "the certificate of " + peer->short_name() + " (serial " + peer->serial + ")";
  if (now > peer->not_after)
    return refuse(HandshakeFailure::kClientCertificateExpired, who + ", or one above it, has expired");
  const auto revoked = [this](const IssuedKey& key) { return revocations_->revokes(key); };
  if (revocations_ != nullptr && std::ranges::any_of(peer->chain, revoked)) {
    return refuse(HandshakeFailure::kClientCertificateRevoked, who + ", or one above it, is revoked");
  }
  const auto authorities = trusted_for(peer->trust_domain());
  const auto trusted = [&](const IssuedKey& key) { return std::ranges::binary_search(authorities, key); };
  if (std::ranges::none_of(peer->trust, trusted)) {
    return refuse(HandshakeFailure::kClientCertificateUntrusted,
                  who + " leads to a CA that is not, or not any more, trusted for it");
  }
  if (!admission_of(*peer)) {
    return refuse(HandshakeFailure::kClientCertificateNotAllowed,
                  who + " matches no entry of the listener's allow list");
  }
  if (revocations_ != nullptr && !revocations_->covers(peer->issued_by)) {
    return refuse(
        HandshakeFailure::kClientCertificateUntrusted,
        "no revocation list of " + peer->issuer + ", by the key of that issuer, is in the `crl` file");
  }
  return {.allowed = true, .why = HandshakeFailure::kNone, .detail = {}};
}

}  // namespace headgate
