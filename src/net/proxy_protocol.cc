#include "net/proxy_protocol.h"

#include <netinet/in.h>
#include <sys/un.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <string_view>
#include <utility>

namespace headgate {
namespace {

// Section 2.2 of the specification; the TLVs are in 2.2.1 to 2.2.8.
constexpr std::array<std::uint8_t, 12> kV2Signature{0x0D, 0x0A, 0x0D, 0x0A, 0x00, 0x0D,
                                                    0x0A, 0x51, 0x55, 0x49, 0x54, 0x0A};
constexpr std::size_t kV2FixedBytes = 16;
constexpr std::uint8_t kV2Local = 0x20;
constexpr std::uint8_t kV2Proxy = 0x21;
constexpr std::size_t kIpv4AddressBytes = 12;
constexpr std::size_t kIpv6AddressBytes = 36;
constexpr std::size_t kUnixPathBytes = 108;
constexpr std::size_t kTlvHeadBytes = 3;

constexpr std::uint8_t kTlvAlpn = 0x01;
constexpr std::uint8_t kTlvAuthority = 0x02;
constexpr std::uint8_t kTlvCrc32c = 0x03;
constexpr std::uint8_t kTlvSsl = 0x20;
constexpr std::uint8_t kSslVersion = 0x21;
constexpr std::uint8_t kSslCommonName = 0x22;
constexpr std::uint8_t kSslCipher = 0x23;
constexpr std::uint8_t kSslSignatureAlgorithm = 0x24;
constexpr std::uint8_t kSslKeyAlgorithm = 0x25;
constexpr std::uint8_t kSslClientCertificate = 0x28;
constexpr std::uint8_t kClientSsl = 0x01;
constexpr std::uint8_t kClientCertConnection = 0x02;
constexpr std::uint8_t kClientCertSession = 0x04;
constexpr std::size_t kSslFixedBytes = 5;

// Section 2.1: the longest line, its CRLF included, is that of UNKNOWN with two full IPv6 addresses.
constexpr std::size_t kMaxV1Bytes = 107;
constexpr std::string_view kV1Word = "PROXY ";

enum class V2Family : std::uint8_t {
  kUnspecified = 0x00,
  kTcpIpv4 = 0x11,
  kUdpIpv4 = 0x12,
  kTcpIpv6 = 0x21,
  kUdpIpv6 = 0x22,
  kUnixStream = 0x31,
  kUnixDatagram = 0x32,
};

using Octets = std::span<const std::uint8_t>;

Octets octets(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()};
}

std::size_t read_u16(Octets at) {
  return static_cast<std::size_t>(at[0]) << 8 | at[1];
}

std::uint32_t read_u32(Octets at) {
  return std::uint32_t{at[0]} << 24 | std::uint32_t{at[1]} << 16 | std::uint32_t{at[2]} << 8 | at[3];
}

std::string text_of(Octets value) {
  return {reinterpret_cast<const char*>(value.data()), value.size()};
}

auto malformed(std::string what) {
  return fail(ErrorKind::kMalformed, "PROXY header: " + std::move(what));
}
auto incomplete() {
  return fail(ErrorKind::kIncomplete, "PROXY header: more bytes are needed");
}

/// CRC32C (Castagnoli), reflected, as section 2.2.4 asks for.
constexpr std::array<std::uint32_t, 256> crc32c_table() {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t i = 0; i < table.size(); ++i) {
    std::uint32_t crc = i;
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ (0x82F63B78U & (0U - (crc & 1U)));
    table[i] = crc;
  }
  return table;
}

class Crc32c {
 public:
  void add(std::uint8_t octet) { crc_ = kTable[(crc_ ^ octet) & 0xFF] ^ crc_ >> 8; }
  void add(Octets values) {
    for (const std::uint8_t octet : values) add(octet);
  }
  [[nodiscard]] std::uint32_t value() const { return ~crc_; }

 private:
  static constexpr auto kTable = crc32c_table();
  std::uint32_t crc_ = 0xFFFFFFFFU;
};

Address ip_address(sa_family_t family, Octets ip, Octets port) {
  sockaddr_storage storage{};
  if (family == AF_INET) {
    sockaddr_in v4{};
    v4.sin_family = AF_INET;
    std::memcpy(&v4.sin_addr, ip.data(), sizeof v4.sin_addr);
    std::memcpy(&v4.sin_port, port.data(), sizeof v4.sin_port);
    std::memcpy(&storage, &v4, sizeof v4);
    return Address::from_socket(storage, sizeof v4);
  }
  sockaddr_in6 v6{};
  v6.sin6_family = AF_INET6;
  std::memcpy(&v6.sin6_addr, ip.data(), sizeof v6.sin6_addr);
  std::memcpy(&v6.sin6_port, port.data(), sizeof v6.sin6_port);
  std::memcpy(&storage, &v6, sizeof v6);
  return Address::from_socket(storage, sizeof v6);
}

/// The path is padded with zeros to 108 bytes; a leading zero makes it an abstract name (section 2.2).
Address unix_address(Octets path) {
  sockaddr_un local{};
  local.sun_family = AF_UNIX;
  std::memcpy(local.sun_path, path.data(), std::min(path.size(), sizeof local.sun_path));
  const auto last = std::find_if(path.rbegin(), path.rend(), [](std::uint8_t octet) { return octet != 0; });
  const auto used = static_cast<std::size_t>(path.rend() - last);
  const bool terminated = used > 0 && path[0] != 0 && used < kUnixPathBytes;
  sockaddr_storage storage{};
  std::memcpy(&storage, &local, sizeof local);
  return Address::from_socket(
      storage, static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + used + (terminated ? 1 : 0)));
}

// ---- Version 1 ----

Result<std::uint16_t> parse_v1_port(std::string_view word) {
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), port);
  const bool leading_zero = word.size() > 1 && word.front() == '0';
  if (error != std::errc{} || end != word.data() + word.size() || leading_zero) {
    return malformed("the port is not a number from 0 to 65535");
  }
  return port;
}

Result<Address> parse_v1_address(sa_family_t family, std::string_view ip, std::string_view port_word) {
  const auto port = parse_v1_port(port_word);
  if (!port) return tl::unexpected(port.error());
  auto address = Address::from_ip(ip, *port);
  if (!address || address->family() != family) return malformed("the address is not of the family it names");
  return address;
}

/// The words of a line without its CRLF; more than `N` make the last one hold the rest.
template <std::size_t N>
std::array<std::string_view, N> split_words(std::string_view line) {
  std::array<std::string_view, N> words;
  for (std::size_t i = 0; i < N; ++i) {
    const auto space = i + 1 < N ? line.find(' ') : std::string_view::npos;
    words[i] = line.substr(0, space);
    line = space == std::string_view::npos ? std::string_view{} : line.substr(space + 1);
  }
  return words;
}

Result<ProxyFacts> parse_v1_line(std::string_view line) {
  const auto [protocol, source, destination, source_port, destination_port] = split_words<5>(line);
  // The receiver of UNKNOWN ignores whatever stands before the CRLF.
  if (protocol == "UNKNOWN") return ProxyFacts{};
  if (protocol != "TCP4" && protocol != "TCP6") return malformed("neither TCP4, TCP6 nor UNKNOWN");
  const sa_family_t family = protocol == "TCP4" ? AF_INET : AF_INET6;
  auto from = parse_v1_address(family, source, source_port);
  if (!from) return tl::unexpected(from.error());
  auto to = parse_v1_address(family, destination, destination_port);
  if (!to) return tl::unexpected(to.error());
  ProxyFacts facts;
  facts.source = *from;
  facts.destination = *to;
  return facts;
}

Result<ProxyHeader> parse_v1(std::string_view text) {
  const std::string_view window = text.substr(0, kMaxV1Bytes);
  const auto end = window.find("\r\n");
  if (end == std::string_view::npos) {
    if (window.size() == kMaxV1Bytes) return malformed("version 1 without CRLF in 107 bytes");
    return incomplete();
  }
  auto facts = parse_v1_line(window.substr(kV1Word.size(), end - kV1Word.size()));
  if (!facts) return tl::unexpected(facts.error());
  return ProxyHeader{end + 2, ProxyVersion::kV1, ProxyCommand::kProxy, *std::move(facts)};
}

// ---- Version 2, in ----

struct Tlv {
  std::uint8_t type = 0;
  Octets value;
};

/// Takes the first TLV off `rest`, which is not empty.
Result<Tlv> take_tlv(Octets& rest) {
  if (rest.size() < kTlvHeadBytes) return malformed("a TLV is cut short");
  const std::size_t length = read_u16(rest.subspan(1));
  if (rest.size() - kTlvHeadBytes < length) return malformed("a TLV is longer than the header");
  const Tlv tlv{rest[0], rest.subspan(kTlvHeadBytes, length)};
  rest = rest.subspan(kTlvHeadBytes + length);
  return tlv;
}

std::string* ssl_field(ProxyTls& tls, std::uint8_t type) {
  switch (type) {
    case kSslVersion:
      return &tls.version;
    case kSslCommonName:
      return &tls.common_name;
    case kSslCipher:
      return &tls.cipher;
    case kSslSignatureAlgorithm:
      return &tls.signature_algorithm;
    case kSslKeyAlgorithm:
      return &tls.key_algorithm;
    case kSslClientCertificate:
      return &tls.certificate_der;
    default:
      return nullptr;
  }
}

Result<std::optional<ProxyTls>> parse_ssl(Octets value) {
  if (value.size() < kSslFixedBytes) return malformed("the SSL TLV is cut short");
  const std::uint8_t client = value[0];
  ProxyTls tls;
  tls.certificate_this_connection = (client & kClientCertConnection) != 0;
  tls.certificate_this_session = (client & kClientCertSession) != 0;
  tls.verified = read_u32(value.subspan(1)) == 0;
  for (Octets rest = value.subspan(kSslFixedBytes); !rest.empty();) {
    const auto tlv = take_tlv(rest);
    if (!tlv) return tl::unexpected(tlv.error());
    if (std::string* field = ssl_field(tls, tlv->type)) *field = text_of(tlv->value);
  }
  if ((client & kClientSsl) == 0) return std::nullopt;
  return tls;
}

/// Section 2.2.4: the checksum of the whole header, with the checksum's own four bytes as zeros.
bool checksum_holds(Octets header, Octets stored) {
  const auto place = static_cast<std::size_t>(stored.data() - header.data());
  Crc32c crc;
  crc.add(header.first(place));
  for (int i = 0; i < 4; ++i) crc.add(std::uint8_t{0});
  crc.add(header.subspan(place + 4));
  return crc.value() == read_u32(stored);
}

/// Of a TLV that comes twice the first counts.
Result<void> parse_tlvs(Octets header, Octets rest, ProxyFacts& facts) {
  while (!rest.empty()) {
    const auto tlv = take_tlv(rest);
    if (!tlv) return tl::unexpected(tlv.error());
    if (tlv->type == kTlvAlpn && facts.alpn.empty()) facts.alpn = text_of(tlv->value);
    if (tlv->type == kTlvAuthority && facts.authority.empty()) facts.authority = text_of(tlv->value);
    if (tlv->type == kTlvCrc32c) {
      if (tlv->value.size() != 4) return malformed("the CRC32C TLV is not four bytes");
      if (!checksum_holds(header, tlv->value)) return malformed("the CRC32C does not match");
    }
    if (tlv->type == kTlvSsl && !facts.tls) {
      auto tls = parse_ssl(tlv->value);
      if (!tls) return tl::unexpected(tls.error());
      facts.tls = *std::move(tls);
    }
  }
  return {};
}

std::optional<std::size_t> address_block_bytes(V2Family family) {
  switch (family) {
    case V2Family::kUnspecified:
      return 0;
    case V2Family::kTcpIpv4:
    case V2Family::kUdpIpv4:
      return kIpv4AddressBytes;
    case V2Family::kTcpIpv6:
    case V2Family::kUdpIpv6:
      return kIpv6AddressBytes;
    case V2Family::kUnixStream:
    case V2Family::kUnixDatagram:
      return 2 * kUnixPathBytes;
  }
  return std::nullopt;
}

void read_addresses(Octets block, ProxyFacts& facts) {
  switch (block.size()) {
    case kIpv4AddressBytes:
      facts.source = ip_address(AF_INET, block, block.subspan(8));
      facts.destination = ip_address(AF_INET, block.subspan(4), block.subspan(10));
      return;
    case kIpv6AddressBytes:
      facts.source = ip_address(AF_INET6, block, block.subspan(32));
      facts.destination = ip_address(AF_INET6, block.subspan(16), block.subspan(34));
      return;
    case 2 * kUnixPathBytes:
      facts.source = unix_address(block.first(kUnixPathBytes));
      facts.destination = unix_address(block.subspan(kUnixPathBytes));
      return;
    default:
      return;
  }
}

/// `header` is the whole header. Of AF_UNSPEC everything after the fixed part is left unread, as section 2.2
/// has it.
Result<ProxyFacts> parse_v2_facts(Octets header) {
  const auto family = static_cast<V2Family>(header[13]);
  const auto block_bytes = address_block_bytes(family);
  if (!block_bytes) return malformed("unknown address family or transport");
  ProxyFacts facts;
  if (family == V2Family::kUnspecified) return facts;
  const Octets body = header.subspan(kV2FixedBytes);
  if (body.size() < *block_bytes) return malformed("shorter than the addresses it announces");
  read_addresses(body.first(*block_bytes), facts);
  if (auto tlvs = parse_tlvs(header, body.subspan(*block_bytes), facts); !tlvs) {
    return tl::unexpected(tlvs.error());
  }
  return facts;
}

Result<ProxyHeader> parse_v2(Octets bytes) {
  if (bytes.size() > 12 && bytes[12] != kV2Local && bytes[12] != kV2Proxy) {
    return malformed("unknown version or command");
  }
  if (bytes.size() < kV2FixedBytes) return incomplete();
  const std::size_t size_bytes = kV2FixedBytes + read_u16(bytes.subspan(14));
  if (size_bytes > kMaxProxyHeaderBytes) return malformed("longer than 16 KiB");
  if (bytes.size() < size_bytes) return incomplete();
  ProxyHeader header{size_bytes, ProxyVersion::kV2, ProxyCommand::kLocal, {}};
  if (bytes[12] == kV2Local) return header;
  header.command = ProxyCommand::kProxy;
  auto facts = parse_v2_facts(bytes.first(size_bytes));
  if (!facts) return tl::unexpected(facts.error());
  header.facts = *std::move(facts);
  return header;
}

/// Whether `bytes` begins with `word`, or is itself a beginning of it.
template <class Word>
bool agrees(Octets bytes, const Word& word) {
  const std::size_t shared = std::min(bytes.size(), std::size(word));
  return std::equal(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(shared), std::begin(word));
}

// ---- Out ----

using Output = std::vector<std::byte>;

void put_u8(Output& out, std::size_t value) {
  out.push_back(static_cast<std::byte>(value & 0xFF));
}
void put_u16(Output& out, std::size_t value) {
  put_u8(out, value >> 8);
  put_u8(out, value);
}
void put_bytes(Output& out, const void* data, std::size_t size_bytes) {
  const auto* first = static_cast<const std::byte*>(data);
  out.insert(out.end(), first, first + size_bytes);
}

/// An IP address as 16 bytes, an IPv4 one as IPv4-mapped, and its port.
struct IpEnd {
  std::array<std::uint8_t, 16> ip{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF};
  std::uint16_t port = 0;

  [[nodiscard]] bool is_ipv4() const {
    static constexpr std::array<std::uint8_t, 12> kMapped{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF};
    return std::equal(kMapped.begin(), kMapped.end(), ip.begin());
  }
};

std::optional<IpEnd> ip_end(const std::optional<Address>& address) {
  if (!address) return std::nullopt;
  IpEnd end;
  end.port = address->port();
  if (address->family() == AF_INET) {
    std::memcpy(end.ip.data() + 12, &reinterpret_cast<const sockaddr_in*>(address->data())->sin_addr, 4);
    return end;
  }
  if (address->family() == AF_INET6) {
    std::memcpy(end.ip.data(), &reinterpret_cast<const sockaddr_in6*>(address->data())->sin6_addr, 16);
    return end;
  }
  return std::nullopt;
}

void put_unix_path(Output& out, const Address& address) {
  sockaddr_un local{};
  std::memcpy(&local, address.data(), std::min<std::size_t>(address.size_bytes(), sizeof local));
  put_bytes(out, local.sun_path, kUnixPathBytes);
}

/// Appends the family byte, a length to be filled in later, and the addresses.
void put_addresses(Output& out, const ProxyFacts& facts) {
  const auto put_family = [&](V2Family family) {
    put_u8(out, static_cast<std::size_t>(family));
    put_u16(out, 0);
  };
  const auto source = ip_end(facts.source);
  const auto destination = ip_end(facts.destination);
  if (source && destination) {
    const bool ipv4 = source->is_ipv4() && destination->is_ipv4();
    const std::size_t skipped = ipv4 ? 12 : 0;
    put_family(ipv4 ? V2Family::kTcpIpv4 : V2Family::kTcpIpv6);
    put_bytes(out, source->ip.data() + skipped, source->ip.size() - skipped);
    put_bytes(out, destination->ip.data() + skipped, destination->ip.size() - skipped);
    put_u16(out, source->port);
    put_u16(out, destination->port);
  } else if (facts.source && facts.destination && facts.source->is_unix() && facts.destination->is_unix()) {
    put_family(V2Family::kUnixStream);
    put_unix_path(out, *facts.source);
    put_unix_path(out, *facts.destination);
  } else {
    put_family(V2Family::kUnspecified);
  }
}

/// The most that TLVs may make of a header: its checksum still has to fit.
constexpr std::size_t kRoomForTlvs = kMaxProxyHeaderBytes - kTlvHeadBytes - 4;

void put_tlv(Output& out, std::uint8_t type, std::string_view value) {
  if (value.empty() || out.size() + kTlvHeadBytes + value.size() > kRoomForTlvs) return;
  put_u8(out, type);
  put_u16(out, value.size());
  put_bytes(out, value.data(), value.size());
}

void set_u16(Output& out, std::size_t at, std::size_t value) {
  out[at] = static_cast<std::byte>(value >> 8 & 0xFF);
  out[at + 1] = static_cast<std::byte>(value & 0xFF);
}

void put_ssl(Output& out, const ProxyTls& tls) {
  if (out.size() + kTlvHeadBytes + kSslFixedBytes > kRoomForTlvs) return;
  const std::size_t start = out.size();
  put_u8(out, kTlvSsl);
  put_u16(out, 0);
  put_u8(out, std::size_t{kClientSsl} | (tls.certificate_this_connection ? kClientCertConnection : 0U) |
                  (tls.certificate_this_session ? kClientCertSession : 0U));
  put_u16(out, 0);
  put_u16(out, tls.verified ? 0 : 1);
  put_tlv(out, kSslVersion, tls.version);
  put_tlv(out, kSslCipher, tls.cipher);
  put_tlv(out, kSslSignatureAlgorithm, tls.signature_algorithm);
  put_tlv(out, kSslKeyAlgorithm, tls.key_algorithm);
  put_tlv(out, kSslCommonName, tls.common_name);
  put_tlv(out, kSslClientCertificate, tls.certificate_der);
  set_u16(out, start + 1, out.size() - start - kTlvHeadBytes);
}

/// Fills in the length and appends the checksum, which covers everything with its own bytes as zeros.
void finish_v2(Output& out) {
  put_u8(out, kTlvCrc32c);
  put_u16(out, 4);
  const std::size_t place = out.size();
  out.resize(place + 4);
  set_u16(out, 14, out.size() - kV2FixedBytes);
  Crc32c crc;
  crc.add(octets(out));
  set_u16(out, place, crc.value() >> 16);
  set_u16(out, place + 2, crc.value());
}

Output build_v2(const ProxyFacts& facts) {
  Output out;
  put_bytes(out, kV2Signature.data(), kV2Signature.size());
  put_u8(out, kV2Proxy);
  put_addresses(out, facts);
  put_tlv(out, kTlvAlpn, facts.alpn);
  put_tlv(out, kTlvAuthority, facts.authority);
  if (facts.tls) put_ssl(out, *facts.tls);
  finish_v2(out);
  return out;
}

/// The IPv6 form of an address, also of an IPv4 one: version 1 has no line for two families.
std::string ipv6_text(const Address& address, const IpEnd& end) {
  const std::string plain = address.host_text();
  return end.is_ipv4() ? "::ffff:" + plain : plain;
}

Output build_v1(const ProxyFacts& facts) {
  std::string line = "PROXY UNKNOWN\r\n";
  const auto source = ip_end(facts.source);
  const auto destination = ip_end(facts.destination);
  if (source && destination) {
    const bool ipv4 = source->is_ipv4() && destination->is_ipv4();
    line = ipv4 ? "PROXY TCP4 " + facts.source->host_text() + ' ' + facts.destination->host_text()
                : "PROXY TCP6 " + ipv6_text(*facts.source, *source) + ' ' +
                      ipv6_text(*facts.destination, *destination);
    line += ' ' + std::to_string(source->port) + ' ' + std::to_string(destination->port) + "\r\n";
  }
  Output out;
  put_bytes(out, line.data(), line.size());
  return out;
}

}  // namespace

Result<ProxyHeader> parse_proxy_header(std::span<const std::byte> bytes) {
  const Octets input = octets(bytes);
  if (agrees(input, kV2Signature)) {
    return input.size() < kV2Signature.size() ? Result<ProxyHeader>(incomplete()) : parse_v2(input);
  }
  if (!agrees(input, kV1Word)) return malformed("there is none");
  if (input.size() < kV1Word.size()) return incomplete();
  return parse_v1({reinterpret_cast<const char*>(input.data()), input.size()});
}

std::vector<std::byte> build_proxy_header(ProxyVersion version, const ProxyFacts& facts) {
  return version == ProxyVersion::kV1 ? build_v1(facts) : build_v2(facts);
}

}  // namespace headgate
