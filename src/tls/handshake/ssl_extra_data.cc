#include "tls/handshake/ssl_extra_data.h"

#include "net/stream.h"
#include "tls/coarse_time.h"
#include "tls/handshake/socket_bio.h"
#include "tls/openssl/openssl_call.h"

namespace headgate {
namespace {

/// OpenSSL numbers the places for an application's pointers once per process.
int extra_data_index() {
  static const int index = SSL_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr);
  return index;
}

/// What a peer may make us keep for it while it reads nothing: twice the most of one write. Each answer to a
/// KeyUpdate or to a request to renegotiate adds to it.
constexpr std::size_t kMaxUnsentBytes = 2 * kMaxWriteBytes;
static_assert(kMaxUnsentBytes == 256 * 1024, "charge() and docs/security.md say so");

/// OpenSSL reads on by itself until it has data, so it has to be stopped here.
void charge(SslExtraData& extra, std::uint32_t price, const char* flood) {
  if (extra.bio == nullptr || extra.flood != nullptr) return;
  if (extra.budget.needs_time()) extra.budget.pass_time(coarse_now());
  const bool paid = extra.budget.spend(price);
  const bool reads = extra.bio->unsent_bytes() <= kMaxUnsentBytes;
  if (paid && reads) return;
  extra.flood = paid ? "the peer reads nothing, and 256 KiB wait for it" : flood;
  extra.bio->break_off();
}

/// OpenSSL announces the end of a message with the state that the message led to. RFC 8446, section 4.6.
void charge_for_message(OSSL_HANDSHAKE_STATE state, SslExtraData& extra) {
  if (state == TLS_ST_SR_KEY_UPDATE || state == TLS_ST_CR_KEY_UPDATE) {
    ++extra.key_updates;
    charge(extra, 1, "too many KeyUpdates for so little data");
  } else if (state == TLS_ST_CR_SESSION_TICKET) {
    charge(extra, 1, "too many session tickets for so little data");
  }
}

}  // namespace

Result<void> attach_extra_data(SSL* ssl, SslExtraData* extra) {
  return call_openssl(ErrorKind::kSystem, "making a TLS connection",
                      [&] { return SSL_set_ex_data(ssl, extra_data_index(), extra); });
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
    if (where == SSL_CB_WRITE_ALERT && alert == SSL_AD_NO_RENEGOTIATION) {
      charge(*extra, MessageBudget::kRenegotiationPrice, "too many requests to renegotiate");
    }
    return;
  }
  const OSSL_HANDSHAKE_STATE state = SSL_get_state(ssl);
  const bool sent = where == SSL_CB_ACCEPT_LOOP && state == TLS_ST_SW_SRVR_HELLO;
  const bool received = where == SSL_CB_CONNECT_LOOP && state == TLS_ST_CR_SRVR_HELLO;
  if (sent || received) ++extra->server_hellos;
  if (where == SSL_CB_ACCEPT_LOOP && state == TLS_ST_SW_FINISHED) extra->finished_sent = true;
  if (where == SSL_CB_ACCEPT_LOOP || where == SSL_CB_CONNECT_LOOP) charge_for_message(state, *extra);
}

}  // namespace headgate
