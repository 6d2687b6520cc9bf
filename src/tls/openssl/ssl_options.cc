#include "tls/library/ssl_options.h"

namespace headgate {

bool decide_ciphers(SSL_CTX* context) {
  SSL_CTX_set_options(context, SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
  return true;
}

bool take_every_cipher(SSL_CTX* context) {
  return SSL_CTX_set_cipher_list(context, "ALL:@SECLEVEL=0") == 1 &&
         SSL_CTX_set_ciphersuites(context,
                                  "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:"
                                  "TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_CCM_SHA256:"
                                  "TLS_AES_128_CCM_8_SHA256") == 1;
}

// Its defaults are all that it has, and its security level forbids SHA-1.
void choose_signatures(SSL_CTX*) {}

void offer_every_group(SSL_CTX*) {}

bool can_present(KeyType) {
  return true;
}

bool minds_key_usage(KeyType) {
  return false;
}

// Debian's OpenSSL has no cipher that is as weak as 3DES.
const char* never_offered() {
  return "";
}

bool has_security_levels() {
  return true;
}

}  // namespace headgate
