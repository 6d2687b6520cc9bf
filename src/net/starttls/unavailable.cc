#include "net/starttls/unavailable.h"

#include <string_view>

namespace headgate {
namespace {

using namespace std::string_view_literals;

constexpr std::string_view kSentence = "no server can be reached at the moment";

/// ErrorResponse with the code cannot_connect_now, for which clients with several servers try the next one.
/// PostgreSQL documentation, "Message Formats" and "Error and Notice Message Fields".
std::string postgres_error() {
  std::string fields("SFATAL\0VFATAL\0C57P03\0M"sv);
  fields += kSentence;
  fields += "\0\0"sv;
  const std::size_t length = 4 + fields.size();  // it counts itself
  return "E" + std::string("\0\0\0"sv) + static_cast<char>(length) + fields;
}

/// A short element of ASN.1 BER.
std::string element(char tag, std::string_view content) {
  return std::string{tag, static_cast<char>(content.size())} + std::string(content);
}

/// Notice of Disconnection, with the result unavailable. RFC 4511, section 4.4.1.
std::string ldap_notice() {
  constexpr char kSequenceTag = 0x30, kIntegerTag = 0x02, kExtendedResponseTag = 0x78, kEnumeratedTag = 0x0a,
                 kOctetStringTag = 0x04;
  constexpr char kResponseNameTag = static_cast<char>(0x8a);
  const std::string response = element(kEnumeratedTag, "\x34") + element(kOctetStringTag, "") +
                               element(kOctetStringTag, kSentence) +
                               element(kResponseNameTag, "1.3.6.1.4.1.1466.20036");
  return element(kSequenceTag, element(kIntegerTag, "\0"sv) + element(kExtendedResponseTag, response));
}

std::string with_sentence(std::string_view before) {
  return std::string(before) + std::string(kSentence) + "\r\n";
}

}  // namespace

std::string starttls_unavailable(StarttlsProtocol protocol) {
  switch (protocol) {
    case StarttlsProtocol::kPostgres:
      return postgres_error();
    case StarttlsProtocol::kSmtp:
      return with_sentence("421 4.3.2 ");  // RFC 5321, section 3.8
    case StarttlsProtocol::kImap:
      return with_sentence("* BYE [UNAVAILABLE] ");  // RFC 9051, section 7.1.5; RFC 5530, section 3
    case StarttlsProtocol::kPop3:
      return with_sentence("-ERR [SYS/TEMP] ");  // RFC 3206, section 4
    case StarttlsProtocol::kLdap:
      return ldap_notice();
    case StarttlsProtocol::kMysql:
      break;
  }
  return {};
}

}  // namespace headgate
