#include "net/proxy_protocol.h"

#include <netinet/in.h>
#include <sys/un.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <string_view>
#include <utility>

#include "net/proxy_format.h"

namespace headgate {
namespace {

using namespace proxy_format;

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

/// The words of a line without its CRLF; if there are more than `N`, the last one holds the rest.
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
  // The receiver of UNKNOWN ignores everything in front of the CRLF.
  if (protocol == "UNKNOWN") return ProxyFacts{};
  if (protocol != "TCP4" && protocol != "TCP6") return malformed("neither TCP4, TCP6 nor UNKNOWN");
  const sa_family_t family = protocol == "TCP4" ? AF_INET : AF_INET6;
  auto from = parse_v1_address(family, source, source_port);
  if (!from) return tl::unexpected(from.error());
  auto to = parse_v1_address(family, destination, destination_port);
  if (!to) return tl::unexpected(to.error());
  ProxyFacts info;
  info.source = *from;
  info.destination = *to;
  return info;
}

Result<ProxyHeader> parse_v1(std::string_view text) {
  const std::string_view window = text.substr(0, kMaxV1Bytes);
  const auto end = window.find("\r\n");
  if (end == std::string_view::npos) {
    if (window.size() == kMaxV1Bytes) return malformed("version 1 without CRLF in 107 bytes");
    return incomplete();
  }
  auto info = parse_v1_line(window.substr(kV1Word.size(), end - kV1Word.size()));
  if (!info) return tl::unexpected(info.error());
  return ProxyHeader{end + 2, ProxyVersion::kV1, ProxyCommand::kProxy, *std::move(info)};
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
    case kSslGroup:
      return &tls.group;
    case kSslSignatureScheme:
      return &tls.signature_scheme;
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

bool is_known_tlv(std::uint8_t type) {
  return type == kTlvAlpn || type == kTlvAuthority || type == kTlvCrc32c || type == kTlvNoop ||
         type == kTlvUniqueId || type == kTlvSsl;
}

/// If a TLV with a meaning here comes twice, the first one counts.
Result<void> parse_tlvs(Octets header, Octets rest, ProxyFacts& info) {
  while (!rest.empty()) {
    const auto tlv = take_tlv(rest);
    if (!tlv) return tl::unexpected(tlv.error());
    if (!is_known_tlv(tlv->type)) {
      const std::size_t whole = kTlvHeadBytes + tlv->value.size();
      info.other_tlvs.append(reinterpret_cast<const char*>(tlv->value.data()) - kTlvHeadBytes, whole);
    }
    if (tlv->type == kTlvAlpn && info.alpn.empty()) info.alpn = text_of(tlv->value);
    if (tlv->type == kTlvAuthority && info.authority.empty()) info.authority = text_of(tlv->value);
    if (tlv->type == kTlvUniqueId && info.unique_id.empty() && tlv->value.size() <= kMaxUniqueIdBytes)
      info.unique_id = text_of(tlv->value);
    if (tlv->type == kTlvCrc32c) {
      if (tlv->value.size() != 4) return malformed("the CRC32C TLV is not four bytes");
      if (!checksum_holds(header, tlv->value)) return malformed("the CRC32C does not match");
    }
    if (tlv->type == kTlvSsl && !info.tls) {
      auto tls = parse_ssl(tlv->value);
      if (!tls) return tl::unexpected(tls.error());
      info.tls = *std::move(tls);
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

void read_addresses(Octets block, ProxyFacts& info) {
  switch (block.size()) {
    case kIpv4AddressBytes:
      info.source = ip_address(AF_INET, block, block.subspan(8));
      info.destination = ip_address(AF_INET, block.subspan(4), block.subspan(10));
      return;
    case kIpv6AddressBytes:
      info.source = ip_address(AF_INET6, block, block.subspan(32));
      info.destination = ip_address(AF_INET6, block.subspan(16), block.subspan(34));
      return;
    case 2 * kUnixPathBytes:
      info.source = unix_address(block.first(kUnixPathBytes));
      info.destination = unix_address(block.subspan(kUnixPathBytes));
      return;
    default:
      return;
  }
}

/// `header` is the whole header. With AF_UNSPEC everything after the fixed part is ignored (section 2.2).
Result<ProxyFacts> parse_v2_facts(Octets header) {
  const auto family = static_cast<V2Family>(header[13]);
  const auto block_bytes = address_block_bytes(family);
  if (!block_bytes) return malformed("unknown address family or transport");
  ProxyFacts info;
  if (family == V2Family::kUnspecified) return info;
  const Octets body = header.subspan(kV2FixedBytes);
  if (body.size() < *block_bytes) return malformed("shorter than the addresses it announces");
  read_addresses(body.first(*block_bytes), info);
  if (auto tlvs = parse_tlvs(header, body.subspan(*block_bytes), info); !tlvs) {
    return tl::unexpected(tlvs.error());
  }
  return info;
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
  auto info = parse_v2_facts(bytes.first(size_bytes));
  if (!info) return tl::unexpected(info.error());
  header.info = *std::move(info);
  return header;
}

/// Whether `bytes` begins with `word`, or `word` begins with `bytes`.
template <class InternedString>
bool agrees(Octets bytes, const InternedString& word) {
  const std::size_t shared = std::min(bytes.size(), std::size(word));
  return std::equal(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(shared), std::begin(word));
}

// ---- Out ----

}  // namespace

Result<ProxyHeader> parse_proxy_header(std::span<const std::byte> bytes) {
  const Octets input = octets(bytes);
  if (agrees(input, kV2Signature)) {
    return input.size() < kV2Signature.size() ? Result<ProxyHeader>(incomplete()) : parse_v2(input);
  }
  if (!agrees(input, kV1Word)) return malformed("the connection does not begin with one");
  if (input.size() < kV1Word.size()) return incomplete();
  return parse_v1({reinterpret_cast<const char*>(input.data()), input.size()});
}

}  // namespace headgate
