#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"

namespace headgate {

/// Where a socket is bound or connected: an IPv4 or IPv6 address with its port, or a unix socket's path. A
/// value.
class Address {
 public:
  Address() = default;

  /// Parses "192.0.2.1:80", "[::1]:80", ":80" (every address, both families) or "unix:PATH" ("unix:@NAME" is
  /// abstract). Refuses a host name, which only the resolver can look up. Errors: kInvalid; the text says
  /// what to write instead.
  [[nodiscard]] static Result<Address> parse(std::string_view text);
  /// 127.0.0.1 with `port`.
  [[nodiscard]] static Address loopback(std::uint16_t port);
  /// The address that the kernel wrote to `storage`; `size_bytes` is the length that it returned.
  [[nodiscard]] static Address from_socket(const sockaddr_storage& storage, socklen_t size_bytes);
  /// An IP address in text, with `port`. Errors: kInvalid.
  [[nodiscard]] static Result<Address> from_ip(std::string_view ip, std::uint16_t port);

  [[nodiscard]] const sockaddr* data() const { return reinterpret_cast<const sockaddr*>(&storage_); }
  [[nodiscard]] socklen_t size_bytes() const { return size_bytes_; }
  [[nodiscard]] sa_family_t family() const { return storage_.ss_family; }
  [[nodiscard]] bool is_unix() const { return family() == AF_UNIX; }
  /// Whether it is an address of this machine: 127.0.0.0/8 or ::1. False for a unix socket.
  [[nodiscard]] bool is_loopback() const;
  /// The port, 0 for a unix socket.
  [[nodiscard]] std::uint16_t port() const;
  void set_port(std::uint16_t port);
  /// "192.0.2.1:80", "[::1]:80", "unix:/run/x.sock": parse() reads it back. IPv4-mapped IPv6 is shown as
  /// IPv4.
  [[nodiscard]] std::string text() const;
  /// The host part alone, without brackets; "unix" for a unix socket. IPv4-mapped IPv6 is shown as IPv4.
  [[nodiscard]] std::string host_text() const;
  /// The same address as IPv4, where it is IPv4-mapped IPv6; else the address itself.
  [[nodiscard]] Address unmapped() const;
  /// Whether it is "[::]:PORT", which takes IPv4 too, unless told otherwise.
  [[nodiscard]] bool is_every_ipv6() const;

  bool operator==(const Address& other) const;

 private:
  sockaddr_storage storage_{};
  socklen_t size_bytes_ = 0;
};

/// A network in CIDR notation, IPv4 or IPv6. A value.
class Network {
 public:
  /// Parses "10.0.0.0/8", "2001:db8::/32" or a single address. Host bits must be zero. Errors: kInvalid.
  [[nodiscard]] static Result<Network> parse(std::string_view text);
  /// Whether `address` lies in it. An IPv4-mapped IPv6 address counts as IPv4; a unix socket is in no
  /// network.
  [[nodiscard]] bool contains(const Address& address) const;
  [[nodiscard]] std::string text() const;
  /// The network's own address, IPv4 as IPv4-mapped IPv6, and how many of its 128 bits are the prefix.
  [[nodiscard]] std::span<const std::uint8_t, 16> bytes() const { return bytes_; }
  [[nodiscard]] int prefix_bits() const { return prefix_bits_; }
  bool operator==(const Network&) const = default;

 private:
  std::uint8_t bytes_[16] = {};  // IPv4 as IPv4-mapped IPv6
  int prefix_bits_ = 0;          // of the 128
};

}  // namespace headgate
