#include "tls/library/peer_strength.h"

#include <algorithm>
#include <array>

#include <openssl/rsa.h>

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

/// A certificate that its own key signed is trusted for what it is, not for its signature.
bool has_weak_signature(X509* certificate) {
  constexpr std::array kWeak{NID_md4, NID_md5, NID_sha1, NID_md5_sha1};
  int digest = NID_undef;
  if (X509_NAME_cmp(X509_get_subject_name(certificate), X509_get_issuer_name(certificate)) == 0) return false;
  return OBJ_find_sigid_algs(X509_get_signature_nid(certificate), &digest, nullptr) == 1 &&
         std::ranges::find(kWeak, digest) != kWeak.end();
}

}  // namespace

int weakness_of(X509* certificate) {
  if (has_weak_key(certificate)) return X509_V_ERR_EE_KEY_TOO_SMALL;
  return has_weak_signature(certificate) ? X509_V_ERR_CA_MD_TOO_WEAK : X509_V_OK;
}

int weakness_of_chain(X509_STORE_CTX* verified) {
  const STACK_OF(X509)* chain = X509_STORE_CTX_get0_chain(verified);
  for (std::size_t i = 0; i < sk_X509_num(chain); ++i) {
    if (const int weakness = weakness_of(sk_X509_value(chain, i)); weakness != X509_V_OK) return weakness;
  }
  return X509_V_OK;
}

}  // namespace headgate
