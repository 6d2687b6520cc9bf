#include "tls/handshake/ssl_extra_data.h"

#include <span>

#include "net/stream.h"
#include "tls/coarse_time.h"
#include "tls/handshake/session_binding.h"
#include "tls/handshake/socket_bio.h"
#include "tls/library/openssl_call.h"
#include "tls/record/record_layer.h"

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

/// Clients on OpenSSL that refuse the server's certificate in TLS 1.3 send their alert without protection,
/// since they have no key yet with which they send. The record has been read when its header is told.
void record_plain_alert(std::span<const std::uint8_t> header, SslExtraData& extra) {
  const bool is_alert =
      header.size() == kRecordHeaderBytes && header[0] == SSL3_RT_ALERT && header[3] == 0 && header[4] == 2;
  if (is_alert && extra.bio != nullptr && extra.finished_sent) extra.plain_alert = extra.bio->last_octet();
}

void record_alert(bool sent, std::span<const std::uint8_t> alert, SslExtraData& extra) {
  if (alert.size() < 2) return;
  int& recorded = sent ? extra.alert_sent : extra.alert_received;
  recorded = alert[1];
  if (sent && recorded == SSL_AD_NO_RENEGOTIATION)
    charge(extra, MessageBudget::kRenegotiationPrice, "too many requests to renegotiate");
}

/// RFC 8446, sections 4 and 4.6.
void record_handshake_message(bool sent, std::uint8_t type, bool by_server, SslExtraData& extra) {
  if (type == SSL3_MT_SERVER_HELLO) ++extra.server_hellos;
  if (by_server && sent && type == SSL3_MT_FINISHED) extra.finished_sent = true;
  if (sent) return;
  if (type == SSL3_MT_KEY_UPDATE) {
    ++extra.key_updates;
    charge(extra, 1, "too many KeyUpdates for so little data");
  } else if (type == SSL3_MT_NEWSESSION_TICKET) {
    charge(extra, 1, "too many session tickets for so little data");
  }
}

}  // namespace

SslExtraData::SslExtraData() = default;
SslExtraData::~SslExtraData() = default;

Result<void> attach_extra_data(SSL* ssl, SslExtraData* extra) {
  return call_openssl(ErrorKind::kSystem, "making a TLS connection",
                      [&] { return SSL_set_ex_data(ssl, extra_data_index(), extra); });
}

SslExtraData* extra_data_of(const SSL* ssl) {
  return static_cast<SslExtraData*>(SSL_get_ex_data(ssl, extra_data_index()));
}

void record_message(int sent, int, int content_type, const void* bytes, std::size_t size, SSL* ssl, void*) {
  SslExtraData* extra = extra_data_of(ssl);
  if (extra == nullptr || size == 0) return;
  const std::span octets(static_cast<const std::uint8_t*>(bytes), size);
  if (content_type == SSL3_RT_HEADER && sent == 0) record_plain_alert(octets, *extra);
  if (content_type == SSL3_RT_ALERT) record_alert(sent != 0, octets, *extra);
  if (content_type == SSL3_RT_HANDSHAKE)
    record_handshake_message(sent != 0, octets.front(), SSL_is_server(ssl) == 1, *extra);
}

}  // namespace headgate
