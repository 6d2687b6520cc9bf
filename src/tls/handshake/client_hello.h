#pragma once

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace headgate {

/// The longest ClientHello message accepted, as OpenSSL's own bound is of this order. Real ones are 0.2 to 2
/// KiB.
inline constexpr std::size_t kMaxClientHelloBytes = 64 * 1024;

/// Versions as they stand in a message.
inline constexpr std::uint16_t kTls12Number = 0x0303, kTls13Number = 0x0304;

/// What the first bytes of a connection are.
enum class FirstBytes : std::uint8_t {
  kTls,        ///< So far they can be a TLS record with a handshake message.
  kPlainHttp,  ///< An HTTP request line: the client speaks plain HTTP to a TLS port.
  kOther,      ///< Neither.
};
/// Tells from the first bytes (one is enough, eight are certain) what a client speaks. Any thread.
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

/// What a client asks for: the first message of a TLS connection, RFC 8446, section 4.1.2. Unprotected input
/// of a stranger: every member has been checked to lie within the message, none has been checked for sense.
///
/// Moved, not copied. The views point into the bytes given to parse_client_hello(), which must stay where
/// they are as long as the lists and names other than `server_name` are used; a message in more than one
/// record is the exception: its bytes are kept here.
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
  std::vector<std::string_view> alpn;  ///< In the client's order. May hold bytes of any value.
  std::vector<std::uint16_t>
      key_share_groups;  ///< Groups for which a share was sent; never more than kMaxKeyShares.
  std::vector<std::uint16_t> extensions;  ///< All types in order, GREASE included.
  bool offers_session = false;            ///< Offers to resume: a PSK or a TLS 1.2 ticket.
  /// The ticket that a server would resume by: the first PSK identity, or that of TLS 1.2. Empty: none.
  std::span<const std::byte> ticket;
  std::size_t psk_identities = 0;  ///< How many were offered.
  bool offers_early_data = false;
  bool asks_for_staple = false;   ///< status_request
  std::size_t message_bytes = 0;  ///< The handshake message with its header.
  std::size_t wire_bytes = 0;     ///< The records it came in; what follows them is not part of it.

  /// Whether the client would speak TLS `version` (0x0303 or 0x0304), GREASE values aside.
  [[nodiscard]] bool offers_version(std::uint16_t version) const;
  [[nodiscard]] bool offers_alpn(std::string_view protocol) const;

  /// The JA4 fingerprint of the client's TLS library: "t13d1516h2_8daaf6152771_e5627efa2ab1".
  [[nodiscard]] std::string ja4() const;

  std::vector<std::byte>
      reassembled;  ///< What the views point into when the message came in several records.
};

/// More key shares than any client sends; the rest of the list is checked for form and left out.
inline constexpr std::size_t kMaxKeyShares = 16;

/// Parses the ClientHello at the start of `records`, which is what has arrived of a connection so far, record
/// headers included. The message may be cut into any number of records. Pure: no I/O, no clock, no log. Any
/// thread.
///
/// Errors:
///   kIncomplete  a longer prefix may parse; nothing was consumed.
///   kMalformed   none can: close the connection. classify_first_bytes() tells plain HTTP apart.
[[nodiscard]] Result<ClientHello> parse_client_hello(std::span<const std::byte> records);
/// The views would point into bytes that are gone.
Result<ClientHello> parse_client_hello(std::vector<std::byte>&& records) = delete;

/// Whether the policies named in `listeners[].tls.dry_run` would refuse this client.
[[nodiscard]] bool tls13_only_would_refuse(const ClientHello& hello);
[[nodiscard]] bool pq_only_would_refuse(const ClientHello& hello);

}  // namespace headgate
