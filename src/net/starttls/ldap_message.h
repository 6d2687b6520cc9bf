#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

/// The part of LDAP's encoding that StartTLS needs, for both sides of it: elements of BER with definite
/// lengths (RFC 4511, section 5.1), and the envelope of a message.
namespace headgate::ldap {

// Tags of RFC 4511, appendix B.
inline constexpr std::uint8_t kInteger = 0x02;
inline constexpr std::uint8_t kOctetString = 0x04;
inline constexpr std::uint8_t kEnumerated = 0x0A;
inline constexpr std::uint8_t kSequence = 0x30;
inline constexpr std::uint8_t kExtendedRequest = 0x77;
inline constexpr std::uint8_t kExtendedResponse = 0x78;
inline constexpr std::uint8_t kRequestName = 0x80;
inline constexpr std::uint8_t kResponseName = 0x8A;
inline constexpr std::string_view kStartTlsOid = "1.3.6.1.4.1.1466.20037";

struct Element {
  std::uint8_t tag = 0;
  std::string_view value;      ///< Points into the input.
  std::size_t size_bytes = 0;  ///< Tag and length included.
};

enum class Reading : std::uint8_t { kDone, kIncomplete, kMalformed };

/// Reads the element at the start of `input`. An element that would be longer than kMaxStarttlsInputBytes is
/// malformed. Pure.
[[nodiscard]] Reading read_element(std::string_view input, Element& element);

/// Returns a short-form element: `value` has less than 128 bytes.
[[nodiscard]] std::string encode(std::uint8_t tag, std::string_view value);

struct Message {
  std::string_view id;  ///< The integer's own bytes, 1 to 4 of them.
  Element operation;
};

/// Reads the value of a message's sequence. Nothing: it is no message of LDAP.
[[nodiscard]] std::optional<Message> read_message(std::string_view envelope);

}  // namespace headgate::ldap
