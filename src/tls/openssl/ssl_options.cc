#include "tls/library/ssl_options.h"

namespace headgate {

void prefer_chacha_where_clients_do(SSL_CTX* context) {
  SSL_CTX_set_options(context, SSL_OP_PRIORITIZE_CHACHA);
}

bool take_every_cipher(SSL_CTX* context) {
  return SSL_CTX_set_cipher_list(context, "ALL:@SECLEVEL=0") == 1 &&
         SSL_CTX_set_ciphersuites(context,
                                  "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:"
                                  "TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_CCM_SHA256:"
                                  "TLS_AES_128_CCM_8_SHA256") == 1;
}

// Its defaults are all that it has.
void take_signatures_of_peers(SSL_CTX*) {}

bool can_present(KeyType) {
  return true;
}

bool has_security_levels() {
  return true;
}

}  // namespace headgate
