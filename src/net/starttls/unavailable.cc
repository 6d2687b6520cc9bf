#include "net/starttls/unavailable.h"

#include <string_view>

#include "net/starttls/ldap_message.h"
#include "net/starttls/mysql_packet.h"

namespace headgate {
namespace {

using namespace std::string_view_literals;

constexpr std::string_view kSentence = "no server can be reached at the moment";

// MySQL: the greeting has number 0, the request for TLS 1, and the login 2.
constexpr std::uint8_t kLoginAnswerNumber = 3;
constexpr std::uint16_t kUnknownError = 1105;

/// ErrorResponse with the code cannot_connect_now, for which clients with several servers try the next one.
/// PostgreSQL documentation, "Message Formats" and "Error and Notice Message Fields".
std::string postgres_error() {
  std::string fields("SFATAL\0VFATAL\0C57P03\0M"sv);
  fields += kSentence;
  fields += "\0\0"sv;
  const std::size_t length = 4 + fields.size();  // it counts itself
  return "E" + std::string("\0\0\0"sv) + static_cast<char>(length) + fields;
}

/// Notice of Disconnection, with the result unavailable. RFC 4511, section 4.4.1.
std::string ldap_notice() {
  const std::string response = ldap::encode(ldap::kEnumerated, "\x34") +
                               ldap::encode(ldap::kOctetString, "") +
                               ldap::encode(ldap::kOctetString, kSentence) +
                               ldap::encode(ldap::kResponseName, "1.3.6.1.4.1.1466.20036");
  return ldap::encode(ldap::kSequence,
                      ldap::encode(ldap::kInteger, "\0"sv) + ldap::encode(ldap::kExtendedResponse, response));
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
      return mysql::error_packet(kLoginAnswerNumber, kUnknownError, "HY000", kSentence);
  }
  return {};
}

std::string mysql_unavailable_greeting() {
  return mysql::error_packet(0, kUnknownError, {}, kSentence);
}

}  // namespace headgate
