#include "net/starttls/dialogue.h"

#include "net/starttls/protocols.h"

namespace headgate {

Result<std::unique_ptr<StarttlsDialogue>> open_starttls(StarttlsProtocol protocol) {
  switch (protocol) {
    case StarttlsProtocol::kPostgres:
      return std::make_unique<PostgresStarttls>();
    case StarttlsProtocol::kSmtp:
      return std::make_unique<SmtpStarttls>();
    case StarttlsProtocol::kImap:
      return std::make_unique<ImapStarttls>();
    case StarttlsProtocol::kPop3:
      return std::make_unique<Pop3Starttls>();
    case StarttlsProtocol::kLdap:
      return std::make_unique<LdapStarttls>();
    case StarttlsProtocol::kMysql:
      break;
  }
  return fail(ErrorKind::kInvalid, "MySQL is greeted by its server");
}

std::unique_ptr<StarttlsDialogue> open_mysql_starttls(std::span<const std::byte> greeting) {
  return std::make_unique<MysqlStarttls>(greeting);
}

bool server_speaks_first(StarttlsProtocol protocol) {
  switch (protocol) {
    case StarttlsProtocol::kPostgres:
    case StarttlsProtocol::kLdap:
      return false;
    case StarttlsProtocol::kMysql:
    case StarttlsProtocol::kSmtp:
    case StarttlsProtocol::kImap:
    case StarttlsProtocol::kPop3:
      return true;
  }
  return false;
}

}  // namespace headgate
