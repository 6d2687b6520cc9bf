#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "tls/handshake/client_hello.h"

namespace headgate {

/// What a ClientHello offered, in a bounded size: what the flight recorder keeps of a handshake. A value.
///
/// Each list keeps its first kMaxNumbers numbers, and ALPN the names that fit into kMaxAlpnBytes; of the rest
/// only the count is kept. Made from a parsed ClientHello with one allocation and no formatting (200 bytes
/// for what a browser sends), because a good handshake pays for it too.
class ClientOffer {
 public:
  /// More than any TLS library offers by default.
  static constexpr std::size_t kMaxNumbers = 128;
  static constexpr std::size_t kMaxAlpnBytes = 256;

  enum class List : std::uint8_t { kVersions, kGroups, kCiphers, kSignatureAlgorithms, kExtensions, kAlpn };
  static constexpr std::size_t kListCount = 6;

  /// Nothing is known.
  ClientOffer() = default;
  /// Copies what it keeps of `hello`.
  explicit ClientOffer(const ClientHello& hello);

  /// How many entries of `list` are not kept.
  [[nodiscard]] std::size_t left_out(List list) const { return size_of(list).left_out; }
  /// A ClientHello with the lists that are kept and no other member. Its views hold as long as this object
  /// stays where it is.
  [[nodiscard]] ClientHello kept() const;
  /// The JA4 fingerprint; empty where nothing is known, and where a list is not kept whole.
  [[nodiscard]] std::string ja4() const;
  /// What it takes beside sizeof(ClientOffer).
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
