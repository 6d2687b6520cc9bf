#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "tls/record/traffic_keys.h"

namespace headgate {

class LibraryContext;

/// Whether a context seals or opens. A key is used for one of the two only.
enum class AeadUse : std::uint8_t { kOpen = 0, kSeal = 1 };

/// The bytes that an AEAD of TLS 1.3 adds to what it protects. RFC 8446, section 5.2.
inline constexpr std::size_t kTagBytes = 16;
using Nonce = std::array<unsigned char, kIvBytes>;

/// One key of one AEAD, as the library wants it for use. Loop thread only.
class AeadContext {
 public:
  AeadContext() = default;
  virtual ~AeadContext() = default;
  AeadContext(const AeadContext&) = delete;
  AeadContext& operator=(const AeadContext&) = delete;

  /// Takes another key in place of the one before, which it wipes. `keys` has as many bytes as the AEAD
  /// wants.
  virtual void set_key(AeadUse use, const TrafficKeys& keys) = 0;

  /// Encrypts `content` and the byte `type` behind it to `into`, which has room for both and for the tag, and
  /// which does not overlap `content`. RFC 8446, section 5.2. False when the library fails.
  [[nodiscard]] virtual bool seal(const Nonce& nonce, std::span<const std::byte> header,
                                  std::span<const std::byte> content, std::byte type, std::byte* into) = 0;
  /// Decrypts `body`, which ends with its tag, to `into`. Where `into` is one byte short, the last byte goes
  /// to `last`. False when the tag is wrong: what was written then means nothing.
  [[nodiscard]] virtual bool open(const Nonce& nonce, std::span<const std::byte> header,
                                  std::span<const std::byte> body, std::span<std::byte> into,
                                  std::byte& last) = 0;
};

/// One of the suites' AEADs in one library. Immutable; any thread.
class AeadAlgorithm {
 public:
  AeadAlgorithm() = default;
  virtual ~AeadAlgorithm() = default;
  AeadAlgorithm(const AeadAlgorithm&) = delete;
  AeadAlgorithm& operator=(const AeadAlgorithm&) = delete;

  /// A context without a key, which is to be used for `use` first. Throws std::bad_alloc where the library
  /// has no memory for it.
  [[nodiscard]] virtual std::unique_ptr<AeadContext> new_context(AeadUse use) const = 0;
};

/// The AEAD of `suite`; nullptr where the library lacks it. `library` must outlive it; nullptr: the process's
/// default context.
[[nodiscard]] std::unique_ptr<AeadAlgorithm> find_aead(const LibraryContext* library, RecordSuite suite);

}  // namespace headgate
