#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "net/address.h"

namespace headgate {

/// The longest header that is read or written. It has room for a client certificate of the usual size. The
/// format allows 64 KiB, but a peer that has not proved anything yet must not make us keep that much.
inline constexpr std::size_t kMaxProxyHeaderBytes = 16 * 1024;

enum class ProxyVersion : std::uint8_t { kV1, kV2 };

/// kLocal: the sender speaks for itself (its health check); the connection's own addresses are the true ones.
enum class ProxyCommand : std::uint8_t { kLocal, kProxy };

/// What a header says about the client's TLS (PP2_TYPE_SSL). Empty strings are not sent.
struct ProxyTls {
  bool certificate_this_connection = false;  ///< PP2_CLIENT_CERT_CONN: presented over this connection.
  bool certificate_this_session =
      false;                        ///< PP2_CLIENT_CERT_SESS: presented at least once in the TLS session.
  bool verified = false;            ///< A certificate was presented and verified.
  std::string version;              ///< "TLSv1.3"
  std::string common_name;          ///< Of the client's certificate.
  std::string cipher;               ///< OpenSSL's name: "ECDHE-RSA-AES128-GCM-SHA256"
  std::string signature_algorithm;  ///< By which our certificate is signed: "RSA-SHA256", "ecdsa-with-SHA256"
  std::string key_algorithm;        ///< Of our certificate: "RSA2048", "EC256"
  std::string group;                ///< Of the key exchange: "secp256r1"
  std::string signature_scheme;     ///< By which we signed in the handshake: "rsa_pss_rsae_sha256"
  std::string certificate_der;      ///< The client's certificate (PP2_SUBTYPE_SSL_CLIENT_CERT, 0x28).
  bool operator==(const ProxyTls&) const = default;
};

/// What a PROXY header says about a connection. Plain values that the caller fills in.
struct ProxyFacts {
  /// Both or neither, of one family when they come from a header. Neither: the sender does not know
  /// (AF_UNSPEC).
  std::optional<Address> source;
  std::optional<Address> destination;
  std::string alpn;             ///< v2: the protocol negotiated, as in ALPN ("h2").
  std::string authority;        ///< v2: the name the client asked for (SNI).
  std::string unique_id;        ///< v2: names the connection; at most 128 bytes.
  std::optional<ProxyTls> tls;  ///< v2: absent when the client spoke no TLS.
  /// v2: all other TLVs but PP2_TYPE_NOOP, one after the other, as they stand in a header.
  std::string other_tlvs;
  bool operator==(const ProxyFacts&) const = default;
};

/// A header as it was received.
struct ProxyHeader {
  std::size_t size_bytes = 0;  ///< How many bytes of the input it took.
  ProxyVersion version = ProxyVersion::kV1;
  ProxyCommand command = ProxyCommand::kProxy;
  ProxyFacts info;  ///< Empty for kLocal.
};

/// Parses the PROXY header, version 1 or 2, at the start of `bytes`.
///
/// `bytes` is what has arrived so far, at most kMaxProxyHeaderBytes. On success `size_bytes` of the result
/// says how many of them were the header; the rest is the start of the ClientHello and stays with the caller.
/// A CRC32C TLV is verified where there is one, TLVs of no meaning here are kept as they stand. Pure: no I/O,
/// no clock, no log. Any thread.
///
/// It may be called for each segment that arrives: while a header is incomplete, a call looks at 107 bytes at
/// most of version 1 (the longest line) and at the 16 fixed bytes of version 2. A header is parsed once, when
/// it is whole.
///
/// Errors:
///   kIncomplete  a longer prefix may parse; nothing was consumed.
///   kMalformed   no longer prefix can parse; close the connection, never guess an address.
///
/// Format: PROXY protocol specification, sections 2.1 (v1) and 2.2 (v2).
[[nodiscard]] Result<ProxyHeader> parse_proxy_header(std::span<const std::byte> bytes);

/// The header that says `facts`, to be sent before anything else on a connection.
///
/// v1 carries the addresses alone, and says UNKNOWN for unix sockets and absent addresses. v2 adds ALPN,
/// AUTHORITY, UNIQUE_ID, the other TLVs, SSL with its sub-TLVs and always a CRC32C. A unix socket without a
/// path is 108 zeros. An IPv4 and an IPv6 address together go out as two IPv6 addresses. A value that would
/// make the header longer than kMaxProxyHeaderBytes is left out; the client's certificate is added last, so
/// it is left out first. Pure. Any thread.
[[nodiscard]] std::vector<std::byte> build_proxy_header(ProxyVersion version, const ProxyFacts& info);

/// The header of a connection that Headgate makes for itself, such as a health check: UNKNOWN in version 1,
/// LOCAL in version 2. Pure. Any thread.
[[nodiscard]] std::vector<std::byte> build_own_proxy_header(ProxyVersion version);

}  // namespace headgate
