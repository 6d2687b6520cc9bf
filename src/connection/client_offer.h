#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "tls/handshake/client_hello.h"

namespace headgate {

/// The offer of a ClientHello in a bounded size, which the flight recorder keeps of a handshake. A value.
///
/// Each list keeps its first kMaxNumbers numbers, and ALPN the names that fit into kMaxAlpnBytes; an offer
/// keeps only the count of the others. Making an offer from a parsed ClientHello takes one allocation and no
/// formatting (200 bytes for a browser's ClientHello), because a good handshake pays for it too.
class ClientOffer {
 public:
  /// No TLS library offers more by default.
  static constexpr std::size_t kMaxNumbers = 128;
  static constexpr std::size_t kMaxAlpnBytes = 256;

  enum class List : std::uint8_t { kVersions, kGroups, kCiphers, kSignatureAlgorithms, kExtensions, kAlpn };
  static constexpr std::size_t kListCount = 6;

  /// An empty offer: nothing is known.
  ClientOffer() = default;
  /// Copies from `hello` the parts that an offer keeps.
  explicit ClientOffer(const ClientHello& hello);

  /// The number of entries of `list` that are not kept.
  [[nodiscard]] std::size_t left_out(List list) const { return size_of(list).left_out; }
  /// A ClientHello with the lists that are kept and no other member. Its views hold as long as this object
  /// stays where it is.
  [[nodiscard]] ClientHello kept() const;
  /// The JA4 fingerprint; empty where nothing is known, and where the offer does not keep a list whole.
  [[nodiscard]] std::string ja4() const;
  /// The memory that it takes in addition to sizeof(ClientOffer).
  [[nodiscard]] std::size_t heap_bytes() const { return bytes_.capacity(); }

 private:
  struct Size {
    std::uint16_t kept = 0, left_out = 0;
  };
  [[nodiscard]] const Size& size_of(List list) const { return sizes_[static_cast<std::size_t>(list)]; }
  template <class Numbers>
  void keep(List list, const Numbers& numbers);
  void keep_alpn(const std::vector<std::string_view>& names);

  std::array<Size, kListCount> sizes_{};
  std::uint16_t legacy_version_ = 0;
  bool has_server_name_ = false;
  std::vector<std::byte> bytes_;  // the lists one behind the other, as they stand in a message
};

}  // namespace headgate
