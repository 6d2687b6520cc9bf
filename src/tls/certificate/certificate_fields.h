#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/units.h"

namespace headgate {

/// The kinds of key that a certificate can have, in order of preference: the cheapest to sign with first.
enum class KeyType : std::uint8_t {
  kP256,
  kEd25519,
  kP384,
  kP521,
  kEd448,
  kMlDsa44,
  kMlDsa65,
  kMlDsa87,
  kRsa,
  kRsaPss
};
/// Whether it is one of the two kinds of RSA, which sign many times slower than the others.
[[nodiscard]] constexpr bool is_rsa(KeyType type) {
  return type == KeyType::kRsa || type == KeyType::kRsaPss;
}
/// Whether it is a key of ECDSA, on one of the three curves.
[[nodiscard]] constexpr bool is_ecdsa(KeyType type) {
  return type == KeyType::kP256 || type == KeyType::kP384 || type == KeyType::kP521;
}
/// "ECDSA P-256", "RSA", ...: the word in logs and messages.
[[nodiscard]] std::string_view name(KeyType type);

/// The fields that serving and checking a certificate need, read from its DER. Views into that DER, except
/// names.
///
/// Read without OpenSSL, because OpenSSL 3.0 takes a third of a millisecond to build the object of one
/// certificate: a directory of 100,000 would take a minute. OpenSSL still parses every certificate before it
/// is first served.
struct CertificateFields {
  std::span<const std::byte> serial;  ///< The content of the INTEGER.
  std::span<const std::byte> issuer;  ///< The whole Name.
  std::span<const std::byte> subject;
  std::span<const std::byte> public_key;       ///< The whole SubjectPublicKeyInfo.
  std::span<const std::byte> public_key_bits;  ///< Inside it: the point, the RSAPublicKey, ...
  std::span<const std::byte> subject_key_id;   ///< Empty: none.
  std::span<const std::byte> authority_key_id;
  bool has_known_key = true;  ///< False: not served; key_type and key_bits say nothing.
  KeyType key_type = KeyType::kP256;
  std::uint16_t key_bits = 0;
  WallTime not_before;
  WallTime not_after;
  std::vector<std::string>
      names;  ///< DNS names (lower case) and IP addresses of the SAN; else the common name.
  std::string common_name;
  bool has_san = false;
  bool is_ca = false;
  bool has_extended_key_usage = false;
  bool for_servers = true;  ///< What the extended key usage permits; true without one.
  bool for_clients = true;
  bool for_signatures = true;     ///< What the key usage permits; true without one.
  bool weak_digest = false;       ///< Signed with MD5 or SHA-1.
  bool names_issuer_url = false;  ///< AIA says where the issuer's certificate is, as public CAs do.

  [[nodiscard]] bool self_issued() const;
};

/// Whether a signature of `algorithm`, the content of an AlgorithmIdentifier, is made with MD5 or SHA-1. RFC
/// 5280, section 4.1.1.2. Pure; any thread.
[[nodiscard]] bool is_weak_signature(std::span<const std::byte> algorithm);

/// Reads a certificate, RFC 5280, section 4. Pure; any thread. Errors: kMalformed (not a certificate).
[[nodiscard]] Result<CertificateFields> read_certificate(std::span<const std::byte> der);

/// The common name of the issuer of the certificate `der`; empty if the issuer has none.
[[nodiscard]] std::string issuer_common_name(std::span<const std::byte> der);

/// Whether `issuer` is the issuer of `certificate`, by name and key identifier. Does not check signatures.
[[nodiscard]] bool issued_by(const CertificateFields& certificate, const CertificateFields& issuer);

/// The result of comparing a private key with a certificate.
enum class KeyMatch { kYes, kNo, kUnknown };
/// Compares by the public key that the private key's DER (PKCS#8, SEC 1 or PKCS #1) carries. kUnknown: it
/// carries none that can be read here, so OpenSSL has to compare.
[[nodiscard]] KeyMatch compare_key(std::span<const std::byte> key_der, const CertificateFields& certificate);

}  // namespace headgate
