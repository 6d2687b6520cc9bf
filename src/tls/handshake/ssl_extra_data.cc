#include "tls/handshake/ssl_extra_data.h"

#include "base/check.h"

namespace headgate {
namespace {

/// OpenSSL numbers the places for an application's pointers once per process.
int extra_data_index() {
  static const int index = SSL_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr);
  return index;
}

}  // namespace

void attach_extra_data(SSL* ssl, SslExtraData* extra) {
  HG_CHECK(SSL_set_ex_data(ssl, extra_data_index(), extra) == 1);
}

SslExtraData* extra_data_of(const SSL* ssl) {
  return static_cast<SslExtraData*>(SSL_get_ex_data(ssl, extra_data_index()));
}

void record_ssl_event(const SSL* ssl, int where, int value) {
  SslExtraData* extra = extra_data_of(ssl);
  if (extra == nullptr) return;
  if ((where & SSL_CB_ALERT) != 0) {
    int& alert = (where & SSL_CB_READ) != 0 ? extra->alert_received : extra->alert_sent;
    alert = value & 0xff;
    return;
  }
  const OSSL_HANDSHAKE_STATE state = SSL_get_state(ssl);
  const bool sent = where == SSL_CB_ACCEPT_LOOP && state == TLS_ST_SW_SRVR_HELLO;
  const bool received = where == SSL_CB_CONNECT_LOOP && state == TLS_ST_CR_SRVR_HELLO;
  if (sent || received) ++extra->server_hellos;
  if (where == SSL_CB_ACCEPT_LOOP && state == TLS_ST_SW_FINISHED) extra->finished_sent = true;
}

}  // namespace headgate
