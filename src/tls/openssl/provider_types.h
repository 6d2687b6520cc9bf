#pragma once

#include <memory>

#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/provider.h>

#include "tls/library/openssl_types.h"

/// Owners of the objects that OpenSSL has since it has providers.
namespace headgate {

using AsymmetricCipherPtr = std::unique_ptr<EVP_ASYM_CIPHER, FreedBy<EVP_ASYM_CIPHER_free>>;
using CipherPtr = std::unique_ptr<EVP_CIPHER, FreedBy<EVP_CIPHER_free>>;
using DigestPtr = std::unique_ptr<EVP_MD, FreedBy<EVP_MD_free>>;
using KdfCtxPtr = std::unique_ptr<EVP_KDF_CTX, FreedBy<EVP_KDF_CTX_free>>;
using KdfPtr = std::unique_ptr<EVP_KDF, FreedBy<EVP_KDF_free>>;
using KeyExchangePtr = std::unique_ptr<EVP_KEYEXCH, FreedBy<EVP_KEYEXCH_free>>;
using KeyManagementPtr = std::unique_ptr<EVP_KEYMGMT, FreedBy<EVP_KEYMGMT_free>>;
using LibCtxPtr = std::unique_ptr<OSSL_LIB_CTX, FreedBy<OSSL_LIB_CTX_free>>;
using ProviderPtr = std::unique_ptr<OSSL_PROVIDER, FreedBy<OSSL_PROVIDER_unload>>;
using SignaturePtr = std::unique_ptr<EVP_SIGNATURE, FreedBy<EVP_SIGNATURE_free>>;

}  // namespace headgate
