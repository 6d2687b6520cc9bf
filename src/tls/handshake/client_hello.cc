#include "tls/handshake/client_hello.h"

#include <algorithm>
#include <array>
#include <bitset>
#include <optional>

#include "base/ascii.h"
#include "tls/octets.h"
#include "tls/record/record_layer.h"

namespace headgate {
namespace {

// Types of records, RFC 8446, section 5.1 and appendix B.1; 24 is heartbeat, RFC 6520.
constexpr std::uint8_t kFirstRecordType = 20, kLastRecordType = 24;
constexpr std::uint8_t kAlertRecord = 21;
constexpr std::uint8_t kHandshakeRecord = 22;
constexpr std::uint8_t kClientHelloMessage = 1;

constexpr std::size_t kAlertBytes = 2;

// As OpenSSL has it; a name in DNS is not longer. RFC 1035, section 2.3.4.
constexpr std::size_t kMaxHostNameBytes = 255;

constexpr std::uint16_t kX25519MlKem768 = 0x11ec;

// Extension types, RFC 8446, section 4.2, and RFC 5077.
constexpr std::uint16_t kServerName = 0;
constexpr std::uint16_t kStatusRequest = 5;
constexpr std::uint16_t kSupportedGroups = 10;
constexpr std::uint16_t kSignatureAlgorithms = 13;
constexpr std::uint16_t kAlpn = 16;
constexpr std::uint16_t kSessionTicket = 35;
constexpr std::uint16_t kPreSharedKey = 41;
constexpr std::uint16_t kEarlyData = 42;
constexpr std::uint16_t kSupportedVersions = 43;
constexpr std::uint16_t kPskKeyExchangeModes = 45;
constexpr std::uint16_t kKeyShare = 51;

/// Takes numbers and vectors from the front of some bytes, TLS's presentation language, RFC 8446, section 3.
/// Once something did not fit, failed() is true and everything more is empty.
class ByteReader {
 public:
  explicit ByteReader(std::span<const std::byte> bytes) : rest_(bytes) {}

  [[nodiscard]] bool failed() const { return failed_; }
  [[nodiscard]] bool at_end() const { return failed_ || rest_.empty(); }
  /// Whether all was taken, and fitted.
  [[nodiscard]] bool complete() const { return !failed_ && rest_.empty(); }

  std::span<const std::byte> take(std::size_t size) {
    if (failed_ || size > rest_.size()) {
      failed_ = true;
      return {};
    }
    const auto taken = rest_.first(size);
    rest_ = rest_.subspan(size);
    return taken;
  }
  std::uint8_t number8() {
    const auto bytes = take(1);
    return bytes.empty() ? std::uint8_t{0} : octet_at(bytes, 0);
  }
  std::uint16_t number16() {
    const auto bytes = take(2);
    return bytes.empty() ? std::uint16_t{0}
                         : static_cast<std::uint16_t>(octet_at(bytes, 0) << 8 | octet_at(bytes, 1));
  }
  std::span<const std::byte> vector8() { return take(number8()); }
  std::span<const std::byte> vector16() { return take(number16()); }

 private:
  std::span<const std::byte> rest_;
  bool failed_ = false;
};

/// A non-empty list of 16-bit numbers that fills its extension.
std::optional<Uint16List> number_list(ByteReader reader, std::span<const std::byte> list) {
  if (!reader.complete() || list.empty() || list.size() % 2 != 0) return std::nullopt;
  return Uint16List(list);
}

std::optional<Uint16List> number_list16(std::span<const std::byte> extension) {
  ByteReader reader(extension);
  const auto list = reader.vector16();
  return number_list(reader, list);
}

std::optional<Uint16List> number_list8(std::span<const std::byte> extension) {
  ByteReader reader(extension);
  const auto list = reader.vector8();
  return number_list(reader, list);
}

/// Whether a name of this form can be the name of a host.
bool is_host_name(std::string_view host) {
  return host.size() <= kMaxHostNameBytes && host.find('\0') == std::string_view::npos;
}

/// RFC 6066, section 3: one host name. Other kinds of name were never defined.
bool read_server_name(std::span<const std::byte> extension, ClientHello& hello) {
  ByteReader outer(extension);
  ByteReader list(outer.vector16());
  if (!outer.complete()) return false;
  const std::uint8_t kind = list.number8();
  std::string_view host = text_of(list.vector16());
  if (!list.complete() || kind != 0 || host.empty()) return false;
  if (host.back() == '.') host.remove_suffix(1);
  hello.has_server_name = true;
  hello.server_name = ascii_lower(host);
  return true;
}

/// RFC 7301, section 3.1: no empty list, no empty protocol.
bool read_alpn(std::span<const std::byte> extension, ClientHello& hello) {
  ByteReader outer(extension);
  ByteReader list(outer.vector16());
  if (!outer.complete() || list.at_end()) return false;
  while (!list.at_end()) {
    const auto protocol = list.vector8();
    if (list.failed() || protocol.empty()) return false;
    if (hello.alpn.size() < kMaxAlpnProtocols) {
      hello.alpn.push_back(text_of(protocol));
    } else {
      ++hello.alpn_left_out;
    }
  }
  return true;
}

/// RFC 8446, section 4.2.8. An empty list is allowed: the client wants to be told which group.
bool read_key_shares(std::span<const std::byte> extension, ClientHello& hello) {
  ByteReader outer(extension);
  ByteReader list(outer.vector16());
  if (!outer.complete()) return false;
  while (!list.at_end()) {
    const std::uint16_t group = list.number16();
    const auto share = list.vector16();
    if (list.failed() || share.empty()) return false;
    if (hello.key_share_groups.size() < kMaxKeyShares) hello.key_share_groups.push_back(group);
  }
  return true;
}

/// The identities of RFC 8446, section 4.2.11; their binders are left to OpenSSL.
bool read_psk_identities(std::span<const std::byte> extension, ClientHello& hello) {
  ByteReader outer(extension);
  ByteReader list(outer.vector16());
  if (outer.failed()) return false;
  while (!list.at_end()) {
    const auto identity = list.vector16();
    list.take(4);  // obfuscated_ticket_age
    if (list.failed()) return false;
    if (hello.psk_identities++ == 0) hello.ticket = identity;
  }
  return true;
}

/// RFC 8446, section 4.2.9: at least one mode.
bool read_psk_modes(std::span<const std::byte> extension, ClientHello& hello) {
  constexpr std::byte kPskDheKe{1};
  ByteReader reader(extension);
  const auto modes = reader.vector8();
  if (!reader.complete() || modes.empty()) return false;
  hello.offers_psk_dhe_ke = std::ranges::find(modes, kPskDheKe) != modes.end();
  return true;
}

bool assign(Uint16List& to, std::optional<Uint16List> list) {
  if (list) to = *list;
  return list.has_value();
}

bool read_extension(std::uint16_t type, std::span<const std::byte> content, ClientHello& hello) {
  switch (type) {
    case kServerName:
      return read_server_name(content, hello);
    case kStatusRequest:
      hello.asks_for_staple = true;
      return true;
    case kSupportedGroups:
      return assign(hello.groups, number_list16(content));
    case kSignatureAlgorithms:
      return assign(hello.signature_algorithms, number_list16(content));
    case kAlpn:
      return read_alpn(content, hello);
    case kSessionTicket:
      if (hello.psk_identities == 0) hello.ticket = content;
      return true;
    case kPreSharedKey:
      return read_psk_identities(content, hello);
    case kEarlyData:
      hello.offers_early_data = true;
      return true;
    case kSupportedVersions:
      return assign(hello.supported_versions, number_list8(content));
    case kKeyShare:
      return read_key_shares(content, hello);
    case kPskKeyExchangeModes:
      return read_psk_modes(content, hello);
    default:
      return true;
  }
}

/// Whether read_extension() looks into extensions of this type.
bool is_read(std::uint16_t type) {
  constexpr std::array<std::uint16_t, 11> kRead{
      kServerName,   kStatusRequest, kSupportedGroups,   kSignatureAlgorithms, kAlpn,    kSessionTicket,
      kPreSharedKey, kEarlyData,     kSupportedVersions, kPskKeyExchangeModes, kKeyShare};
  return std::ranges::find(kRead, type) != kRead.end();
}

using Read = tl::expected<void, ClientHelloError>;

tl::unexpected<ClientHelloError> malformed(std::string what, Alert alert = Alert::kDecodeError) {
  return tl::unexpected(ClientHelloError{{ErrorKind::kMalformed, std::move(what)}, alert});
}

tl::unexpected<ClientHelloError> incomplete(std::string what) {
  return tl::unexpected(ClientHelloError{{ErrorKind::kIncomplete, std::move(what)}});
}

// As OpenSSL has it, only the extensions that a server knows are looked at. OpenSSL checks those that it
// knows and Headgate does not.
Read read_extensions(std::span<const std::byte> extensions, ClientHello& hello) {
  ByteReader reader(extensions);
  std::bitset<64> seen;
  hello.extensions.reserve(24);
  while (!reader.at_end()) {
    const std::uint16_t type = reader.number16();
    const auto content = reader.vector16();
    if (reader.failed()) return malformed("the ClientHello's extensions run over their end");
    if (hello.extensions.size() < kMaxExtensions) {
      hello.extensions.push_back(type);
    } else {
      ++hello.extensions_left_out;
    }
    if (!is_read(type)) continue;
    if (seen.test(type)) {
      return malformed("the ClientHello has extension " + std::to_string(type) + " twice",
                       Alert::kIllegalParameter);
    }
    seen.set(type);
    if (!read_extension(type, content, hello))
      return malformed("the ClientHello's extension " + std::to_string(type) + " is malformed");
  }
  if (!is_host_name(hello.server_name))
    return malformed("the ClientHello's server name is no host name", Alert::kUnrecognizedName);
  return {};
}

/// The message without its header. RFC 8446, section 4.1.2.
Read read_message(std::span<const std::byte> message, ClientHello& hello) {
  ByteReader reader(message);
  hello.legacy_version = reader.number16();
  reader.take(32);  // random
  const auto session_id = reader.vector8();
  const auto suites = reader.vector16();
  const auto compression = reader.vector8();
  if (reader.failed() || session_id.size() > 32) return malformed("the ClientHello ends too early");
  if (suites.empty() || suites.size() % 2 != 0)
    return malformed("the ClientHello's list of ciphers is malformed");
  if (compression.empty()) return malformed("the ClientHello's list of compression methods is empty");
  hello.cipher_suites = Uint16List(suites);
  if (reader.complete()) return {};
  const auto extensions = reader.vector16();
  if (!reader.complete()) return malformed("the ClientHello's extensions do not fill it");
  return read_extensions(extensions, hello);
}

/// The error for a client that sends an alert in place of its ClientHello, or in the middle of it. `bytes`
/// begins with the record. RFC 8446, section 6: a connection with an error alert is over, whatever its level,
/// and no alert answers another one.
ClientHelloError alert_in_place_of_hello(std::span<const std::byte> bytes, std::uint32_t size) {
  if (size != kAlertBytes)
    return malformed("an alert of " + std::to_string(size) + " bytes", Alert::kUnexpectedMessage).value();
  if (bytes.size() < kRecordHeaderBytes + kAlertBytes) return incomplete("part of an alert").value();
  const std::uint8_t number = octet_at(bytes, kRecordHeaderBytes + 1);
  ClientHelloError error =
      malformed("the client sent alert " + std::to_string(number) + " in place of its ClientHello").value();
  error.alert = static_cast<Alert>(number);
  error.is_from_client = true;
  return error;
}

/// The size of a handshake record's content, from its header. `bytes` begins with the record. RFC 8446,
/// section 5.1: the version is not checked any further, and a fragment of a handshake message is not empty.
tl::expected<std::uint32_t, ClientHelloError> record_content_size(std::span<const std::byte> bytes) {
  if (bytes.empty()) return incomplete("part of a record's header");
  const std::uint8_t type = octet_at(bytes, 0);
  if (type != kHandshakeRecord && type != kAlertRecord)
    return malformed("a record of type " + std::to_string(type) + " in place of the ClientHello",
                     Alert::kUnexpectedMessage);
  if (bytes.size() > 1 && octet_at(bytes, 1) != 3)
    return malformed("a record of no version of TLS", Alert::kProtocolVersion);
  if (bytes.size() < kRecordHeaderBytes) return incomplete("part of a record's header");
  const std::uint32_t size = std::uint32_t{octet_at(bytes, 3)} << 8 | octet_at(bytes, 4);
  if (size > kMaxRecordContentBytes)
    return malformed("a record of " + std::to_string(size) + " bytes", Alert::kRecordOverflow);
  if (type == kAlertRecord) return tl::unexpected(alert_in_place_of_hello(bytes, size));
  if (size == 0) return malformed("an empty handshake record", Alert::kUnexpectedMessage);
  return size;
}

/// The contents of the records that `records` consists of, one behind the other: `size_bytes` in all.
std::vector<std::byte> gather_contents(std::span<const std::byte> records, std::size_t size_bytes) {
  std::vector<std::byte> gathered;
  gathered.reserve(size_bytes);
  while (!records.empty()) {
    const std::size_t size = std::size_t{octet_at(records, 3)} << 8 | octet_at(records, 4);
    const auto content = records.subspan(kRecordHeaderBytes, size);
    gathered.insert(gathered.end(), content.begin(), content.end());
    records = records.subspan(kRecordHeaderBytes + size);
  }
  return gathered;
}

/// A length of 15 bits behind a bit that is set, the type of the message, and a version: 0.2 or 3.x. The
/// first byte has its bit.
FirstBytes classify_as_ssl2(std::span<const std::byte> bytes) {
  if (bytes.size() > 2 && octet_at(bytes, 2) != kClientHelloMessage) return FirstBytes::kOther;
  if (bytes.size() < 5) return FirstBytes::kUndecided;
  const bool is_ssl2 = octet_at(bytes, 3) == 0 && octet_at(bytes, 4) == 2;
  return is_ssl2 || octet_at(bytes, 3) == 3 ? FirstBytes::kSsl2 : FirstBytes::kOther;
}

}  // namespace

FirstBytes classify_first_bytes(std::span<const std::byte> bytes) {
  constexpr std::array<std::string_view, 9> kMethods{"GET ",     "POST ",  "HEAD ",    "PUT ",  "DELETE ",
                                                     "OPTIONS ", "PATCH ", "CONNECT ", "TRACE "};
  const std::string_view text = text_of(bytes);
  for (const std::string_view method : kMethods) {
    const std::size_t common = std::min(method.size(), text.size());
    if (common > 0 && method.substr(0, common) == text.substr(0, common)) return FirstBytes::kPlainHttp;
  }
  if (text.starts_with("PRI * HTTP/2")) return FirstBytes::kPlainHttp;
  if (bytes.empty()) return FirstBytes::kTls;
  if (octet_at(bytes, 0) >= 0x80) return classify_as_ssl2(bytes);
  if (octet_at(bytes, 0) < kFirstRecordType || octet_at(bytes, 0) > kLastRecordType)
    return FirstBytes::kOther;
  if (bytes.size() > 1 && octet_at(bytes, 1) != 3) return FirstBytes::kOther;
  return FirstBytes::kTls;
}

bool Uint16List::contains(std::uint16_t value) const {
  return std::find(begin(), end(), value) != end();
}

bool ClientHello::offers_version(std::uint16_t version) const {
  if (supported_versions.empty()) return version <= legacy_version && version < kTls13Number;
  return supported_versions.contains(version);
}

bool ClientHello::offers_alpn(std::string_view protocol) const {
  return std::ranges::find(alpn, protocol) != alpn.end();
}

bool ClientHelloReader::is_whole() const {
  return message_size_ != 0 && message_bytes_ == message_size_;
}

ClientHelloResult ClientHelloReader::resume(std::span<const std::byte> received) {
  while (!is_whole()) {
    if (record_left_ == 0) {
      if (auto begun = begin_record(received); !begun) return tl::unexpected(std::move(begun.error()));
    }
    const auto news = received.subspan(position_);
    if (auto taken = take(news.first(std::min<std::size_t>(record_left_, news.size()))); !taken)
      return tl::unexpected(std::move(taken.error()));
    if (record_left_ > 0) return incomplete("part of a ClientHello");
  }
  return parse(received);
}

ClientHelloReader::Taken ClientHelloReader::begin_record(std::span<const std::byte> received) {
  const auto news = received.subspan(position_);
  examined_bytes_ += static_cast<std::uint32_t>(std::min(news.size(), kRecordHeaderBytes));
  const auto size = record_content_size(news);
  if (!size) return tl::unexpected(size.error());
  if (records_ == kMaxClientHelloRecords) {
    return tl::unexpected(ClientHelloError{
        {ErrorKind::kRefused,
         "a ClientHello in more than " + std::to_string(kMaxClientHelloRecords) + " records"},
        Alert::kUnexpectedMessage});
  }
  ++records_;
  record_left_ = *size;
  position_ += kRecordHeaderBytes;
  return {};
}

/// `content` is of the record at hand, and may be empty. The message's type and size are checked as soon as
/// they are there.
ClientHelloReader::Taken ClientHelloReader::take(std::span<const std::byte> content) {
  const auto size_bytes = static_cast<std::uint32_t>(content.size());
  for (std::size_t i = 0; i < content.size() && message_bytes_ + i < kMessageHeaderBytes; ++i) {
    message_header_[message_bytes_ + i] = content[i];
    ++examined_bytes_;
  }
  position_ += size_bytes;
  record_left_ -= size_bytes;
  message_bytes_ += size_bytes;
  if (message_bytes_ > 0 && octet_at(message_header_, 0) != kClientHelloMessage)
    return malformed("the first message is not a ClientHello", Alert::kUnexpectedMessage);
  if (message_size_ == 0 && message_bytes_ >= kMessageHeaderBytes) {
    const std::uint32_t body = std::uint32_t{octet_at(message_header_, 1)} << 16 |
                               std::uint32_t{octet_at(message_header_, 2)} << 8 |
                               octet_at(message_header_, 3);
    if (body > kMaxClientHelloBytes)
      return malformed("a ClientHello of " + std::to_string(body) + " bytes", Alert::kIllegalParameter);
    message_size_ = body + static_cast<std::uint32_t>(kMessageHeaderBytes);
  }
  if (message_size_ != 0 && message_bytes_ + record_left_ > message_size_)
    return malformed("data behind the ClientHello in its record", Alert::kUnexpectedMessage);
  return {};
}

ClientHelloResult ClientHelloReader::parse(std::span<const std::byte> received) const {
  ClientHello hello;
  hello.message_bytes = message_size_;
  hello.wire_bytes = position_;
  auto message = received.first(position_).subspan(kRecordHeaderBytes);
  if (records_ > 1) {
    hello.reassembled = gather_contents(received.first(position_), message_size_);
    message = hello.reassembled;
  }
  if (auto read = read_message(message.subspan(kMessageHeaderBytes), hello); !read)
    return tl::unexpected(std::move(read.error()));
  return hello;
}

ClientHelloResult parse_client_hello(std::span<const std::byte> records) {
  return ClientHelloReader().resume(records);
}

void join_records(std::vector<std::byte>& received, ClientHello& hello) {
  if (hello.reassembled.empty()) return;
  std::vector<std::byte> joined;
  const std::size_t records = (hello.message_bytes + kMaxRecordContentBytes - 1) / kMaxRecordContentBytes;
  joined.reserve(records * kRecordHeaderBytes + hello.message_bytes + received.size() - hello.wire_bytes);
  for (std::span<const std::byte> rest(hello.reassembled); !rest.empty();) {
    const auto content = rest.first(std::min(rest.size(), kMaxRecordContentBytes));
    joined.insert(joined.end(), received.begin(), received.begin() + 3);  // type and version
    joined.push_back(static_cast<std::byte>(content.size() >> 8));
    joined.push_back(static_cast<std::byte>(content.size() & 0xff));
    joined.insert(joined.end(), content.begin(), content.end());
    rest = rest.subspan(content.size());
  }
  const std::size_t hello_bytes = joined.size();
  joined.insert(joined.end(), received.begin() + static_cast<std::ptrdiff_t>(hello.wire_bytes),
                received.end());
  received = std::move(joined);
  hello.wire_bytes = hello_bytes;
}

bool tls13_only_would_refuse(const ClientHello& hello) {
  return !hello.offers_version(kTls13Number);
}

bool pq_only_would_refuse(const ClientHello& hello) {
  return tls13_only_would_refuse(hello) || !hello.groups.contains(kX25519MlKem768);
}

}  // namespace headgate
