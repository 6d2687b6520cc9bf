#include "tls/library/tickets.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <optional>
#include <utility>

#include <openssl/err.h>

#include "base/out_of_memory.h"
#include "tls/awslc/session_encoding.h"
#include "tls/handshake/server_context.h"
#include "tls/handshake/ticket_protection.h"
#include "tls/octets.h"

namespace headgate {
namespace {

/// More than the bytes by which OpenSSL's encoding of a session is longer than AWS-LC's, beside the
/// application's data: the flags, and lengths of more than one byte.
constexpr std::size_t kTranslationBytes = 128;

/// A session in plain bytes, which are wiped.
class PlainSession {
 public:
  explicit PlainSession(std::vector<std::byte> bytes) : bytes_(std::move(bytes)) {}
  ~PlainSession() { OPENSSL_cleanse(bytes_.data(), bytes_.size()); }
  PlainSession(PlainSession&&) noexcept = default;
  PlainSession& operator=(PlainSession&&) = delete;
  [[nodiscard]] Octets octets() const { return bytes_; }

 private:
  std::vector<std::byte> bytes_;
};

PlainSession encoding_of(const SSL_SESSION* session) {
  std::uint8_t* bytes = nullptr;
  std::size_t size = 0;
  if (SSL_SESSION_to_bytes(session, &bytes, &size) != 1) return PlainSession({});
  const OctetsPtr owned(bytes);
  const auto octets = std::as_bytes(std::span(bytes, size));
  return PlainSession({octets.begin(), octets.end()});
}

std::size_t max_overhead(SSL*) {
  return kTicketOverheadBytes + SessionBinding::kMostBytes + kTranslationBytes;
}

/// Without a key the client gets a ticket of no bytes, which says that there is none. RFC 5077, section 3.3.
int seal(SSL* ssl, std::uint8_t* out, std::size_t* out_size, std::size_t room, const std::uint8_t* in,
         std::size_t size) {
  ServerContext& context = ServerContext::of(ssl);
  const WallTime now = std::chrono::system_clock::now();
  const TicketKey* key = context.ticket_keys().issuing(now);
  *out_size = 0;
  if (key == nullptr) return 1;
  const PlainSession session(
      openssl_session(std::as_bytes(std::span(in, size)), {}, context.binding_for(ssl, now).encode()));
  std::array<unsigned char, kTicketIvBytes> iv;
  const std::size_t needed = ticket_bytes(session.octets().size());
  if (session.octets().empty() || needed > room || !context.library().random(iv)) return 0;
  const auto ticket = std::as_writable_bytes(std::span(out, needed));
  TicketProtection protection(context.library());
  if (!protection.seal(session.octets(), *key, std::as_bytes(std::span(iv)), ticket)) return 0;
  *out_size = needed;
  context.count(TicketEvent::kIssued);
  return 1;
}

/// The session in `ticket`, as AWS-LC encodes it, if it may be used for this connection; else empty. Counts
/// the answer.
PlainSession open_and_judge(SSL* ssl, Octets ticket) {
  ServerContext& context = ServerContext::of(ssl);
  const TicketKey* key =
      ticket.size() <= kTicketNameBytes
          ? nullptr
          : context.ticket_keys().find(ticket_name(ticket), std::chrono::system_clock::now());
  TicketProtection protection(context.library());
  const PlainSession plain(key == nullptr ? std::vector<std::byte>() : protection.open(ticket, *key));
  auto opened = read_openssl_session(plain.octets());
  PlainSession translated(opened ? std::move(opened->session) : std::vector<std::byte>());
  const SessionPtr session(SSL_SESSION_from_bytes(as_octets(translated.octets().data()),
                                                  translated.octets().size(), SSL_get_SSL_CTX(ssl)));
  ERR_clear_error();
  if (session == nullptr) {
    context.count(TicketEvent::kUnknownKey);
    return PlainSession({});
  }
  const bool good = context.may_resume(ssl, session.get(), SessionBinding::decode(opened->app_data));
  return good ? std::move(translated) : PlainSession({});
}

/// A refused ticket costs a full handshake, which waits for its permit. AWS-LC then asks about the ticket
/// again.
ssl_ticket_aead_result_t open(SSL* ssl, std::uint8_t* out, std::size_t* out_size, std::size_t room,
                              const std::uint8_t* in, std::size_t size) {
  SslExtraData& extra = *extra_data_of(ssl);
  if (!extra.ticket_refused) {
    const PlainSession session = open_and_judge(ssl, std::as_bytes(std::span(in, size)));
    if (!session.octets().empty() && session.octets().size() <= room) {
      std::ranges::copy(session.octets(), std::as_writable_bytes(std::span(out, room)).begin());
      *out_size = session.octets().size();
      return ssl_ticket_aead_success;
    }
    extra.ticket_refused = true;
  }
  return extra.full_permitted ? ssl_ticket_aead_ignore_ticket : ssl_ticket_aead_retry;
}

constexpr SSL_TICKET_AEAD_METHOD kTicketMethod{
    .max_overhead = max_overhead,
    .seal = callable_from_c<seal, 0>,
    .open = callable_from_c<open, ssl_ticket_aead_error>,
};

}  // namespace

// The lifetime of sessions is set already; TLS 1.3 has another one in AWS-LC.
void use_tickets(SSL_CTX* context) {
  SSL_CTX_set_session_psk_dhe_timeout(context, static_cast<std::uint32_t>(SSL_CTX_get_timeout(context)));
  SSL_CTX_set_ticket_aead_method(context, &kTicketMethod);
}

bool set_ticket_count(SSL_CTX* context, std::size_t count) {
  return SSL_CTX_set_num_tickets(context, count) == 1;
}

// AWS-LC sends none to such a client.
void send_no_tickets(SSL*) {}

// AWS-LC reads one record at a time. So of all connections of TLS 1.3 whose records Headgate would protect,
// none stays with AWS-LC, and none lacks its tickets.
void write_tickets(SSL*, std::size_t) {}

std::vector<std::byte> encode_session(SSL_SESSION* session, Octets key, Octets app_data) {
  return openssl_session(encoding_of(session).octets(), key, app_data);
}

}  // namespace headgate
