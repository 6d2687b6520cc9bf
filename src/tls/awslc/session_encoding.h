#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include "tls/record/hkdf.h"

/// Translates the session in a ticket between the encodings of OpenSSL and AWS-LC.
///
/// Every ticket of Headgate holds OpenSSL's encoding, so that programs on both libraries resume each other's
/// sessions. The encodings begin alike, but most of their optional fields differ. Pure; any thread. The only
/// copy of a secret that is made is in the result.
namespace headgate {

/// A session as a ticket holds it, and the data of the application beside it.
struct OpenedSession {
  /// As AWS-LC encodes it, for a server. It holds the secret of the session: the caller wipes it.
  std::vector<std::byte> session;
  std::vector<std::byte> app_data;  ///< Empty: none.
};

/// How many bytes AWS-LC's encoding of a session may be longer than OpenSSL's.
inline constexpr std::size_t kMostAddedBytes = 16;

/// Translates OpenSSL's encoding. Returns nullopt for bytes that are not one, and for a session that AWS-LC
/// could not resume: the client then gets a full handshake.
///
/// The session allows no early data. Its timeout is all of its life: AWS-LC does not lengthen it when it
/// resumes the session. AWS-LC's context must not have SSL_CTX_set_retain_only_sha256_of_client_certs().
[[nodiscard]] std::optional<OpenedSession> read_openssl_session(Octets encoded);

/// Translates AWS-LC's encoding `session` of a server's finished handshake into OpenSSL's, with `key` in
/// place of its secret (an empty `key`: the secret stays), and with `app_data`. Of the peer's certificates
/// only the first is kept, as OpenSSL does.
///
/// Returns nothing for bytes that are no such encoding; for a session that OpenSSL could not resume: a
/// client's, QUIC's, one that is over, one with a hash in place of the peer; and for a `key` that is not as
/// long as the secret of such a session is. The result holds the secret: the caller wipes it.
[[nodiscard]] std::vector<std::byte> openssl_session(Octets session, Octets key, Octets app_data);

}  // namespace headgate
