#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace headgate {

/// Who protects the records between the client and this process.
enum class Protection : std::uint8_t {
  kNone,      ///< Nobody: the connection is plain, or its handshake is not over.
  kHeadgate,  ///< Headgate itself, with the keys of a TLS 1.3 handshake.
  kOpenssl,   ///< The SSL object that made the handshake.
};
inline constexpr std::size_t kProtectionCount = 3;

/// Why a TLS connection's records are protected by whoever protects them.
enum class ProtectionReason : std::uint8_t {
  kDefault,            ///< Headgate protects them: nothing speaks against it.
  kTls12,              ///< TLS 1.2 stays with OpenSSL.
  kConfigured,         ///< `record_layer: openssl`, or OpenSSL is configured for FIPS.
  kBufferedInput,      ///< OpenSSL has read bytes behind the Finished already.
  kUnsupportedCipher,  ///< A cipher suite that Headgate does not implement.
  kMaxFragmentLength,  ///< The client negotiated short records. RFC 6066, section 4.
};
inline constexpr std::size_t kProtectionReasonCount = 6;

inline constexpr std::array<std::string_view, kProtectionCount> kProtectionNames{"plain", "headgate",
                                                                                 "openssl"};
inline constexpr std::array<std::string_view, kProtectionReasonCount> kProtectionReasonNames{
    "default", "tls12", "configured", "buffered_input", "unsupported_cipher", "max_fragment_length"};

/// The words in logs, in metrics and in /connections.json.
[[nodiscard]] constexpr std::string_view name(Protection protection) {
  return kProtectionNames[static_cast<std::size_t>(protection)];
}
[[nodiscard]] constexpr std::string_view name(ProtectionReason reason) {
  return kProtectionReasonNames[static_cast<std::size_t>(reason)];
}

}  // namespace headgate
