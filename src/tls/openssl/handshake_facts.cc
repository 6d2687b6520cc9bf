#include "tls/library/handshake_facts.h"

#include <algorithm>
#include <array>
#include <utility>

#include <openssl/ssl.h>

#include "base/text_of.h"

namespace headgate {
namespace {

/// The SignatureScheme of one kind of key with SHA-256, SHA-384 and SHA-512. RFC 8446, section 4.2.3.
struct HashedScheme {
  int key;
  std::array<std::string_view, 3> names;
};
constexpr std::array kHashedSchemes{
    HashedScheme{EVP_PKEY_EC, {"ecdsa_secp256r1_sha256", "ecdsa_secp384r1_sha384", "ecdsa_secp521r1_sha512"}},
    HashedScheme{EVP_PKEY_RSA, {"rsa_pkcs1_sha256", "rsa_pkcs1_sha384", "rsa_pkcs1_sha512"}},
    HashedScheme{EVP_PKEY_RSA_PSS, {"rsa_pss_rsae_sha256", "rsa_pss_rsae_sha384", "rsa_pss_rsae_sha512"}}};
constexpr std::array<std::string_view, 3> kPssKeySchemes{"rsa_pss_pss_sha256", "rsa_pss_pss_sha384",
                                                         "rsa_pss_pss_sha512"};

/// The place of `hash` among the names of a scheme; their number if no scheme has this hash.
std::size_t index_of_hash(int hash) {
  constexpr std::array kHashes{NID_sha256, NID_sha384, NID_sha512};
  return static_cast<std::size_t>(std::ranges::find(kHashes, hash) - kHashes.begin());
}

/// A key whose scheme has no hash of its own; empty for the others.
std::string_view whole_scheme_of(KeyType type) {
  switch (type) {
    case KeyType::kEd25519:
      return "ed25519";
    case KeyType::kEd448:
      return "ed448";
    case KeyType::kMlDsa44:
      return "mldsa44";
    case KeyType::kMlDsa65:
      return "mldsa65";
    case KeyType::kMlDsa87:
      return "mldsa87";
    default:
      return {};
  }
}

/// The scheme of a signature of that kind and hash, by OpenSSL's numbers, with such a key; empty: it has no
/// name here.
std::string_view hashed_scheme_of(int kind, int hash, KeyType type) {
  const std::size_t index = index_of_hash(hash);
  const auto* row = std::ranges::find(kHashedSchemes, kind, &HashedScheme::key);
  if (index == kPssKeySchemes.size() || row == kHashedSchemes.end()) return {};
  const bool pss_key = kind == EVP_PKEY_RSA_PSS && type == KeyType::kRsaPss;
  return pss_key ? kPssKeySchemes[index] : row->names[index];
}

/// The kind of a client's key, as far as the name of a scheme depends on it.
KeyType key_type_of(EVP_PKEY* key) {
  constexpr std::array kKinds{
      std::pair{"RSA-PSS", KeyType::kRsaPss},    std::pair{"ED25519", KeyType::kEd25519},
      std::pair{"ED448", KeyType::kEd448},       std::pair{"ML-DSA-44", KeyType::kMlDsa44},
      std::pair{"ML-DSA-65", KeyType::kMlDsa65}, std::pair{"ML-DSA-87", KeyType::kMlDsa87}};
  const auto* found =
      std::ranges::find_if(kKinds, [&](const auto& kind) { return EVP_PKEY_is_a(key, kind.first) == 1; });
  return found == kKinds.end() ? KeyType::kRsa : found->second;
}

}  // namespace

// OpenSSL's own name of a group comes from its tables, which live as long as the library.
std::string_view negotiated_group(SSL* ssl) {
  const auto id = static_cast<int>(SSL_get_negotiated_group(ssl));
  return id > 0 ? text_of(SSL_group_to_name(ssl, id)) : std::string_view();
}

std::string_view own_signature_scheme(SSL* ssl, KeyType type) {
  int kind = NID_undef;
  int hash = NID_undef;
  if (SSL_get_signature_type_nid(ssl, &kind) != 1) return {};
  if (const auto whole = whole_scheme_of(type); !whole.empty()) return whole;
  return SSL_get_signature_nid(ssl, &hash) == 1 ? hashed_scheme_of(kind, hash, type) : std::string_view();
}

// OpenSSL knows the signature only of a client that showed a certificate in this handshake.
std::string_view client_signature_scheme(SSL* ssl) {
  constexpr std::string_view kOther = "other";
  int kind = NID_undef;
  int hash = NID_undef;
  if (SSL_session_reused(ssl) == 1 || SSL_get_peer_signature_type_nid(ssl, &kind) != 1) return {};
  const X509* peer = SSL_get0_peer_certificate(ssl);
  EVP_PKEY* key = peer == nullptr ? nullptr : X509_get0_pubkey(peer);
  if (key == nullptr) return kOther;
  const KeyType type = kind == EVP_PKEY_EC ? KeyType::kP256 : key_type_of(key);
  if (const auto whole = whole_scheme_of(type); !whole.empty()) return whole;
  if (SSL_get_peer_signature_nid(ssl, &hash) != 1) return kOther;
  const std::string_view scheme = hashed_scheme_of(kind, hash, type);
  return scheme.empty() ? kOther : scheme;
}

bool lacks_shared_group(SSL* ssl) {
  return SSL_get1_groups(ssl, nullptr) > 0 && SSL_get_shared_group(ssl, -1) == 0;
}

bool has_short_records(const SSL* ssl) {
  const unsigned length = SSL_SESSION_get_max_fragment_length(SSL_get0_session(ssl));
  return length >= TLSEXT_max_fragment_length_512 && length <= TLSEXT_max_fragment_length_4096;
}

// Of a record that has arrived in part OpenSSL holds some bytes, or it has read the header: "RB", read body.
bool is_inside_record(const SSL* ssl) {
  return SSL_has_pending(ssl) == 1 || std::string_view(SSL_rstate_string(ssl)) == "RB";
}

}  // namespace headgate
