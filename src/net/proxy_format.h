#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

/// How a PROXY header stands on the wire, for its reader and its writer. PROXY protocol specification.
namespace headgate::proxy_format {

// Section 2.2 of the specification; the TLVs are in 2.2.1 to 2.2.8.
inline constexpr std::array<std::uint8_t, 12> kV2Signature{0x0D, 0x0A, 0x0D, 0x0A, 0x00, 0x0D,
                                                           0x0A, 0x51, 0x55, 0x49, 0x54, 0x0A};
inline constexpr std::size_t kV2FixedBytes = 16;
inline constexpr std::uint8_t kV2Local = 0x20;
inline constexpr std::uint8_t kV2Proxy = 0x21;
inline constexpr std::size_t kIpv4AddressBytes = 12;
inline constexpr std::size_t kIpv6AddressBytes = 36;
inline constexpr std::size_t kUnixPathBytes = 108;
inline constexpr std::size_t kTlvHeadBytes = 3;

inline constexpr std::uint8_t kTlvAlpn = 0x01;
inline constexpr std::uint8_t kTlvAuthority = 0x02;
inline constexpr std::uint8_t kTlvCrc32c = 0x03;
inline constexpr std::uint8_t kTlvNoop = 0x04;
inline constexpr std::uint8_t kTlvUniqueId = 0x05;
inline constexpr std::uint8_t kTlvSsl = 0x20;
inline constexpr std::uint8_t kSslVersion = 0x21;
inline constexpr std::uint8_t kSslCommonName = 0x22;
inline constexpr std::uint8_t kSslCipher = 0x23;
inline constexpr std::uint8_t kSslSignatureAlgorithm = 0x24;
inline constexpr std::uint8_t kSslKeyAlgorithm = 0x25;
inline constexpr std::uint8_t kSslGroup = 0x26;
inline constexpr std::uint8_t kSslSignatureScheme = 0x27;
inline constexpr std::uint8_t kSslClientCertificate = 0x28;
inline constexpr std::size_t kMaxUniqueIdBytes = 128;
inline constexpr std::uint8_t kClientSsl = 0x01;
inline constexpr std::uint8_t kClientCertConnection = 0x02;
inline constexpr std::uint8_t kClientCertSession = 0x04;
inline constexpr std::size_t kSslFixedBytes = 5;

// Section 2.1: the longest line, its CRLF included, is that of UNKNOWN with two full IPv6 addresses.
inline constexpr std::size_t kMaxV1Bytes = 107;
inline constexpr std::string_view kV1Word = "PROXY ";

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

inline Octets octets(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()};
}

inline std::size_t read_u16(Octets at) {
  return static_cast<std::size_t>(at[0]) << 8 | at[1];
}

/// Takes the first TLV off `tlvs`, which are whole and stand one behind the other as in a header: its type,
/// length and value. Empty where none is left.
inline std::string_view take_whole_tlv(std::string_view& tlvs) {
  if (tlvs.size() < kTlvHeadBytes) return {};
  const std::size_t size = read_u16(octets(std::as_bytes(std::span(tlvs))).subspan(1));
  const std::string_view whole = tlvs.substr(0, kTlvHeadBytes + size);
  tlvs.remove_prefix(whole.size());
  return whole;
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

}  // namespace headgate::proxy_format
