#pragma once

#include <array>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/units.h"
#include "tls/library/openssl_types.h"

namespace headgate {

/// Identifies a certificate by the name and public key of its issuer and its serial number: the start of
/// their SHA-256. It is the same for a certificate in a revocation list and in a connection. Two authorities
/// of one name have different keys, so a list of one says nothing about the other's certificates. The keys of
/// authorities are of the same kind, and never equal to one of these.
using IssuedKey = std::array<std::byte, 16>;

/// The identity of a peer, from a certificate whose chain has been verified. A value; any thread.
struct PeerIdentity {
  static constexpr std::size_t kMaxLinks = 16;

  /// The SPIFFE ID of an X509-SVID: the certificate has no other URI, is no CA, and the ID has a path. Else
  /// empty.
  std::string spiffe_id;
  std::vector<std::string> uris;
  std::vector<std::string> dns;  ///< Lower case.
  std::string common_name;
  std::vector<std::string> organizational_units;
  std::string fingerprint;                 ///< SHA-256 of the certificate, lower-case hexadecimal.
  std::array<std::byte, 32> public_key{};  ///< SHA-256 of the public key (SPKI, RFC 5280 section 4.1).
  std::string serial;                      ///< Upper-case hexadecimal, as `openssl x509 -serial` has it.
  std::string issuer;                      ///< RFC 2253: "CN=Clients CA,O=Example".
  IssuedKey issued_by{};  ///< trust_key() of its issuer; zero until add_chain(), and for an unknown issuer.
  /// When the first certificate of the verified chain expires, the trust anchor included.
  WallTime not_after;
  // A resumed session has these from its ticket:
  /// The verified chain: the leaf first, then the CAs above it up to a root, as far as they are trusted, but
  /// without a self-signed certificate. At most kMaxLinks.
  std::vector<IssuedKey> chain;
  /// The trust_key() of each certificate of the chain that the peer sent, and of the first that it did not
  /// send. If any of them is trusted, the chain may pass.
  std::vector<IssuedKey> trust;
  std::string certificate_der;  ///< The leaf, until a PROXY header has carried it; empty where none does.

  /// The name in log lines: the first that exists of SPIFFE ID, DNS name, common name and fingerprint.
  [[nodiscard]] const std::string& short_name() const;
  /// The part of the SPIFFE ID behind "spiffe://" and before the path; empty without an ID.
  [[nodiscard]] std::string_view trust_domain() const;
  bool operator==(const PeerIdentity&) const = default;
};

/// The identity in `leaf`. `chain` and `trust` stay empty, `issued_by` zero and `not_after` the leaf's, until
/// add_chain().
[[nodiscard]] PeerIdentity identity_of(X509* leaf);

/// Adds the facts of a verified chain, leaf first, trust anchor last; `sent` are the certificates that the
/// peer sent. The first of `above` issued the last certificate, and each other one that before it; none: the
/// last one is self-signed, or its issuer is not known.
void add_chain(PeerIdentity& identity, STACK_OF(X509) * verified, STACK_OF(X509) * sent,
               std::span<const X509Ptr> above = {});
/// Adds the facts of the chain that OpenSSL has verified in `context`. The issuers above its last certificate
/// are looked for among the trusted certificates.
void add_chain(PeerIdentity& identity, X509_STORE_CTX* context);

/// The IssuedKey of a certificate by its serial number and by the trust_key() of its issuer.
[[nodiscard]] IssuedKey issued_key(const IssuedKey& issuer, const ASN1_INTEGER* serial);
/// The key of another fact by which peers are found.
[[nodiscard]] IssuedKey key_of_text(std::string_view text);
/// The key of an authority or of another certificate by its name and public key, so that a renewed
/// certificate has the same. With `name`, as that name writes it: one name may be encoded in several ways.
[[nodiscard]] IssuedKey trust_key(X509* certificate);
[[nodiscard]] IssuedKey trust_key(const X509_NAME* name, X509* certificate);

}  // namespace headgate
