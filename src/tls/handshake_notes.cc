#include "tls/handshake_notes.h"

#include "base/check.h"

namespace headgate {
namespace {

/// OpenSSL numbers the places for an application's pointers once per process.
int notes_index() {
  static const int index = SSL_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr);
  return index;
}

}  // namespace

void attach_notes(SSL* ssl, HandshakeNotes* notes) {
  HG_CHECK(SSL_set_ex_data(ssl, notes_index(), notes) == 1);
}

HandshakeNotes* notes_of(const SSL* ssl) {
  return static_cast<HandshakeNotes*>(SSL_get_ex_data(ssl, notes_index()));
}

void note_event(const SSL* ssl, int where, int value) {
  HandshakeNotes* notes = notes_of(ssl);
  if (notes == nullptr) return;
  if ((where & SSL_CB_ALERT) != 0) {
    int& alert = (where & SSL_CB_READ) != 0 ? notes->alert_received : notes->alert_sent;
    alert = value & 0xff;
    return;
  }
  const OSSL_HANDSHAKE_STATE state = SSL_get_state(ssl);
  const bool sent = where == SSL_CB_ACCEPT_LOOP && state == TLS_ST_SW_SRVR_HELLO;
  const bool received = where == SSL_CB_CONNECT_LOOP && state == TLS_ST_CR_SRVR_HELLO;
  if (sent || received) ++notes->server_hellos;
}

}  // namespace headgate
