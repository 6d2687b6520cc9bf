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

/// A certificate as its issuer knows it: the start of SHA-256 over issuer name and serial number. Names the
/// same certificate in a revocation list and in a connection. The keys of issuers and of trusted certificates
/// are of the same kind, and never equal to one of these.
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
  IssuedKey issued_by{};    ///< issuer_key() of its issuer.
  /// When the first certificate of the verified chain expires, the trust anchor's among them.
  WallTime not_after;
  // On a resumed session as its ticket has them:
  /// The verified chain: the leaf first, without what is self-issued.
  std::vector<IssuedKey> chain;
  /// Trusted, any of these lets the chain pass: each certificate of it that the peer sent itself, and the
  /// first that it did not send. trust_key() of each.
  std::vector<IssuedKey> trust;

  /// The name a log line has for it: SPIFFE ID, else DNS name, common name or fingerprint, whatever comes
  /// first.
  [[nodiscard]] const std::string& short_name() const;
  bool operator==(const PeerIdentity&) const = default;
};

/// The identity in `leaf`. `chain` and `trust` stay empty, and `not_after` is the leaf's: add_chain() has
/// them.
[[nodiscard]] PeerIdentity identity_of(X509* leaf);

/// Adds what a verified chain has, leaf first, trust anchor last; `sent` is what the peer sent.
void add_chain(PeerIdentity& identity, STACK_OF(X509) * verified, STACK_OF(X509) * sent);

/// The IssuedKey of a certificate, and of an issuer's name (DER) with a serial number.
[[nodiscard]] IssuedKey issued_key(X509* certificate);
[[nodiscard]] IssuedKey issued_key(const X509_NAME* issuer, const ASN1_INTEGER* serial);
/// The key of something else that peers are looked for by.
[[nodiscard]] IssuedKey key_of_text(std::string_view text);
/// The key of an issuer, by its name alone.
[[nodiscard]] IssuedKey issuer_key(const X509_NAME* issuer);
/// The key under which a certificate of the `ca` file is known: by name and public key, so that one that is
/// renewed stays the same.
[[nodiscard]] IssuedKey trust_key(X509* certificate);

}  // namespace headgate
