#include "tls/library/fatal_alert.h"

namespace headgate {

void write_fatal_alert(SSL* ssl, std::uint8_t alert) {
  SSL_send_fatal_alert(ssl, alert);
}

}  // namespace headgate
