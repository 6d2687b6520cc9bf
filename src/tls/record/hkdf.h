#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

/// The key derivation functions of TLS, on SHA-256 and SHA-384 used directly.
///
/// A handshake derives some twenty values from secrets of a few bytes, and through EVP most of the time goes
/// into finding the algorithm and making contexts: 1.3 us, where the hashing takes 0.2. So the hash functions
/// are called directly here. Nothing allocates or fails; secrets are wiped. Any thread.
namespace headgate {

enum class Hash : std::uint8_t { kSha256, kSha384 };
inline constexpr std::size_t kMaxHashBytes = 48;
[[nodiscard]] constexpr std::size_t size_bytes(Hash hash) {
  return hash == Hash::kSha256 ? 32 : 48;
}

using Octets = std::span<const std::byte>;

/// HKDF-Extract; fills size_bytes(hash) of `into`. RFC 5869, section 2.2.
void extract(Hash hash, Octets salt, Octets input, std::span<std::byte> into);

/// HKDF-Expand-Label; `label` and `context` are each at most 249 bytes, `into` at most 255 hashes. RFC 8446,
/// section 7.1.
void expand_label(Hash hash, Octets secret, std::string_view label, Octets context,
                  std::span<std::byte> into);

/// Derive-Secret of a secret and no messages, then HKDF-Extract: from one stage of TLS 1.3's key schedule to
/// the next. An empty `secret` is none: the first stage. An empty `input` stands for zeros. RFC 8446,
/// section 7.1.
void next_stage(Hash hash, Octets secret, std::string_view label, Octets input, std::span<std::byte> into);

/// P_hash of TLS 1.2 over the parts of its seed, the label first. RFC 5246, section 5.
void p_hash(Hash hash, Octets secret, std::span<const Octets> seed, std::span<std::byte> into);

}  // namespace headgate
