#include <algorithm>
#include <initializer_list>

#include "tls/certificate/certificate.h"

namespace headgate {
namespace {

bool offers_any(const Uint16List& list, std::initializer_list<std::uint16_t> values) {
  return std::ranges::any_of(values, [&](std::uint16_t value) { return list.contains(value); });
}

/// SignatureScheme values of RFC 8446, section 4.2.3, and of draft-ietf-tls-mldsa for ML-DSA.
bool takes_tls13_signature(const Uint16List& schemes, KeyType type) {
  switch (type) {
    case KeyType::kP256:
      return schemes.contains(0x0403);
    case KeyType::kP384:
      return schemes.contains(0x0503);
    case KeyType::kP521:
      return schemes.contains(0x0603);
    case KeyType::kEd25519:
      return schemes.contains(0x0807);
    case KeyType::kEd448:
      return schemes.contains(0x0808);
    case KeyType::kMlDsa44:
      return schemes.contains(0x0904);
    case KeyType::kMlDsa65:
      return schemes.contains(0x0905);
    case KeyType::kMlDsa87:
      return schemes.contains(0x0906);
    case KeyType::kRsa:
      return offers_any(schemes, {0x0804, 0x0805, 0x0806});
    case KeyType::kRsaPss:
      return offers_any(schemes, {0x0809, 0x080a, 0x080b});
  }
  return false;
}

/// In TLS 1.2 a scheme names hash and algorithm, and the curve is one of the groups. RFC 8422, section 5.1.
bool takes_tls12_signature(const ClientHello& hello, KeyType type) {
  const Uint16List& schemes = hello.signature_algorithms;
  const bool says_nothing =
      schemes.empty();  // RFC 5246, section 7.4.1.4.1: then the client accepts RSA and ECDSA
  if (type == KeyType::kRsa)
    return says_nothing || offers_any(schemes, {0x0401, 0x0501, 0x0601, 0x0804, 0x0805, 0x0806});
  if (!is_ecdsa(type)) return !says_nothing && takes_tls13_signature(schemes, type);
  const std::uint16_t curve = type == KeyType::kP256 ? 23 : type == KeyType::kP384 ? 24 : 25;
  return (says_nothing || offers_any(schemes, {0x0403, 0x0503, 0x0603})) &&
         (hello.groups.empty() || hello.groups.contains(curve));
}

bool offers_ecdsa_suite(const Uint16List& suites) {
  return offers_any(suites,
                    {0xc02b, 0xc02c, 0xcca9, 0xc023, 0xc024, 0xc009, 0xc00a, 0xc0ac, 0xc0ad, 0xc0ae, 0xc0af});
}

bool offers_rsa_suite(const Uint16List& suites) {
  return offers_any(suites, {0xc02f, 0xc030, 0xcca8, 0xc027, 0xc028, 0xc013, 0xc014, 0x009e, 0x009f, 0xccaa,
                             0x009c, 0x009d, 0x002f, 0x0035, 0x003c, 0x003d});
}

bool is_ml_dsa(KeyType type) {
  return type == KeyType::kMlDsa44 || type == KeyType::kMlDsa65 || type == KeyType::kMlDsa87;
}

}  // namespace

bool StoredCertificate::verifiable_by(const ClientHello& hello, std::uint16_t version) const {
  if (version >= kTls13Number) return takes_tls13_signature(hello.signature_algorithms, key_type_);
  if (is_ml_dsa(key_type_)) return false;  // defined for TLS 1.3 alone
  const bool rsa = is_rsa(key_type_);
  const bool suite = rsa ? offers_rsa_suite(hello.cipher_suites) : offers_ecdsa_suite(hello.cipher_suites);
  return suite && takes_tls12_signature(hello, key_type_);
}

}  // namespace headgate
