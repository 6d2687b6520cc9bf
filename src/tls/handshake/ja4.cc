#include <algorithm>
#include <array>
#include <cstdio>
#include <string>

#include <openssl/sha.h>

#include "tls/handshake/client_hello.h"

/// The JA4 fingerprint of a TLS client over TCP. Its parts, separated by underscores:
///   a  "t", the version, whether a name was sent, counts of cipher suites and extensions, the first ALPN
///   protocol; b  the start of SHA-256 over the cipher suites in ascending order; c  the start of SHA-256
///   over the extensions in ascending order, without SNI and ALPN, then "_" and the signature
///      algorithms in the client's order.
/// GREASE values (RFC 8701) count nowhere.
namespace headgate {
namespace {

constexpr std::uint16_t kServerNameExtension = 0;
constexpr std::uint16_t kAlpnExtension = 16;
constexpr std::size_t kHashCharacters = 12;

bool is_grease(std::uint16_t value) {
  return (value & 0x0f0f) == 0x0a0a && (value >> 8) == (value & 0xff);
}

std::vector<std::uint16_t> without_grease(const auto& values) {
  std::vector<std::uint16_t> kept;
  std::copy_if(values.begin(), values.end(), std::back_inserter(kept),
               [](std::uint16_t v) { return !is_grease(v); });
  return kept;
}

std::string hex_list(const std::vector<std::uint16_t>& values) {
  std::string text;
  for (const std::uint16_t value : values) {
    std::array<char, 8> digits{};
    std::snprintf(digits.data(), digits.size(), "%s%04x", text.empty() ? "" : ",", value);
    text += digits.data();
  }
  return text;
}

std::string short_hash(const std::string& text) {
  if (text.empty()) return std::string(kHashCharacters, '0');
  std::array<unsigned char, SHA256_DIGEST_LENGTH> digest{};
  SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest.data());
  std::string hex;
  for (std::size_t i = 0; i < kHashCharacters / 2; ++i) {
    std::array<char, 3> digits{};
    std::snprintf(digits.data(), digits.size(), "%02x", digest[i]);
    hex += digits.data();
  }
  return hex;
}

std::string_view version_text(const ClientHello& hello) {
  const auto offered = without_grease(hello.supported_versions);
  const std::uint16_t highest = offered.empty() ? hello.legacy_version : *std::ranges::max_element(offered);
  switch (highest) {
    case 0x0304:
      return "13";
    case 0x0303:
      return "12";
    case 0x0302:
      return "11";
    case 0x0301:
      return "10";
    case 0x0300:
      return "s3";
    default:
      return "00";
  }
}

std::string two_digits(std::size_t count) {
  const std::string text = std::to_string(std::min<std::size_t>(count, 99));
  return text.size() == 1 ? "0" + text : text;
}

/// First and last character of the first protocol; of its hexadecimal form when one of them is no letter or
/// digit.
std::string alpn_text(const ClientHello& hello) {
  if (hello.alpn.empty()) return "00";
  const std::string_view first = hello.alpn.front();
  const auto plain = [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
  };
  if (plain(first.front()) && plain(first.back())) return {first.front(), first.back()};
  constexpr std::string_view kHex = "0123456789abcdef";
  const auto front = static_cast<unsigned char>(first.front());
  const auto back = static_cast<unsigned char>(first.back());
  return {kHex[front >> 4], kHex[back & 0x0f]};
}

}  // namespace

std::string ClientHello::ja4() const {
  std::vector<std::uint16_t> suites = without_grease(cipher_suites);
  std::vector<std::uint16_t> types = without_grease(extensions);
  std::string fingerprint = "t";
  fingerprint.append(version_text(*this)).append(has_server_name ? "d" : "i");
  fingerprint.append(two_digits(suites.size())).append(two_digits(types.size())).append(alpn_text(*this));

  std::ranges::sort(suites);
  std::erase_if(types,
                [](std::uint16_t type) { return type == kServerNameExtension || type == kAlpnExtension; });
  std::ranges::sort(types);
  std::string hashed = hex_list(types);
  if (!signature_algorithms.empty()) hashed += "_" + hex_list(without_grease(signature_algorithms));
  return fingerprint + "_" + short_hash(hex_list(suites)) + "_" + short_hash(hashed);
}

}  // namespace headgate
