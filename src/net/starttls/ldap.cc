#include <array>
#include <optional>

#include "net/starttls/protocols.h"

namespace headgate {
namespace {

// BER tags of RFC 4511, appendix B.
constexpr std::uint8_t kSequence = 0x30;
constexpr std::uint8_t kInteger = 0x02;
constexpr std::uint8_t kUnbindRequest = 0x42;
constexpr std::uint8_t kAbandonRequest = 0x50;
constexpr std::uint8_t kExtendedRequest = 0x77;
constexpr std::uint8_t kExtendedResponse = 0x78;
constexpr std::uint8_t kRequestName = 0x80;
constexpr std::uint8_t kResponseName = 0x8A;
constexpr std::string_view kStartTlsOid = "1.3.6.1.4.1.1466.20037";

constexpr char kSuccess = 0;
constexpr char kProtocolError = 2;
constexpr char kConfidentialityRequired = 13;

/// A client may read the root entry before it asks for TLS. A client that sends more requests than this will
/// not ask for TLS.
constexpr int kMaxRequests = 32;

struct ResponseTag {
  std::uint8_t request;
  std::uint8_t response;
};
constexpr std::array<ResponseTag, 8> kResponseTags{{
    {0x60, 0x61},  // bind
    {0x63, 0x65},  // search: searchResDone
    {0x66, 0x67},  // modify
    {0x68, 0x69},  // add
    {0x4A, 0x6B},  // delete
    {0x6C, 0x6D},  // modify DN
    {0x6E, 0x6F},  // compare
    {kExtendedRequest, kExtendedResponse},
}};

std::optional<std::uint8_t> response_tag(std::uint8_t request) {
  for (const auto& row : kResponseTags) {
    if (row.request == request) return row.response;
  }
  return std::nullopt;
}

struct Element {
  std::uint8_t tag = 0;
  std::string_view value;
  std::size_t size_bytes = 0;  // tag and length included
};

enum class Reading : std::uint8_t { kDone, kIncomplete, kMalformed };

/// Reads the element at the start of `input`: definite lengths only, as RFC 4511, section 5.1, has it. One
/// that would be longer than a dialogue may keep is malformed.
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

/// A short-form element; every answer of ours is shorter than 128 bytes.
std::string encode(std::uint8_t tag, std::string_view value) {
  return std::string{static_cast<char>(tag), static_cast<char>(value.size())} += value;
}

std::string response(std::string_view message_id, std::uint8_t tag, char result,
                     std::string_view diagnostic) {
  std::string body = encode(0x0A, std::string_view(&result, 1)) + encode(0x04, "") + encode(0x04, diagnostic);
  if (tag == kExtendedResponse) body += encode(kResponseName, kStartTlsOid);
  return encode(kSequence, encode(kInteger, message_id) + encode(tag, body));
}

/// Sends no Notice of Disconnection: it is of no use to a client that does not speak LDAP.
StarttlsStep malformed_message(StarttlsStep step) {
  step.state = StarttlsState::kMalformed;
  return step;
}

struct Message {
  std::string_view id;  // the integer's own bytes, 1 to 4 of them
  Element operation;
};

std::optional<Message> read_message(std::string_view envelope) {
  Element id;
  Message message;
  if (read_element(envelope, id) != Reading::kDone || id.tag != kInteger) return std::nullopt;
  if (id.value.empty() || id.value.size() > 4) return std::nullopt;
  message.id = id.value;
  if (read_element(envelope.substr(id.size_bytes), message.operation) != Reading::kDone) return std::nullopt;
  return message;
}

bool asks_for_tls(const Element& operation) {
  Element name;
  return operation.tag == kExtendedRequest && read_element(operation.value, name) == Reading::kDone &&
         name.tag == kRequestName && name.value == kStartTlsOid;
}

}  // namespace

StarttlsStep LdapStarttls::feed(std::span<const std::byte> received) {
  const std::string_view input{reinterpret_cast<const char*>(received.data()), received.size()};
  StarttlsStep step;
  while (step.consumed_bytes < input.size()) {
    if (input[step.consumed_bytes] != static_cast<char>(kSequence)) return malformed_message(step);
    Element envelope;
    const Reading reading = read_element(input.substr(step.consumed_bytes), envelope);
    if (reading == Reading::kIncomplete) return step;
    const auto message = reading == Reading::kDone ? read_message(envelope.value) : std::nullopt;
    if (!message || ++requests_ > kMaxRequests) return malformed_message(step);
    step.consumed_bytes += envelope.size_bytes;

    const std::uint8_t tag = message->operation.tag;
    if (asks_for_tls(message->operation)) {
      // No bytes may follow the request: they would be plaintext that passes for part of the TLS session.
      const bool alone = step.consumed_bytes == input.size();
      step.state = alone ? StarttlsState::kTlsBegins : StarttlsState::kMalformed;
      step.reply += response(message->id, kExtendedResponse, alone ? kSuccess : kProtocolError, "");
      return step;
    }
    if (tag == kUnbindRequest) {
      step.state = StarttlsState::kEnded;
      return step;
    }
    if (tag == kAbandonRequest) continue;
    const auto answer = response_tag(tag);
    if (!answer) return malformed_message(step);
    step.reply += response(message->id, *answer, kConfidentialityRequired, "StartTLS first");
  }
  return step;
}

}  // namespace headgate
