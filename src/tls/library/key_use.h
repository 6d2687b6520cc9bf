#pragma once

#include <memory>

#include "base/result.h"
#include "tls/library/openssl_types.h"

/// How a handshake uses the private key of its certificate: after a permit, and on another thread where that
/// takes long. The two libraries differ most here: OpenSSL has providers and fibres (ASYNC_JOB) for it,
/// AWS-LC asks for a signature that may come later (SSL_PRIVATE_KEY_METHOD).
namespace headgate {

class LibraryContext;

/// A key for `library` that stands for `key`, an RSA or RSA-PSS key of `home`, which it keeps alive, and that
/// is used on another thread: see tls/library/offloading_keys.h. Any thread. Errors: kInvalid, with the
/// library's reason.
[[nodiscard]] Result<PkeyPtr> offload_key(PkeyPtr key, std::shared_ptr<const LibraryContext> home,
                                          const LibraryContext& library);

// The functions below are for the thread that drives the handshake of `ssl`, or that makes `context`.

/// Has `ssl`, or each SSL of `context`, present `leaf` and `chain` and use `key`, which belongs to `leaf`.
/// They share all three. False when the library refuses: its error queue says why.
[[nodiscard]] bool present(SSL* ssl, X509* leaf, EVP_PKEY* key, STACK_OF(X509) * chain);
[[nodiscard]] bool present(SSL_CTX* context, X509* leaf, EVP_PKEY* key, STACK_OF(X509) * chain);

/// Has each server handshake of `context` pause (SslExtraData::full_permitted) before it signs, and before it
/// exchanges keys as far as it can be known then that the handshake is a full one.
void pause_for_permits(SSL_CTX* context);

/// Has the handshake of `ssl` hand its private-key operations out, because its key is an offloaded one.
void begin_offloading(SSL* ssl);
/// The handshake of `ssl` is done: nothing is handed out any more.
void end_offloading(SSL* ssl);

}  // namespace headgate
