#include "tls/library/handshake_facts.h"

#include "base/text_of.h"
#include "tls/awslc/key_use.h"

namespace headgate {
namespace {

std::string_view name_of_scheme(std::uint16_t scheme) {
  constexpr int kWithCurve = 1;
  return scheme == 0 ? std::string_view() : text_of(SSL_get_signature_algorithm_name(scheme, kWithCurve));
}

}  // namespace

// The names of IANA, as OpenSSL has them; AWS-LC calls the curves "P-256" and "X25519".
std::string_view negotiated_group(SSL* ssl) {
  switch (const std::uint16_t group = SSL_get_group_id(ssl)) {
    case 0:
      return {};
    case SSL_GROUP_SECP256R1:
      return "secp256r1";
    case SSL_GROUP_SECP384R1:
      return "secp384r1";
    case SSL_GROUP_SECP521R1:
      return "secp521r1";
    case SSL_GROUP_X25519:
      return "x25519";
    default:
      return text_of(SSL_get_group_name(group));
  }
}

std::string_view own_signature_scheme(SSL* ssl, KeyType) {
  return name_of_scheme(scheme_of_own_signature(ssl));
}

std::string_view client_signature_scheme(SSL* ssl) {
  const std::uint16_t scheme = SSL_get_peer_signature_algorithm(ssl);
  if (SSL_session_reused(ssl) == 1 || scheme == 0) return {};
  const std::string_view name = name_of_scheme(scheme);
  return name.empty() ? "other" : name;
}

// In TLS 1.3 AWS-LC has a reason of its own for it: see error_reasons.cc. In TLS 1.2 it says that no cipher
// is shared.
bool lacks_shared_group(SSL*) {
  return false;
}

// AWS-LC does not negotiate such a bound.
bool has_short_records(const SSL*) {
  return false;
}

bool is_inside_record(const SSL* ssl) {
  return SSL_has_pending(ssl) == 1;
}

}  // namespace headgate
