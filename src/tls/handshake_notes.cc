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

void set_keylog_sink(SSL* ssl, KeylogSink sink, void* owner) {
  HandshakeNotes* notes = notes_of(ssl);
  HG_CHECK(notes != nullptr);
  notes->keylog_sink = sink;
  notes->keylog_owner = owner;
}

}  // namespace headgate
