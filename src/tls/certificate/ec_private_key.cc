#include "tls/certificate/ec_private_key.h"

#include <algorithm>
#include <array>

#include "tls/certificate/der.h"

namespace headgate {
namespace {

/// RFC 5915, section 3.
std::optional<std::span<const std::byte>> number_in_sec1(std::span<const std::byte> der) {
  const auto key = DerReader(der).next(kDerSequence);
  if (!key) return std::nullopt;
  DerReader reader(key->content);
  if (!reader.next(kDerInteger)) return std::nullopt;
  const auto number = reader.next(kDerOctetString);
  if (!number) return std::nullopt;
  return number->content;
}

}  // namespace

std::optional<std::span<const std::byte>> ec_private_number(std::span<const std::byte> key_der) {
  const auto key = DerReader(key_der).next(kDerSequence);
  if (!key) return std::nullopt;
  DerReader reader(key->content);
  if (!reader.next(kDerInteger)) return std::nullopt;
  if (reader.peek() == kDerOctetString) return number_in_sec1(key_der);
  const auto algorithm = reader.next(kDerSequence);  // PKCS#8, RFC 5958, section 2
  const auto inner = reader.next(kDerOctetString);
  const auto kind = algorithm ? DerReader(algorithm->content).next(kDerOid) : std::nullopt;
  constexpr std::array<std::byte, 7> kOidOfEcKeys{std::byte{0x2a}, std::byte{0x86}, std::byte{0x48},
                                                  std::byte{0xce}, std::byte{0x3d}, std::byte{0x02},
                                                  std::byte{0x01}};  // 1.2.840.10045.2.1
  if (!inner || !kind || !std::ranges::equal(kind->content, kOidOfEcKeys)) return std::nullopt;
  return number_in_sec1(inner->content);
}

}  // namespace headgate
