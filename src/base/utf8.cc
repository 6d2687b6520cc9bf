#include "base/utf8.h"

namespace headgate {
namespace {

unsigned char octet(std::string_view text, std::size_t i) {
  return static_cast<unsigned char>(text[i]);
}

bool is_continuation(std::string_view text, std::size_t i) {
  return i < text.size() && (octet(text, i) & 0xC0) == 0x80;
}

/// Whether the second byte keeps a sequence that starts with `lead` from being overlong, a surrogate or
/// beyond U+10FFFF (RFC 3629, section 4).
bool second_byte_fits(unsigned char lead, unsigned char second) {
  switch (lead) {
    case 0xE0:
      return second >= 0xA0;
    case 0xED:
      return second < 0xA0;
    case 0xF0:
      return second >= 0x90;
    case 0xF4:
      return second < 0x90;
    default:
      return true;
  }
}

}  // namespace

std::size_t utf8_length(std::string_view text, std::size_t i) {
  const unsigned char lead = octet(text, i);
  if (lead < 0x80) return 1;
  const std::size_t length = lead >= 0xC2 && lead < 0xE0   ? 2U
                             : (lead & 0xF0) == 0xE0       ? 3U
                             : lead >= 0xF0 && lead < 0xF5 ? 4U
                                                           : 0U;
  for (std::size_t k = 1; k < length; ++k) {
    if (!is_continuation(text, i + k)) return 0;
  }
  return length > 2 && !second_byte_fits(lead, octet(text, i + 1)) ? 0 : length;
}

}  // namespace headgate
