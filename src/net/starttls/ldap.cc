#include <array>
#include <optional>

#include "base/text_of.h"
#include "net/starttls/ldap_message.h"
#include "net/starttls/protocols.h"

namespace headgate {
namespace {

// BER tags of RFC 4511, appendix B.
constexpr std::uint8_t kUnbindRequest = 0x42;
constexpr std::uint8_t kAbandonRequest = 0x50;
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
    {ldap::kExtendedRequest, ldap::kExtendedResponse},
}};

std::optional<std::uint8_t> response_tag(std::uint8_t request) {
  for (const auto& row : kResponseTags) {
    if (row.request == request) return row.response;
  }
  return std::nullopt;
}

std::string response(std::string_view message_id, std::uint8_t tag, char result,
                     std::string_view diagnostic) {
  std::string body = ldap::encode(ldap::kEnumerated, std::string_view(&result, 1)) +
                     ldap::encode(ldap::kOctetString, "") + ldap::encode(ldap::kOctetString, diagnostic);
  if (tag == ldap::kExtendedResponse) body += ldap::encode(ldap::kResponseName, ldap::kStartTlsOid);
  return ldap::encode(ldap::kSequence, ldap::encode(ldap::kInteger, message_id) + ldap::encode(tag, body));
}

/// Sends no Notice of Disconnection: it is of no use to a client that does not speak LDAP.
StarttlsStep malformed_message(StarttlsStep step, std::string_view why) {
  step.state = StarttlsState::kMalformed;
  step.why = why;
  return step;
}

bool asks_for_tls(const ldap::Element& operation) {
  ldap::Element name;
  return operation.tag == ldap::kExtendedRequest &&
         ldap::read_element(operation.value, name) == ldap::Reading::kDone &&
         name.tag == ldap::kRequestName && name.value == ldap::kStartTlsOid;
}

}  // namespace

StarttlsStep LdapStarttls::feed(std::span<const std::byte> received) {
  const std::string_view input = text_of(received);
  StarttlsStep step;
  while (step.consumed_bytes < input.size()) {
    if (input[step.consumed_bytes] != static_cast<char>(ldap::kSequence))
      return malformed_message(step, "what the client sends is not LDAP");
    ldap::Element envelope;
    const ldap::Reading reading = ldap::read_element(input.substr(step.consumed_bytes), envelope);
    if (reading == ldap::Reading::kIncomplete) return step;
    const auto message = reading == ldap::Reading::kDone ? ldap::read_message(envelope.value) : std::nullopt;
    if (!message) return malformed_message(step, "an LDAP message that cannot be read");
    if (++requests_ > kMaxRequests) return malformed_message(step, "more than 32 requests before TLS");
    step.consumed_bytes += envelope.size_bytes;

    const std::uint8_t tag = message->operation.tag;
    if (asks_for_tls(message->operation)) {
      // No bytes may follow the request: they would be plaintext that passes for part of the TLS session.
      const bool alone = step.consumed_bytes == input.size();
      step.state = alone ? StarttlsState::kTlsBegins : StarttlsState::kMalformed;
      if (!alone) step.why = "plaintext behind the request for TLS";
      step.reply += response(message->id, ldap::kExtendedResponse, alone ? kSuccess : kProtocolError, "");
      return step;
    }
    if (tag == kUnbindRequest) {
      step.state = refused_ ? StarttlsState::kPlaintext : StarttlsState::kEnded;
      if (refused_) step.why = "the client does not ask for TLS: turn StartTLS on in the client";
      return step;
    }
    if (tag == kAbandonRequest) continue;
    const auto answer = response_tag(tag);
    if (!answer) return malformed_message(step, "an LDAP request of an unknown kind");
    refused_ = true;
    step.reply += response(message->id, *answer, kConfidentialityRequired, "StartTLS first");
  }
  return step;
}

}  // namespace headgate
