#include "net/starttls/mysql_packet.h"
#include "net/starttls/protocols.h"

namespace headgate {
namespace {

constexpr std::uint8_t kAnswerNumber = 2;  // the greeting has 0, what the client said has 1
constexpr std::uint16_t kSecureTransportRequired = 3159;
constexpr std::uint16_t kHandshakeError = 1043;

}  // namespace

StarttlsStep MysqlStarttls::feed(std::span<const std::byte> received) {
  switch (mysql::read_answer(received)) {
    case mysql::Answer::kNeedMore:
      return {};
    case mysql::Answer::kRequest:
      return {StarttlsState::kTlsBegins, mysql::kRequestBytes, {}};
    case mysql::Answer::kLogin:
      return {StarttlsState::kPlaintext, 0,
              mysql::error_packet(kAnswerNumber, kSecureTransportRequired, "HY000",
                                  "TLS required: connect with ssl-mode=REQUIRED or stricter"),
              "the client does not ask for TLS: it needs ssl-mode=REQUIRED (MariaDB's clients: ssl)"};
    case mysql::Answer::kMalformed:
      break;
  }
  return {StarttlsState::kMalformed, 0,
          mysql::error_packet(kAnswerNumber, kHandshakeError, "08S01", "Bad handshake"),
          "the answer to the greeting is neither a request for TLS nor a login"};
}

}  // namespace headgate
