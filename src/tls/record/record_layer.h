#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "tls/handshake/alert.h"
#include "tls/message_budget.h"
#include "tls/record/traffic_direction.h"

/// The records of TLS 1.3 after the handshake: seals and opens the bytes of one connection with its keys.
/// Pure: no I/O, no clock, no allocation. RFC 8446, section 5.
namespace headgate {

/// RFC 8446, section 5.1.
enum class ContentType : std::uint8_t {
  kChangeCipherSpec = 20,
  kAlert = 21,
  kHandshake = 22,
  kApplicationData = 23
};

/// Our end of the TLS connection: kServer towards a client, kClient towards a backend.
enum class TlsRole : std::uint8_t { kServer, kClient };

/// KeyUpdateRequest. RFC 8446, section 4.6.3.
enum class KeyUpdateRequest : std::uint8_t { kNotRequested = 0, kRequested = 1 };

inline constexpr std::size_t kRecordHeaderBytes = 5;
/// Of a handshake message: type and length. RFC 8446, section 4.
inline constexpr std::size_t kMessageHeaderBytes = 4;
/// What a record adds to its content: header, content type, tag.
inline constexpr std::size_t kRecordOverheadBytes = kRecordHeaderBytes + 1 + kTagBytes;
inline constexpr std::size_t kMaxRecordContentBytes = 1 << 14;
/// The longest body of a record. RFC 8446, section 5.2, lets ciphers add 255 bytes; those of TLS 1.3 add the
/// tag, and section 5.4 bounds content, type and padding together.
inline constexpr std::size_t kMaxRecordBodyBytes = kMaxRecordContentBytes + 1 + kTagBytes;
inline constexpr std::size_t kMaxRecordBytes = kRecordHeaderBytes + kMaxRecordBodyBytes;

/// The whole length of the record that `bytes` begin with, 0 while the header is incomplete. The length is
/// what the header says, legal or not.
[[nodiscard]] std::size_t record_size_bytes(std::span<const std::byte> bytes);

/// Protects what we send.
class RecordProtector {
 public:
  /// Well before the 2^24.5 full-size records that AES-GCM allows under one key (RFC 8446, section 5.5). The
  /// same for ChaCha20-Poly1305, which needs no limit: a KeyUpdate every 128 GiB costs nothing.
  static constexpr std::uint64_t kRecordsPerKey = std::uint64_t{1} << 23;
  static constexpr std::uint64_t kMaxRecordsPerKey = 23'726'566;  ///< 2^24.5

  RecordProtector(AeadContexts& contexts, DirectionState state)
      : direction_(contexts, AeadUse::kSeal, std::move(state)) {}

  /// Writes one record with `content` (at most kMaxRecordContentBytes) to the front of `into`, which has room
  /// for kRecordOverheadBytes more than that and overlaps nothing. Returns the record's length.
  std::size_t seal(ContentType type, std::span<const std::byte> content, std::span<std::byte> into);
  /// As seal(), an alert: fatal unless it is close_notify. RFC 8446, section 6.
  std::size_t seal_alert(Alert alert, std::span<std::byte> into);
  /// As seal(), a KeyUpdate; what follows is protected with the next keys.
  std::size_t seal_key_update(KeyUpdateRequest request, std::span<std::byte> into);

  /// Enough records for one key: a KeyUpdate is due before more application data. seal() aborts at the hard
  /// limit. A weak symbol, so that a program of the tests can have keys that wear out sooner.
  [[nodiscard, gnu::weak]] bool key_is_worn() const;

  [[nodiscard]] DirectionState state() const { return direction_.state(); }
  /// Wipes the keys. Nothing may be sealed any more.
  void retire() { direction_.retire(); }

 private:
  TrafficDirection direction_;
};

/// Opens the records that the peer sends, and handles its post-handshake messages.
///
/// KeyUpdate changes the keys here; the caller answers it, and a MessageBudget says how many there may be.
/// NewSessionTicket is skipped by a client and illegal for a server; every other handshake message is
/// illegal, fragmented or not.
class RecordOpener {
 public:
  /// Records without application data that may follow each other, KeyUpdates aside: tickets, empty or
  /// padding-only records (RFC 8446, section 5.4, allows padding, but not without end).
  static constexpr std::uint8_t kMaxDatalessRecords = 32;

  RecordOpener(AeadContexts& contexts, TlsRole role, DirectionState state)
      : direction_(contexts, AeadUse::kOpen, std::move(state)), role_(role) {}

  enum class Status : std::uint8_t {
    kNeedsMore,  ///< All whole records are opened.
    kNoRoom,     ///< The next record's content may not fit behind what was produced.
    kEnded,      ///< close_notify: whatever follows is to be ignored.
    kPeerAlert,  ///< The peer sent the fatal alert `alert`. Nothing may be sent any more.
    kProtocol,   ///< The peer broke the protocol: send `alert`, then close.
    kFlood,      ///< The peer sent more KeyUpdates than its budget allows: send `alert`, then close.
  };
  struct Opened {
    Status status = Status::kNeedsMore;
    Alert alert = Alert::kCloseNotify;  ///< With kPeerAlert and kProtocol.
    const char* what = "";              ///< With kProtocol and kFlood: for the operator.
    std::size_t consumed_bytes = 0;     ///< Of the ciphertext: whole records.
    std::size_t produced_bytes = 0;     ///< Of application data, also in front of an end or a failure.
    std::uint16_t key_updates = 0;      ///< KeyUpdates among the records, the one too many included.
  };

  /// Opens the records at the front of `ciphertext` into `into`, until one is not whole, has no room, or is
  /// the last. `into` needs room for kMaxRecordContentBytes and overlaps nothing. After kEnded, kPeerAlert,
  /// kProtocol or kFlood it may not be called again.
  [[nodiscard]] Opened open(std::span<const std::byte> ciphertext, std::span<std::byte> into);

  /// Whether the peer has asked for our KeyUpdate since this was last called.
  [[nodiscard]] bool take_key_update_request();

  /// Data of `bytes` was sent in the other direction: the peer may send kMaxDatalessRecords once more, and
  /// its budget grows.
  void sent(std::size_t bytes) {
    dataless_allowed_ = kMaxDatalessRecords;
    budget_.earn(bytes);
  }
  /// The budget for the peer's KeyUpdates. The caller lets it earn the bytes that open() produces, and tells
  /// it the time before open() where it needs that.
  [[nodiscard]] MessageBudget& budget() { return budget_; }

  /// Whether no handshake message is half read, so that state() is complete.
  [[nodiscard]] bool between_messages() const { return message_bytes_ == 0 && skip_bytes_ == 0; }
  [[nodiscard]] TlsRole role() const { return role_; }
  [[nodiscard]] DirectionState state() const { return direction_.state(); }
  /// Wipes the keys. Nothing may be opened any more.
  void retire() { direction_.retire(); }

 private:
  /// What to do after a record: go on (kNeedsMore), or how the stream ended.
  struct Verdict {
    Status status = Status::kNeedsMore;
    Alert alert = Alert::kCloseNotify;
    const char* what = "";
    bool key_update = false;  ///< The record held one.
  };
  /// A record without its protection: `type` is 0 where there is nothing but padding.
  struct Inner {
    std::uint8_t type = 0;
    std::span<const std::byte> content;
  };
  [[nodiscard]] static Verdict refuse(Alert alert, const char* what) {
    return {Status::kProtocol, alert, what};
  }
  [[nodiscard]] static Verdict check_header(std::span<const std::byte> header);
  [[nodiscard]] bool unprotect(std::span<const std::byte> record, std::span<std::byte> into, Inner& inner);
  [[nodiscard]] Verdict accept(const Inner& inner);
  [[nodiscard]] Verdict accept_dataless();
  [[nodiscard]] Verdict accept_handshake(std::span<const std::byte> content);
  [[nodiscard]] Verdict accept_message(bool at_record_end);
  [[nodiscard]] Verdict accept_key_update(bool at_record_end);
  [[nodiscard]] Verdict accept_alert(std::span<const std::byte> content);

  static constexpr std::uint32_t kSkipMask = (1U << 24) - 1;

  TrafficDirection direction_;
  // An idle connection is little more than this: these members share 16 bytes.
  [[no_unique_address]] MessageBudget budget_;
  std::array<std::byte, 5> message_{};  // the beginning of a handshake message: all of a KeyUpdate
  std::uint8_t dataless_allowed_ = kMaxDatalessRecords;
  std::uint32_t skip_bytes_ : 24 = 0;  // of a NewSessionTicket, still to come
  std::uint32_t message_bytes_ : 4 = 0;
  bool key_update_requested_ : 1 = false;
  TlsRole role_ : 1;
};

}  // namespace headgate
