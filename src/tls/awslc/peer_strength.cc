#include "tls/library/peer_strength.h"

#include <cstddef>
#include <memory>
#include <span>

#include <openssl/err.h>
#include <openssl/rsa.h>

#include "tls/certificate/certificate_fields.h"
#include "tls/certificate/der.h"
#include "tls/library/error_reasons.h"

namespace headgate {
namespace {

// 112 bits of security: NIST SP 800-57 part 1, table 2.
constexpr int kLeastRsaBits = 2048;
constexpr int kLeastCurveBits = 224;

bool has_weak_key(X509* certificate) {
  const EVP_PKEY* key = X509_get0_pubkey(certificate);
  if (key == nullptr) return true;
  const int type = EVP_PKEY_id(key);
  if (type == EVP_PKEY_RSA || type == EVP_PKEY_RSA_PSS) return EVP_PKEY_bits(key) < kLeastRsaBits;
  return type == EVP_PKEY_EC && EVP_PKEY_bits(key) < kLeastCurveBits;
}

bool has_weak_signature(X509* certificate) {
  unsigned char* der = nullptr;
  const int size = i2d_X509_ALGOR(X509_get0_tbs_sigalg(certificate), &der);
  const std::unique_ptr<unsigned char, FreedBy<OPENSSL_free>> owner(der);
  if (size <= 0) return true;
  const auto bytes = std::as_bytes(std::span(der, static_cast<std::size_t>(size)));
  const auto algorithm = DerReader(bytes).next(kDerSequence);
  return !algorithm || is_weak_signature(algorithm->content);
}

/// Of the certificate at `depth` of a chain; the leaf's is 0.
int weakness_at(const STACK_OF(X509) * chain, std::size_t depth) {
  X509* certificate = sk_X509_value(chain, depth);
  if (has_weak_key(certificate))
    return depth == 0 ? X509_V_ERR_EE_KEY_TOO_SMALL : X509_V_ERR_CA_KEY_TOO_SMALL;
  const bool is_last = depth + 1 == sk_X509_num(chain);
  return !is_last && has_weak_signature(certificate) ? X509_V_ERR_CA_MD_TOO_WEAK : X509_V_OK;
}

/// AWS-LC says so of a key that it cannot use, also within a certificate above the leaf.
bool is_unknown_key(int error) {
  return error == X509_V_ERR_UNSPECIFIED && !is_own_fault(ERR_peek_last_error());
}

}  // namespace

int weakness_of_current(X509_STORE_CTX* verifying) {
  const STACK_OF(X509)* chain = X509_STORE_CTX_get0_chain(verifying);
  const int depth = X509_STORE_CTX_get_error_depth(verifying);
  if (chain == nullptr || depth < 0 || static_cast<std::size_t>(depth) >= sk_X509_num(chain))
    return X509_V_OK;
  return weakness_at(chain, static_cast<std::size_t>(depth));
}

int error_of_chain(X509_STORE_CTX* verified, bool built) {
  if (!built) {
    const int error = X509_STORE_CTX_get_error(verified);
    return is_unknown_key(error) ? X509_V_ERR_UNABLE_TO_DECODE_ISSUER_PUBLIC_KEY : error;
  }
  const STACK_OF(X509)* chain = X509_STORE_CTX_get0_chain(verified);
  for (std::size_t depth = 0; depth < sk_X509_num(chain); ++depth) {
    if (const int weakness = weakness_at(chain, depth); weakness != X509_V_OK) return weakness;
  }
  return X509_V_OK;
}

// AWS-LC has OpenSSL's numbers for these, and no words.
const char* verification_words(int error) {
  switch (error) {
    case X509_V_ERR_EE_KEY_TOO_SMALL:
      return "EE certificate key too weak";
    case X509_V_ERR_CA_KEY_TOO_SMALL:
      return "CA certificate key too weak";
    case X509_V_ERR_CA_MD_TOO_WEAK:
      return "CA signature digest algorithm too weak";
    default:
      return X509_verify_cert_error_string(error);
  }
}

}  // namespace headgate
