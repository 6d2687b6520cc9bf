#include <netinet/in.h>
#include <sys/un.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <span>
#include <string_view>

#include "net/proxy_format.h"
#include "net/proxy_protocol.h"

namespace headgate {
namespace {

using namespace proxy_format;

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
void put_addresses(Output& out, const ProxyFacts& info) {
  const auto put_family = [&](V2Family family) {
    put_u8(out, static_cast<std::size_t>(family));
    put_u16(out, 0);
  };
  const auto source = ip_end(info.source);
  const auto destination = ip_end(info.destination);
  if (source && destination) {
    const bool ipv4 = source->is_ipv4() && destination->is_ipv4();
    const std::size_t skipped = ipv4 ? 12 : 0;
    put_family(ipv4 ? V2Family::kTcpIpv4 : V2Family::kTcpIpv6);
    put_bytes(out, source->ip.data() + skipped, source->ip.size() - skipped);
    put_bytes(out, destination->ip.data() + skipped, destination->ip.size() - skipped);
    put_u16(out, source->port);
    put_u16(out, destination->port);
  } else if (info.source && info.destination && info.source->is_unix() && info.destination->is_unix()) {
    put_family(V2Family::kUnixStream);
    put_unix_path(out, *info.source);
    put_unix_path(out, *info.destination);
  } else {
    put_family(V2Family::kUnspecified);
  }
}

/// The longest that a header may become by its TLVs, so that its checksum still fits.
constexpr std::size_t kRoomForTlvs = kMaxProxyHeaderBytes - kTlvHeadBytes - 4;

void put_tlv(Output& out, std::uint8_t type, std::string_view value) {
  if (value.empty() || out.size() + kTlvHeadBytes + value.size() > kRoomForTlvs) return;
  put_u8(out, type);
  put_u16(out, value.size());
  put_bytes(out, value.data(), value.size());
}

/// Appends as many of the TLVs as there is room for.
void put_tlvs(Output& out, std::string_view tlvs) {
  for (auto tlv = take_whole_tlv(tlvs); !tlv.empty(); tlv = take_whole_tlv(tlvs)) {
    if (out.size() + tlv.size() <= kRoomForTlvs) put_bytes(out, tlv.data(), tlv.size());
  }
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
  put_tlv(out, kSslGroup, tls.group);
  put_tlv(out, kSslSignatureScheme, tls.signature_scheme);
  put_tlv(out, kSslCommonName, tls.common_name);
  put_tlv(out, kSslClientCertificate, tls.certificate_der);
  set_u16(out, start + 1, out.size() - start - kTlvHeadBytes);
}

/// Fills in the length and appends the checksum, which is computed with its own bytes as zeros.
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

Output build_v2(const ProxyFacts& info) {
  Output out;
  put_bytes(out, kV2Signature.data(), kV2Signature.size());
  put_u8(out, kV2Proxy);
  put_addresses(out, info);
  put_tlv(out, kTlvAlpn, info.alpn);
  put_tlv(out, kTlvAuthority, info.authority);
  if (info.unique_id.size() <= kMaxUniqueIdBytes) put_tlv(out, kTlvUniqueId, info.unique_id);
  put_tlvs(out, info.other_tlvs);
  if (info.tls) put_ssl(out, *info.tls);
  finish_v2(out);
  return out;
}

/// The IPv6 form of an address, also of an IPv4 one: version 1 has no line for two families.
std::string ipv6_text(const Address& address, const IpEnd& end) {
  const std::string plain = address.host_text();
  return end.is_ipv4() ? "::ffff:" + plain : plain;
}

Output build_v1(const ProxyFacts& info) {
  std::string line = "PROXY UNKNOWN\r\n";
  const auto source = ip_end(info.source);
  const auto destination = ip_end(info.destination);
  if (source && destination) {
    const bool ipv4 = source->is_ipv4() && destination->is_ipv4();
    line = ipv4 ? "PROXY TCP4 " + info.source->host_text() + ' ' + info.destination->host_text()
                : "PROXY TCP6 " + ipv6_text(*info.source, *source) + ' ' +
                      ipv6_text(*info.destination, *destination);
    line += ' ' + std::to_string(source->port) + ' ' + std::to_string(destination->port) + "\r\n";
  }
  Output out;
  put_bytes(out, line.data(), line.size());
  return out;
}

}  // namespace

std::vector<std::byte> build_proxy_header(ProxyVersion version, const ProxyFacts& info) {
  return version == ProxyVersion::kV1 ? build_v1(info) : build_v2(info);
}

// Section 2.2: a receiver uses the connection's own addresses and skips what the length says.
std::vector<std::byte> build_own_proxy_header(ProxyVersion version) {
  if (version == ProxyVersion::kV1) return build_v1({});
  Output out;
  put_bytes(out, kV2Signature.data(), kV2Signature.size());
  put_u8(out, kV2Local);
  put_u8(out, static_cast<std::size_t>(V2Family::kUnspecified));
  put_u16(out, 0);
  return out;
}

}  // namespace headgate
