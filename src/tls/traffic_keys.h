#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "tls/openssl_types.h"

/// The secrets and keys that protect the records of TLS 1.3, from the application traffic secrets on. RFC
/// 8446, sections 7.1 to 7.3. Everything here wipes its bytes when it goes, and when it is moved from.
namespace headgate {

/// The cipher suites whose records Headgate protects itself.
enum class RecordSuite : std::uint8_t { kAes128GcmSha256, kAes256GcmSha384, kChacha20Poly1305Sha256 };
inline constexpr std::size_t kRecordSuiteCount = 3;

/// What a suite is made of. RFC 8446, appendix B.4.
struct RecordSuiteRow {
  std::uint16_t number;  ///< IANA's, as SSL_CIPHER_get_protocol_id() gives it.
  const char* cipher;    ///< OpenSSL's name of the AEAD.
  const char* digest;    ///< OpenSSL's name of the hash of its key derivation.
  std::size_t key_bytes;
  std::size_t secret_bytes;  ///< The length of the hash.
};
[[nodiscard]] const RecordSuiteRow& row(RecordSuite suite);
/// The suite with IANA's `number`; nothing for those that stay with OpenSSL (AES-CCM, everything of TLS 1.2).
[[nodiscard]] std::optional<RecordSuite> find_record_suite(std::uint16_t number);

inline constexpr std::size_t kMaxSecretBytes = 48;
inline constexpr std::size_t kMaxKeyBytes = 32;
inline constexpr std::size_t kIvBytes = 12;

/// One direction's traffic secret, application_traffic_secret_N: everything else of that direction follows
/// from it. Moved, not copied: clone() where a second one is meant.
class TrafficSecret {
 public:
  TrafficSecret() = default;
  /// `bytes` is at most kMaxSecretBytes.
  explicit TrafficSecret(std::span<const std::byte> bytes);
  TrafficSecret(TrafficSecret&& other) noexcept;
  TrafficSecret& operator=(TrafficSecret&& other) noexcept;
  ~TrafficSecret() { wipe(); }

  [[nodiscard]] TrafficSecret clone() const { return TrafficSecret(bytes()); }
  [[nodiscard]] std::span<const std::byte> bytes() const { return std::span(bytes_).first(size_bytes_); }
  [[nodiscard]] bool empty() const { return size_bytes_ == 0; }
  void wipe();

 private:
  std::array<std::byte, kMaxSecretBytes> bytes_;  // beyond size_bytes_: not set
  std::uint8_t size_bytes_ = 0;
};

/// What protects the records of one direction until the next KeyUpdate; the key has the suite's length.
struct TrafficKeys {
  std::array<std::byte, kMaxKeyBytes> key;
  std::array<std::byte, kIvBytes> iv;

  TrafficKeys() = default;
  TrafficKeys(const TrafficKeys&) = delete;
  TrafficKeys& operator=(const TrafficKeys&) = delete;
  ~TrafficKeys() { wipe(); }
  void wipe();
};

/// Derives keys from secrets: HKDF-Expand-Label on HMAC contexts that are kept, 0.5 to 0.9 us a label with
/// SHA-256 and 1.1 to 2.2 with SHA-384 (OpenSSL 3.0), where EVP_KDF takes 2.5 and 3.5. One per worker; its
/// thread only.
class KeyDerivation {
 public:
  /// `library` outlives it. Hashes it does not offer are not supported; nothing fails.
  explicit KeyDerivation(OSSL_LIB_CTX* library);

  [[nodiscard]] bool supports(RecordSuite suite) const;

  /// Fills `into` for `secret`, whose length is the suite's. RFC 8446, section 7.3.
  void derive_keys(RecordSuite suite, const TrafficSecret& secret, TrafficKeys& into);
  /// The secret that follows `secret` at a KeyUpdate. RFC 8446, section 7.2.
  [[nodiscard]] TrafficSecret next_secret(RecordSuite suite, const TrafficSecret& secret);
  /// HKDF-Expand-Label with an empty context; `into` is at most as long as the hash. RFC 8446, section 7.1.
  void expand_label(RecordSuite suite, const TrafficSecret& secret, std::string_view label,
                    std::span<std::byte> into);
  /// Leaves nothing of the last secret in the contexts; free when nothing was derived since. Due when the
  /// secret's direction has died.
  void forget_secrets();

 private:
  struct Hash {
    MacCtxPtr hmac;
    bool used = false;
  };
  void set_secret(Hash& hash, const TrafficSecret& secret);
  void set_same_secret(Hash& hash);  // before another label: costs less than setting it anew
  void expand(Hash& hash, std::string_view label, std::span<std::byte> into);

  std::array<Hash, 2> hashes_;  // SHA-256, SHA-384
};

/// Gathers the two application traffic secrets of a handshake out of OpenSSL's key log lines. Allocates
/// nothing.
///
/// Held by whoever drives the handshake, from before it begins until the records are taken over; moved from
/// then on.
class SecretCapture {
 public:
  /// One line as SSL_CTX_set_keylog_callback() delivers it: "LABEL client_random secret", the last two in
  /// hex. Lines other than CLIENT_TRAFFIC_SECRET_0 and SERVER_TRAFFIC_SECRET_0, and malformed ones, are
  /// passed over.
  void on_keylog_line(const char* line);

  /// Both secrets have been seen.
  [[nodiscard]] bool complete() const { return !client.empty() && !server.empty(); }

  TrafficSecret client;  ///< Protects what the client sends.
  TrafficSecret server;  ///< Protects what the server sends.
};

}  // namespace headgate
