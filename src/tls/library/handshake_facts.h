#pragma once

#include <string_view>

#include "tls/certificate/certificate_fields.h"
#include "tls/library/openssl_types.h"

/// What an SSL object tells of its handshake, where the libraries have different words for it. Each text is a
/// constant. Call them on the thread that drives `ssl`.
namespace headgate {

/// The group of the key exchange, "x25519"; empty where there was none.
[[nodiscard]] std::string_view negotiated_group(SSL* ssl);
/// The SignatureScheme (RFC 8446, section 4.2.3) of our own signature, with a key of `type`. Empty where the
/// scheme is not known by a name; the caller knows that this handshake was signed.
[[nodiscard]] std::string_view own_signature_scheme(SSL* ssl, KeyType type);
/// That of the signature of a client that showed a certificate in this handshake; empty for any other client,
/// "other" for a scheme without a name.
[[nodiscard]] std::string_view client_signature_scheme(SSL* ssl);

/// Whether the handshake of a server failed because the client lists no group that the server has, when the
/// library says that no cipher is shared.
[[nodiscard]] bool lacks_shared_group(SSL* ssl);
/// Whether the client negotiated a bound for the contents of a record. RFC 6066, section 4.
[[nodiscard]] bool has_short_records(const SSL* ssl);
/// Whether a part of a record has arrived, and its rest has not.
[[nodiscard]] bool is_inside_record(const SSL* ssl);

}  // namespace headgate
