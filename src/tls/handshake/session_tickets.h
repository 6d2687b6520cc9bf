#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/locked_memory.h"
#include "base/result.h"
#include "base/units.h"
#include "config/config.h"
#include "tls/library/library_context.h"

namespace headgate {

/// A secret from which ticket keys are derived. Wiped when it is destroyed.
class TicketSecret {
 public:
  static constexpr std::size_t kSizeBytes = 32;
  explicit TicketSecret(std::span<const std::byte, kSizeBytes> bytes);
  ~TicketSecret();
  TicketSecret(const TicketSecret&) = default;
  TicketSecret& operator=(const TicketSecret&) = default;
  [[nodiscard]] std::span<const std::byte> bytes() const { return bytes_; }
  bool operator==(const TicketSecret&) const = default;

 private:
  std::array<std::byte, kSizeBytes> bytes_;
};

/// The secrets in force at a listener, from which keys are derived. Immutable, shared by all workers; any
/// thread.
///
/// The first secret makes the keys of new tickets; all of them open old ones. When a file changes, its old
/// secrets stay for one lifetime of a ticket, until `accepted_until`.
struct TicketSecrets {
  struct Accepted {
    TicketSecret secret;
    WallTime accepted_until = WallTime::max();
    WallTime used_since = WallTime::min();  ///< When this process had it first.
  };
  LockedVector<Accepted> secrets;  ///< Empty: tickets are off.
  std::string file;                ///< The file that they came from; empty: random ones of this process.
  std::chrono::seconds rotate_every{6 * 3600};
  std::chrono::seconds lifetime{12 * 3600};

  /// Returns the secrets for `settings`: those of its secret_file, else a random one, or the random one of
  /// `previous`. Reads a file: supervisor only. Errors: kInvalid (not is_private(), not of
  /// the right form), kSystem.
  [[nodiscard]] static Result<std::shared_ptr<const TicketSecrets>> load(const config::Resumption& settings,
                                                                         const TicketSecrets* previous,
                                                                         WallTime now);
};

/// Reads the text of a secret file: comment lines and one secret a line, the first of which makes new
/// tickets. Errors: kMalformed, naming the line.
[[nodiscard]] Result<std::vector<TicketSecret>> parse_ticket_secrets(std::string_view text);

/// Returns a fresh secret file, which `headgate ticket-key new` prints.
[[nodiscard]] Result<std::string> new_secret_file();

/// The key that protects the tickets of one slot of time. RFC 5077, section 4.
struct TicketKey {
  std::array<unsigned char, 16> name;
  std::array<unsigned char, 32> aes;
  std::array<unsigned char, 32> mac;
  std::int64_t slot = 0;
};

/// A worker's ticket keys. It derives a key from secret and slot (HKDF-SHA256) when it is first needed, and
/// keeps it while it is good.
///
/// Two instances that share a secret and roughly a clock derive the same keys without sharing anything else.
/// A slot is `rotate_every` long. The keys accepted are those of the slots that a ticket's lifetime reaches
/// back into, and of the next one, for instances whose clock is ahead. Loop thread only.
class TicketKeys {
 public:
  TicketKeys(const LibraryContext& library, std::shared_ptr<const TicketSecrets> secrets);
  ~TicketKeys();
  TicketKeys(const TicketKeys&) = delete;
  TicketKeys& operator=(const TicketKeys&) = delete;

  /// Returns the key for a new ticket; nullptr only when OpenSSL fails. Valid until the next call.
  [[nodiscard]] const TicketKey* issuing(WallTime now);
  /// Returns the key called `name`, or nullptr when no accepted key has that name. Valid until the next call.
  [[nodiscard]] const TicketKey* find(std::span<const unsigned char, 16> name, WallTime now);

 private:
  void refresh(WallTime now);
  void wipe();
  [[nodiscard]] bool derive(const TicketSecret& secret, std::int64_t slot);

  const LibraryContext& library_;
  std::shared_ptr<const TicketSecrets> secrets_;
  WallTime good_from_ = WallTime::max();   // keys_ are right from this time
  WallTime good_until_ = WallTime::min();  // to this time
  LockedVector<TicketKey> keys_;           // the issuing one first; wiped before it is filled again
};

}  // namespace headgate
