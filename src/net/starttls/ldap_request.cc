#include "base/text_of.h"
#include "net/starttls/ldap_message.h"
#include "net/starttls/request_steps.h"
#include "net/starttls/requests.h"

namespace headgate {
namespace {

constexpr std::string_view kMessageId = "\x01";
constexpr std::string_view kNotLdap = "the server's answer to StartTLS is not LDAP";

}  // namespace

std::string_view LdapRequest::opening() const {
  static const std::string kRequest = ldap::encode(
      ldap::kSequence,
      ldap::encode(ldap::kInteger, kMessageId) +
          ldap::encode(ldap::kExtendedRequest, ldap::encode(ldap::kRequestName, ldap::kStartTlsOid)));
  return kRequest;
}

RequestStep LdapRequest::feed(std::span<const std::byte> received) {
  const std::string_view input = text_of(received);
  if (!input.empty() && input.front() != static_cast<char>(ldap::kSequence))
    return request::malformed(kNotLdap);
  ldap::Element envelope, result;
  const ldap::Reading reading = ldap::read_element(input, envelope);
  if (reading == ldap::Reading::kIncomplete) return {};
  const auto message = reading == ldap::Reading::kDone ? ldap::read_message(envelope.value) : std::nullopt;
  if (!message || message->operation.tag != ldap::kExtendedResponse ||
      ldap::read_element(message->operation.value, result) != ldap::Reading::kDone ||
      result.tag != ldap::kEnumerated || result.value.size() != 1) {
    return request::malformed(kNotLdap);
  }
  if (result.value.front() != 0) {
    const auto code = std::to_string(static_cast<unsigned char>(result.value.front()));
    return request::refused("the server refuses StartTLS with result code " + code, {});
  }
  if (message->id != kMessageId) return request::malformed("the server answers a request that was not made");
  return request::go_ahead(envelope.size_bytes, input.size());
}

}  // namespace headgate
