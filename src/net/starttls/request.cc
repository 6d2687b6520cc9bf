#include "net/starttls/request.h"

#include "net/starttls/requests.h"

namespace headgate {

std::unique_ptr<StarttlsRequest> open_starttls_request(StarttlsProtocol protocol) {
  switch (protocol) {
    case StarttlsProtocol::kPostgres:
      return std::make_unique<PostgresRequest>();
    case StarttlsProtocol::kSmtp:
      return std::make_unique<SmtpRequest>();
    case StarttlsProtocol::kImap:
      return std::make_unique<ImapRequest>();
    case StarttlsProtocol::kPop3:
      return std::make_unique<Pop3Request>();
    case StarttlsProtocol::kLdap:
      return std::make_unique<LdapRequest>();
    case StarttlsProtocol::kMysql:
      return std::make_unique<MysqlRequest>();
  }
  return nullptr;
}

std::string_view starttls_welcome(StarttlsProtocol protocol) {
  switch (protocol) {
    case StarttlsProtocol::kSmtp:
      return "220 headgate ESMTP\r\n";
    case StarttlsProtocol::kImap:
      return "* OK headgate ready\r\n";
    case StarttlsProtocol::kPop3:
      return "+OK headgate ready\r\n";
    case StarttlsProtocol::kPostgres:
    case StarttlsProtocol::kMysql:
    case StarttlsProtocol::kLdap:
      break;
  }
  return {};
}

}  // namespace headgate
