#pragma once

#include <array>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/units.h"
#include "tls/openssl/openssl_types.h"

namespace headgate {

/// Identifies a certificate by issuer name and serial number: the start of their SHA-256. It is the same for
/// a certificate in a revocation list and in a connection. The keys of issuers and of trusted certificates
/// are of the same kind, and never equal to one of these.
using IssuedKey = std::array<std::byte, 16>;

/// The identity of a peer, from a certificate whose chain has been verified. A value; any thread.
struct PeerIdentity {
  std::string spiffe_id;  ///< The only URI, when it is a SPIFFE ID; else empty.
  std::vector<std::string> uris;
  std::vector<std::string> dns;  ///< Lower case.
  std::string common_name;
  std::vector<std::string> organizational_units;
  std::string fingerprint;  ///< SHA-256 of the certificate, lower-case hexadecimal.
  std::string serial;       ///< Upper-case hexadecimal, as `openssl x509 -serial` has it.
  std::string issuer;       ///< RFC 2253: "CN=Clients CA,O=Example".
  IssuedKey issued_by{};    ///< issuer_key() of its issuer.
  /// When the first certificate of the verified chain expires, the trust anchor included.
  WallTime not_after;
  // A resumed session has these from its ticket:
  /// The verified chain: the leaf first, without self-issued certificates above it.
  std::vector<IssuedKey> chain;
  /// The trust_key() of each certificate of the chain that the peer sent, and of the first that it did not
  /// send. If any of them is trusted, the chain may pass.
  std::vector<IssuedKey> trust;

  /// The name in log lines: the first that exists of SPIFFE ID, DNS name, common name and fingerprint.
  [[nodiscard]] const std::string& short_name() const;
  bool operator==(const PeerIdentity&) const = default;
};

/// The identity in `leaf`. `chain` and `trust` stay empty, and `not_after` is the leaf's, until add_chain().
[[nodiscard]] PeerIdentity identity_of(X509* leaf);

/// Adds the facts of a verified chain, leaf first, trust anchor last; `sent` are the certificates that the
/// peer sent.
void add_chain(PeerIdentity& identity, STACK_OF(X509) * verified, STACK_OF(X509) * sent);

/// The IssuedKey of a certificate, and of an issuer's name (DER) with a serial number.
[[nodiscard]] IssuedKey issued_key(X509* certificate);
[[nodiscard]] IssuedKey issued_key(const X509_NAME* issuer, const ASN1_INTEGER* serial);
/// The key of another fact by which peers are found.
[[nodiscard]] IssuedKey key_of_text(std::string_view text);
/// The key of an issuer, by its name alone.
[[nodiscard]] IssuedKey issuer_key(const X509_NAME* issuer);
/// The key of a certificate of the `ca` file, made of name and public key, so that a renewed certificate has
/// the same.
[[nodiscard]] IssuedKey trust_key(X509* certificate);

}  // namespace headgate
