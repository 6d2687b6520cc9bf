#pragma once

#include "tls/library/openssl_types.h"

/// What a verification of a peer's chain says, X509_V_ERR_..., also where the library does not look at the
/// strength of a chain: a signature with SHA-1 or MD5, a key of less than 112 bits of security. The signature
/// of the chain's last certificate does not count, since that certificate is trusted for what it is. Any
/// thread.
namespace headgate {

/// For a callback of the verification that the library calls with each certificate: why the current one of
/// `verifying` is too weak, or X509_V_OK.
[[nodiscard]] int weakness_of_current(X509_STORE_CTX* verifying);
/// The error of the verification that has ended with `built`, X509_verify_cert() == 1; X509_V_OK: none.
[[nodiscard]] int error_of_chain(X509_STORE_CTX* verified, bool built);
/// An error as words for the operator: "certificate has expired".
[[nodiscard]] const char* verification_words(int error);

}  // namespace headgate
