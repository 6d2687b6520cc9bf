#include "connection/starttls_protocol.h"

namespace headgate {

StarttlsProtocol starttls_protocol(config::Starttls starttls) {
  switch (starttls) {
    case config::Starttls::kNone:
    case config::Starttls::kPostgres:
      return StarttlsProtocol::kPostgres;
    case config::Starttls::kMysql:
      return StarttlsProtocol::kMysql;
    case config::Starttls::kSmtp:
      return StarttlsProtocol::kSmtp;
    case config::Starttls::kImap:
      return StarttlsProtocol::kImap;
    case config::Starttls::kPop3:
      return StarttlsProtocol::kPop3;
    case config::Starttls::kLdap:
      return StarttlsProtocol::kLdap;
  }
  return StarttlsProtocol::kPostgres;
}

}  // namespace headgate
