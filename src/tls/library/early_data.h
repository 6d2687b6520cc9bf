#pragma once

#include <cstddef>

#include "tls/library/openssl_types.h"

namespace headgate {

/// The most bytes of early data that a handshake skips, as records on the network. No server's default offers
/// more than 16 KiB of it (the ticket is another server's); the rest is for records with little in them.
/// AWS-LC skips 16 KiB, which nothing changes.
inline constexpr std::size_t kMaxSkippedEarlyDataBytes = std::size_t{128} * 1024;

/// Makes OpenSSL skip a client's early data, up to kMaxSkippedEarlyDataBytes, and never accept it. RFC 8446,
/// section 4.2.10.
void skip_early_data(SSL_CTX* context);

/// Puts a BIO between `ssl`, a server's with a BIO of its own, and its reading BIO: the new BIO drops the
/// early data that comes between a HelloRetryRequest and the second ClientHello. OpenSSL skips that data too,
/// but refuses a record whose plaintext was as long as may be, since it takes the record for plaintext. For
/// clients that offer early data only. Returns false when OpenSSL has no memory: `ssl` goes on as before.
bool skip_early_data_after_retry(SSL* ssl);
/// Takes that BIO away again, if it is there: for a handshake that is done.
void end_skipping_early_data(SSL* ssl);

}  // namespace headgate
