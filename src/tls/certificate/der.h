#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace headgate {

/// Tags of ASN.1 types, X.690, section 8.
enum DerTag : std::uint8_t {
  kDerBoolean = 0x01,
  kDerInteger = 0x02,
  kDerBitString = 0x03,
  kDerOctetString = 0x04,
  kDerOid = 0x06,
  kDerUtcTime = 0x17,
  kDerGeneralizedTime = 0x18,
  kDerSequence = 0x30,
  kDerSet = 0x31,
};
/// [number], constructed or primitive.
constexpr std::uint8_t der_context(unsigned number) {
  return static_cast<std::uint8_t>(0xa0 | number);
}
constexpr std::uint8_t der_context_primitive(unsigned number) {
  return static_cast<std::uint8_t>(0x80 | number);
}

/// One encoded value: a view.
struct DerValue {
  std::uint8_t tag = 0;
  std::span<const std::byte> content;
  std::span<const std::byte> whole;  ///< Tag and length included.
};

/// Walks over the DER values in some bytes, one after another. X.690: definite lengths and one-byte tags
/// only, which is all that certificates and keys have. A view; never reads beyond its bytes.
class DerReader {
 public:
  explicit DerReader(std::span<const std::byte> bytes) : rest_(bytes) {}

  [[nodiscard]] bool at_end() const { return rest_.empty(); }
  /// The tag of the next value, 0 at the end.
  [[nodiscard]] std::uint8_t peek() const {
    return rest_.empty() ? 0 : std::to_integer<std::uint8_t>(rest_[0]);
  }
  /// The next value of any tag; nullopt when the rest does not hold a whole value.
  [[nodiscard]] std::optional<DerValue> next();
  /// The next value if it is a `tag`; else nullopt, and nothing is consumed.
  [[nodiscard]] std::optional<DerValue> next(std::uint8_t tag);

 private:
  std::span<const std::byte> rest_;
};

}  // namespace headgate
