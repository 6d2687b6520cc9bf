#include "tls/peer_policy.h"

#include <algorithm>

namespace headgate {
namespace {

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

/// What a '*' may stand for.
struct Wildcard {
  char never;            ///< It stops before this character.
  std::size_t at_least;  ///< Characters.
};

/// Matches with one place to come back to. That is enough: a '*' that has to take more to make a later one
/// succeed would have to run over the same characters, and be stopped by the same `never`.
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

bool any_uri(const std::vector<std::string>& patterns, std::string_view text) {
  return std::ranges::any_of(patterns,
                             [&](const std::string& pattern) { return matches_uri(pattern, text); });
}

bool contains(const std::vector<std::string>& words, std::string_view word) {
  return std::ranges::find(words, word) != words.end();
}

Authorization refuse(HandshakeFailure why, std::string detail) {
  return {false, why, std::move(detail)};
}

}  // namespace

bool matches_uri(std::string_view pattern, std::string_view text) {
  return matches(pattern, text, {'/', 0});
}

bool matches_dns(std::string_view pattern, std::string_view text) {
  std::string lower_pattern(pattern), lower_text(text);
  std::ranges::transform(lower_pattern, lower_pattern.begin(), lower);
  std::ranges::transform(lower_text, lower_text.begin(), lower);
  return matches(lower_pattern, lower_text, {'.', 1});
}

PeerPolicy::PeerPolicy(const config::ClientAuth& settings, std::vector<IssuedKey> anchors,
                       std::shared_ptr<const RevocationList> revocations)
    : mode_(settings.mode),
      allow_(settings.allow),
      anchors_(std::move(anchors)),
      revocations_(std::move(revocations)) {
  std::ranges::sort(anchors_);
}

bool PeerPolicy::matches_allow_list(const PeerIdentity& peer) const {
  if (allow_.empty()) return true;
  if (!peer.spiffe_id.empty() && any_uri(allow_.spiffe, peer.spiffe_id)) return true;
  if (std::ranges::any_of(peer.uris, [&](const std::string& uri) { return any_uri(allow_.uri, uri); }))
    return true;
  const auto dns_allowed = [&](const std::string& name) {
    return std::ranges::any_of(allow_.dns,
                               [&](const std::string& pattern) { return matches_dns(pattern, name); });
  };
  if (std::ranges::any_of(peer.dns, dns_allowed)) return true;
  if (!peer.common_name.empty() && contains(allow_.common_name, peer.common_name)) return true;
  const auto unit_allowed = [&](const std::string& unit) {
    return contains(allow_.organizational_unit, unit);
  };
  return std::ranges::any_of(peer.organizational_units, unit_allowed) ||
         contains(allow_.fingerprint, peer.fingerprint);
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
  if (now > peer->not_after) return refuse(HandshakeFailure::kClientCertificateExpired, who + " has expired");
  const auto revoked = [this](const IssuedKey& key) { return revocations_->revokes(key); };
  if (revocations_ != nullptr && std::ranges::any_of(peer->chain, revoked)) {
    return refuse(HandshakeFailure::kClientCertificateRevoked, who + ", or one above it, is revoked");
  }
  if (!std::ranges::binary_search(anchors_, peer->anchor)) {
    return refuse(HandshakeFailure::kClientCertificateUntrusted,
                  who + " leads to a CA that is trusted no more");
  }
  if (!matches_allow_list(*peer)) {
    return refuse(HandshakeFailure::kClientCertificateNotAllowed,
                  who + " matches nothing in the listener's allow list");
  }
  return {.allowed = true, .why = HandshakeFailure::kNone, .detail = {}};
}

}  // namespace headgate
