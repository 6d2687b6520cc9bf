#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "tls/handshake/alert.h"

namespace headgate {

/// The longest ClientHello accepted, without the header of the message: OpenSSL's own bound, which is the
/// longest message that the lengths within it allow. Real ones are 0.2 to 2 KiB.
inline constexpr std::size_t kMaxClientHelloBytes = 131'396;

/// The most records that a ClientHello may be cut into. A message may be cut anywhere (RFC 8446, section
/// 5.1), and some clients send one byte in each record to get past a filter: the bound lets them send the
/// largest ClientHello of a real client, and as much again. More records would only make the reader work.
inline constexpr std::size_t kMaxClientHelloRecords = 4096;

/// Versions as they stand in a message.
inline constexpr std::uint16_t kTls12Number = 0x0303, kTls13Number = 0x0304;

/// The kind of the first bytes of a connection.
enum class FirstBytes : std::uint8_t {
  kTls,        ///< The bytes so far can be a TLS record of any type.
  kPlainHttp,  ///< An HTTP request line: the client speaks plain HTTP to a TLS port.
  kSsl2,       ///< A ClientHello in the form of SSL 2.0. RFC 5246, appendix E.2.
  kUndecided,  ///< The bytes so far can be kSsl2 or kOther.
  kOther,      ///< None of these.
};
/// Tells from the first bytes (one is mostly enough, eight are certain) which protocol a client speaks. Any
/// thread.
[[nodiscard]] FirstBytes classify_first_bytes(std::span<const std::byte> bytes);

/// A list of 16-bit numbers as it stands in a message, big-endian. A view.
class Uint16List {
 public:
  class Iterator {
   public:
    using iterator_category = std::forward_iterator_tag;
    using value_type = std::uint16_t;
    using difference_type = std::ptrdiff_t;
    using pointer = const std::uint16_t*;
    using reference = std::uint16_t;
    Iterator() = default;
    explicit Iterator(const std::byte* at) : at_(at) {}
    std::uint16_t operator*() const {
      return static_cast<std::uint16_t>(std::to_integer<unsigned>(at_[0]) << 8 |
                                        std::to_integer<unsigned>(at_[1]));
    }
    Iterator& operator++() {
      at_ += 2;
      return *this;
    }
    Iterator operator++(int) {
      const Iterator before = *this;
      at_ += 2;
      return before;
    }
    bool operator==(const Iterator&) const = default;

   private:
    const std::byte* at_ = nullptr;
  };

  Uint16List() = default;
  /// `bytes` has an even size.
  explicit Uint16List(std::span<const std::byte> bytes) : bytes_(bytes) {}
  [[nodiscard]] Iterator begin() const { return Iterator(bytes_.data()); }
  [[nodiscard]] Iterator end() const { return Iterator(bytes_.data() + bytes_.size()); }
  [[nodiscard]] std::size_t size() const { return bytes_.size() / 2; }
  [[nodiscard]] bool empty() const { return bytes_.empty(); }
  [[nodiscard]] bool contains(std::uint16_t value) const;

 private:
  std::span<const std::byte> bytes_;
};

/// The offer of a client: the first message of a TLS connection, RFC 8446, section 4.1.2. It is unprotected
/// input of a stranger: every member has been checked to lie within the message, none has been checked for
/// sense.
///
/// Moved, not copied. The views point into the bytes given to the reader, which must stay where they are as
/// long as the lists and names other than `server_name` are used; only of a message in more than one record
/// does the object itself keep the bytes.
struct ClientHello {
  ClientHello() = default;
  ClientHello(ClientHello&&) noexcept = default;
  ClientHello& operator=(ClientHello&&) noexcept = default;
  ClientHello(const ClientHello&) = delete;
  ClientHello& operator=(const ClientHello&) = delete;
  ~ClientHello() = default;

  std::string server_name;  ///< Lower case, without a final dot; empty: none was sent. May be an IP address.
  bool has_server_name = false;
  std::uint16_t legacy_version = 0;  ///< 0x0303 in TLS 1.2 and 1.3.
  Uint16List supported_versions;     ///< Empty: no such extension, so at most TLS 1.2.
  Uint16List cipher_suites;
  Uint16List groups;
  Uint16List signature_algorithms;
  /// In the client's order; never more than kMaxAlpnProtocols. May hold bytes of any value.
  std::vector<std::string_view> alpn;
  std::size_t alpn_left_out = 0;  ///< How many more the client named.
  std::vector<std::uint16_t>
      key_share_groups;  ///< Groups for which a share was sent; never more than kMaxKeyShares.
  std::vector<std::uint16_t>
      extensions;  ///< Their types in order, GREASE included; never more than kMaxExtensions.
  std::size_t extensions_left_out = 0;  ///< How many more extensions there are.
  /// The ticket that a server would resume by: the first PSK identity, or that of TLS 1.2. Empty: none.
  std::span<const std::byte> ticket;
  std::size_t psk_identities = 0;  ///< The number of identities offered.
  bool offers_early_data = false;
  /// The client can resume a TLS 1.3 session: it accepts a PSK together with a key exchange, and Headgate
  /// accepts a PSK in no other way. RFC 8446, section 4.2.9.
  bool offers_psk_dhe_ke = false;
  bool asks_for_staple = false;   ///< status_request
  std::size_t message_bytes = 0;  ///< The handshake message with its header.
  std::size_t wire_bytes = 0;  ///< The records of the message; the bytes that follow them are not part of it.

  /// Whether the client supports TLS `version` (0x0303 or 0x0304), GREASE values aside.
  [[nodiscard]] bool offers_version(std::uint16_t version) const;
  [[nodiscard]] bool offers_alpn(std::string_view protocol) const;

  /// Whether the lists that are bounded have all entries of the message.
  [[nodiscard]] bool is_whole() const { return alpn_left_out == 0 && extensions_left_out == 0; }
  /// The JA4 fingerprint of the client's TLS library: "t13d1516h2_8daaf6152771_e5627efa2ab1". Of a
  /// ClientHello that is not whole it is wrong. About ten microseconds.
  [[nodiscard]] std::string ja4() const;

  std::vector<std::byte>
      reassembled;  ///< What the views point into when the message came in several records.
};

/// More key shares than any client sends; the rest of the list is checked for form and left out.
inline constexpr std::size_t kMaxKeyShares = 16;
/// More protocols than any client offers; the rest of the list is checked for form and left out. 64 KiB could
/// name 32,768 of them, and a view of each would take eight times the room of the message.
inline constexpr std::size_t kMaxAlpnProtocols = 64;
/// More extensions than any client sends, about twenty; the types of the others are left out. They are read
/// all the same: a server ignores an extension that it does not know, however many there are (RFC 8446,
/// section 4.1.2).
inline constexpr std::size_t kMaxExtensions = 128;

/// Why the bytes of a client give no ClientHello.
struct ClientHelloError : Error {
  /// The alert that answers it, if `kind` is not kIncomplete. RFC 8446, section 6.2.
  Alert alert = Alert::kDecodeError;
  /// `alert` is one that the client sent in place of its ClientHello: no alert answers it.
  bool is_from_client = false;
};
using ClientHelloResult = tl::expected<ClientHello, ClientHelloError>;

/// Reads the ClientHello at the start of a connection while its records arrive. The message may be cut into
/// kMaxClientHelloRecords records.
///
/// A reader remembers where it stopped: each call looks at the new bytes only, and the message is gathered
/// and parsed once, when it is whole. The caller keeps the bytes themselves. Pure: no I/O, no clock, no log.
/// Any one thread.
///
///   ClientHelloReader reader;
///   for (;;) { append to received; auto hello = reader.resume(received); ... }
class ClientHelloReader {
 public:
  /// Goes on where the last call stopped. `received` is all bytes that have come from the client: the bytes
  /// of the last call, and more behind them. After an answer other than kIncomplete the reader is used up.
  ///
  /// Errors:
  ///   kIncomplete  call again when more has come.
  ///   kMalformed   no ClientHello begins so: close the connection. classify_first_bytes() tells plain HTTP
  ///                apart.
  ///   kRefused     it is cut into more than kMaxClientHelloRecords records.
  [[nodiscard]] ClientHelloResult resume(std::span<const std::byte> received);

  /// The number of bytes that all calls together have looked at before the message was whole: the cost of
  /// reading.
  [[nodiscard]] std::size_t examined_bytes() const { return examined_bytes_; }

 private:
  [[nodiscard]] bool is_whole() const;
  using Taken = tl::expected<void, ClientHelloError>;
  [[nodiscard]] Taken begin_record(std::span<const std::byte> received);
  [[nodiscard]] Taken take(std::span<const std::byte> content);
  [[nodiscard]] ClientHelloResult parse(std::span<const std::byte> received) const;

  std::uint32_t position_ = 0;       // of the next byte to look at
  std::uint32_t record_left_ = 0;    // of the record at hand, how many bytes are still to be taken
  std::uint32_t message_bytes_ = 0;  // taken so far
  std::uint32_t message_size_ = 0;   // header included; 0: its header is not complete
  std::uint32_t records_ = 0;
  std::uint32_t examined_bytes_ = 0;
  std::array<std::byte, 4> message_header_{};
};

/// Reads the ClientHello at the start of `records` in one call. Errors: those of ClientHelloReader::resume().
[[nodiscard]] ClientHelloResult parse_client_hello(std::span<const std::byte> records);
/// Deleted, because the views would point into bytes that are gone.
ClientHelloResult parse_client_hello(std::vector<std::byte>&& records) = delete;

/// Puts the ClientHello at the start of `received`, which is cut into many records, into as few as hold it;
/// the bytes behind it stay. `hello` was read from `received`, and its views and its `wire_bytes` stay right.
/// The handshake's transcript consists of messages (RFC 8446, section 4.4.1), so the handshake goes on as
/// before; but OpenSSL's work grows with each record.
void join_records(std::vector<std::byte>& received, ClientHello& hello);

/// Whether the policies named in `listeners[].tls.dry_run` would refuse this client.
[[nodiscard]] bool tls13_only_would_refuse(const ClientHello& hello);
[[nodiscard]] bool pq_only_would_refuse(const ClientHello& hello);

}  // namespace headgate
