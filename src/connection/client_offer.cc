#include "connection/client_offer.h"

#include <algorithm>
#include <span>

namespace headgate {
namespace {

std::size_t kept_of(std::size_t size) {
  return std::min(size, ClientOffer::kMaxNumbers);
}

std::size_t alpn_bytes(const std::vector<std::string_view>& names) {
  std::size_t total = 0;
  for (const std::string_view name : names) total += 1 + name.size();
  return std::min(total, ClientOffer::kMaxAlpnBytes);
}

}  // namespace

ClientOffer::ClientOffer(const ClientHello& hello)
    : legacy_version_(hello.legacy_version), has_server_name_(hello.has_server_name) {
  const std::size_t numbers = kept_of(hello.supported_versions.size()) + kept_of(hello.groups.size()) +
                              kept_of(hello.cipher_suites.size()) +
                              kept_of(hello.signature_algorithms.size()) + kept_of(hello.extensions.size());
  bytes_.reserve(2 * numbers + alpn_bytes(hello.alpn));
  keep(List::kVersions, hello.supported_versions);
  keep(List::kGroups, hello.groups);
  keep(List::kCiphers, hello.cipher_suites);
  keep(List::kSignatureAlgorithms, hello.signature_algorithms);
  keep(List::kExtensions, hello.extensions);
  keep_alpn(hello.alpn);
  sizes_[static_cast<std::size_t>(List::kExtensions)].left_out +=
      static_cast<std::uint16_t>(hello.extensions_left_out);
  sizes_[static_cast<std::size_t>(List::kAlpn)].left_out += static_cast<std::uint16_t>(hello.alpn_left_out);
}

template <class Numbers>
void ClientOffer::keep(List list, const Numbers& numbers) {
  Size& size = sizes_[static_cast<std::size_t>(list)];
  size.kept = static_cast<std::uint16_t>(kept_of(numbers.size()));
  size.left_out = static_cast<std::uint16_t>(numbers.size() - size.kept);
  auto number = numbers.begin();
  for (std::size_t i = 0; i < size.kept; ++i, ++number) {
    bytes_.push_back(static_cast<std::byte>(*number >> 8));
    bytes_.push_back(static_cast<std::byte>(*number & 0xff));
  }
}

void ClientOffer::keep_alpn(const std::vector<std::string_view>& names) {
  Size& size = sizes_[static_cast<std::size_t>(List::kAlpn)];
  std::size_t room = kMaxAlpnBytes;
  for (const std::string_view name : names) {
    if (1 + name.size() > room) break;
    room -= 1 + name.size();
    bytes_.push_back(static_cast<std::byte>(name.size()));
    for (const char octet : name) bytes_.push_back(static_cast<std::byte>(octet));
    ++size.kept;
  }
  size.left_out = static_cast<std::uint16_t>(names.size() - size.kept);
}

ClientHello ClientOffer::kept() const {
  ClientHello hello;
  hello.legacy_version = legacy_version_;
  hello.has_server_name = has_server_name_;
  std::span<const std::byte> rest = bytes_;
  const auto next = [&](List list) {
    const auto taken = rest.first(std::size_t{2} * size_of(list).kept);
    rest = rest.subspan(taken.size());
    return Uint16List(taken);
  };
  hello.supported_versions = next(List::kVersions);
  hello.groups = next(List::kGroups);
  hello.cipher_suites = next(List::kCiphers);
  hello.signature_algorithms = next(List::kSignatureAlgorithms);
  const Uint16List extensions = next(List::kExtensions);
  hello.extensions.assign(extensions.begin(), extensions.end());
  for (std::size_t i = 0; i < size_of(List::kAlpn).kept; ++i) {
    const auto name = rest.subspan(1, std::to_integer<std::size_t>(rest.front()));
    rest = rest.subspan(1 + name.size());
    hello.alpn.emplace_back(reinterpret_cast<const char*>(name.data()), name.size());
  }
  return hello;
}

std::string ClientOffer::ja4() const {
  const bool known = size_of(List::kCiphers).kept > 0;
  const bool whole = std::ranges::all_of(sizes_, [](const Size& size) { return size.left_out == 0; });
  return known && whole ? kept().ja4() : std::string();
}

}  // namespace headgate
