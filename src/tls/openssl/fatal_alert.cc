#include "tls/library/fatal_alert.h"

#include <array>
#include <cstddef>

namespace headgate {

// OpenSSL sends internal_error when it needs bytes and has no BIO to read them from. The records that it has
// read already come first, and it reads nothing behind a close_notify.
void write_fatal_alert(SSL* ssl, std::uint8_t) {
  SSL_set_shutdown(ssl, SSL_get_shutdown(ssl) & ~SSL_RECEIVED_SHUTDOWN);
  SSL_set0_rbio(ssl, nullptr);
  std::array<std::byte, 1024> dropped;
  std::size_t size = 0;
  while (SSL_read_ex(ssl, dropped.data(), dropped.size(), &size) == 1) {
  }
}

}  // namespace headgate
