#include "net/starttls/ldap_message.h"

#include "net/starttls/dialogue.h"

namespace headgate::ldap {

Reading read_element(std::string_view input, Element& element) {
  const auto octet = [&](std::size_t i) { return static_cast<std::uint8_t>(input[i]); };
  if (input.size() < 2) return Reading::kIncomplete;
  std::size_t head = 2;
  std::size_t length = octet(1);
  if (length >= 0x80) {
    const std::size_t count = length & 0x7F;
    if (count == 0 || count > 4) return Reading::kMalformed;
    if (input.size() < 2 + count) return Reading::kIncomplete;
    length = 0;
    for (std::size_t i = 0; i < count; ++i) length = length << 8 | octet(2 + i);
    head += count;
  }
  if (head + length > kMaxStarttlsInputBytes) return Reading::kMalformed;
  if (input.size() < head + length) return Reading::kIncomplete;
  element = {octet(0), input.substr(head, length), head + length};
  return Reading::kDone;
}

std::string encode(std::uint8_t tag, std::string_view value) {
  return std::string{static_cast<char>(tag), static_cast<char>(value.size())} += value;
}

std::optional<Message> read_message(std::string_view envelope) {
  Element id;
  Message message;
  if (read_element(envelope, id) != Reading::kDone || id.tag != kInteger) return std::nullopt;
  if (id.value.empty() || id.value.size() > 4) return std::nullopt;
  message.id = id.value;
  if (read_element(envelope.substr(id.size_bytes), message.operation) != Reading::kDone) return std::nullopt;
  return message;
}

}  // namespace headgate::ldap
