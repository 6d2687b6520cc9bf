#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "tls/record/hkdf.h"

/// The secrets and keys that protect the records of TLS 1.3, from the application traffic secrets on. RFC
/// 8446, sections 7.1 to 7.3. Every type here wipes its bytes when it is destroyed, and when it is moved
/// from.
namespace headgate {

/// The cipher suites whose records Headgate protects itself.
enum class RecordSuite : std::uint8_t { kAes128GcmSha256, kAes256GcmSha384, kChacha20Poly1305Sha256 };
inline constexpr std::size_t kRecordSuiteCount = 3;

/// The parts of a suite. RFC 8446, appendix B.4.
struct RecordSuiteRow {
  std::uint16_t number;  ///< IANA's, as SSL_CIPHER_get_protocol_id() gives it.
  const char* cipher;    ///< OpenSSL's name of the AEAD.
  Hash hash;             ///< That of its key derivation; a secret has its length.
  std::size_t key_bytes;
};
[[nodiscard]] const RecordSuiteRow& row(RecordSuite suite);
/// The suite with IANA's `number`; nullopt for those that stay with OpenSSL (AES-CCM, everything of TLS 1.2).
[[nodiscard]] std::optional<RecordSuite> find_record_suite(std::uint16_t number);

inline constexpr std::size_t kMaxSecretBytes = kMaxHashBytes;
inline constexpr std::size_t kMaxKeyBytes = 32;
inline constexpr std::size_t kIvBytes = 12;

/// One direction's traffic secret, application_traffic_secret_N: everything else of that direction follows
/// from it. Moved, not copied: clone() makes a second one.
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

/// Fills `into` for `secret`, whose length is the suite's. RFC 8446, section 7.3.
void derive_keys(RecordSuite suite, const TrafficSecret& secret, TrafficKeys& into);
/// The secret that follows `secret` at a KeyUpdate. RFC 8446, section 7.2.
[[nodiscard]] TrafficSecret next_secret(RecordSuite suite, const TrafficSecret& secret);

}  // namespace headgate
