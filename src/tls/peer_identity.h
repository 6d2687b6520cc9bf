#pragma once

#include <array>
#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/units.h"
#include "tls/openssl_types.h"

namespace headgate {

/// A certificate as its issuer knows it: the start of SHA-256 over issuer name and serial number. Names the
/// same certificate in a revocation list and in a connection.
using IssuedKey = std::array<std::byte, 16>;

/// Who a peer is, from a certificate whose chain has been verified. A value; any thread.
struct PeerIdentity {
  std::string spiffe_id;  ///< The only URI, when it is a SPIFFE ID; else empty.
  std::vector<std::string> uris;
  std::vector<std::string> dns;  ///< Lower case.
  std::string common_name;
  std::vector<std::string> organizational_units;
  std::string fingerprint;  ///< SHA-256 of the certificate, lower-case hexadecimal.
  std::string serial;       ///< Upper-case hexadecimal, as `openssl x509 -serial` has it.
  std::string issuer;       ///< RFC 2253: "CN=Clients CA,O=Example".
  WallTime not_after;
  /// The verified chain: the leaf first, the trust anchor not among them. On a resumed session as its ticket
  /// has them.
  std::vector<IssuedKey> chain;
  IssuedKey anchor{};  ///< The start of SHA-256 of the trust anchor's certificate.

  /// The name a log line has for it: SPIFFE ID, else DNS name, common name or fingerprint, whatever comes
  /// first.
  [[nodiscard]] const std::string& short_name() const;
  bool operator==(const PeerIdentity&) const = default;
};

/// The identity in `leaf`. `chain` and `anchor` stay empty: add_chain() has them.
[[nodiscard]] PeerIdentity identity_of(X509* leaf);

/// Fills `chain` and `anchor` from a verified chain, leaf first, trust anchor last.
void add_chain(PeerIdentity& identity, STACK_OF(X509) * verified);

/// The IssuedKey of a certificate, and of an issuer's name (DER) with a serial number.
[[nodiscard]] IssuedKey issued_key(X509* certificate);
[[nodiscard]] IssuedKey issued_key(const X509_NAME* issuer, const ASN1_INTEGER* serial);
/// The key under which a trust anchor is known.
[[nodiscard]] IssuedKey anchor_key(X509* certificate);

}  // namespace headgate
