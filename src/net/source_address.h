#pragma once

#include <netinet/in.h>

#include <array>
#include <cstdint>
#include <cstring>

#include "net/address.h"

namespace headgate {

/// The network that counts as one source: an IPv4 address, however it is written (RFC 4291, section 2.5.5.2),
/// or the /64 of an IPv6 address, which is what one host is given. 0 for a unix socket.
using SourceNetwork = std::uint64_t;

/// Where a client comes from, in 20 bytes: the part of an Address that a connection keeps. A value. A unix
/// socket's client has no address of its own.
class SourceAddress {
 public:
  SourceAddress() = default;
  explicit SourceAddress(const Address& address) : family_(address.family()), port_(address.port()) {
    if (family_ == AF_INET) {
      std::memcpy(ip_.data(), &reinterpret_cast<const sockaddr_in*>(address.data())->sin_addr, 4);
    } else if (family_ == AF_INET6) {
      std::memcpy(ip_.data(), &reinterpret_cast<const sockaddr_in6*>(address.data())->sin6_addr, 16);
    }
  }

  [[nodiscard]] Address address() const {
    sockaddr_storage storage{};
    storage.ss_family = family_;
    if (family_ == AF_INET) {
      auto& in = reinterpret_cast<sockaddr_in&>(storage);
      in.sin_port = htons(port_);
      std::memcpy(&in.sin_addr, ip_.data(), 4);
      return Address::from_socket(storage, sizeof in);
    }
    if (family_ == AF_INET6) {
      auto& in6 = reinterpret_cast<sockaddr_in6&>(storage);
      in6.sin6_port = htons(port_);
      std::memcpy(&in6.sin6_addr, ip_.data(), 16);
      return Address::from_socket(storage, sizeof in6);
    }
    return Address::from_socket(storage, sizeof(sa_family_t));
  }

  [[nodiscard]] SourceNetwork network() const {
    constexpr std::array<std::uint8_t, 12> kMappedPrefix{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    const bool mapped = family_ == AF_INET6 && std::memcmp(ip_.data(), kMappedPrefix.data(), 12) == 0;
    if (family_ == AF_INET || mapped) return kIpv4Network | number(mapped ? 12 : 0, 4);
    return number(0, 8);
  }

 private:
  // 0:ffff::/32, which belongs to nobody.
  static constexpr SourceNetwork kIpv4Network = SourceNetwork{0xffff} << 32U;

  [[nodiscard]] SourceNetwork number(std::size_t first, std::size_t size) const {
    SourceNetwork value = 0;
    for (std::size_t i = first; i < first + size; ++i) value = value << 8U | ip_[i];
    return value;
  }

  std::array<std::uint8_t, 16> ip_{};
  sa_family_t family_ = AF_UNIX;
  std::uint16_t port_ = 0;
};

}  // namespace headgate
