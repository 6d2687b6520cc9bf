#include "tls/handshake/server_handshake.h"

#include <algorithm>
#include <cstdint>
#include <utility>

#include "base/check.h"
#include "tls/handshake/handshake_failure.h"
#include "tls/handshake/tls_stream.h"
#include "tls/library/early_data.h"
#include "tls/library/tickets.h"
#include "tls/record/record_stream.h"

namespace headgate {
namespace {

/// A resumed session has it from the ticket.
std::string certificate_of_peer(SSL* ssl) {
  X509* peer = SSL_SESSION_get0_peer(SSL_get_session(ssl));
  if (peer == nullptr) return {};
  const EncodedOctets der = encoded<i2d_X509>(peer);
  return {reinterpret_cast<const char*>(der.memory.get()), der.size};
}

/// The handshake by OpenSSL.
class OpensslHandshake final : public ServerHandshake {
 public:
  OpensslHandshake(HandshakeStart start, HandshakeWork work, Fd socket, Buffers& buffers, AeadContexts& aead)
      : context_(std::move(start.context)),
        certificate_(*start.certificate),
        buffers_(buffers),
        aead_(aead),
        work_(work),
        tickets_(static_cast<std::uint16_t>(std::min<std::size_t>(start.tickets, UINT16_MAX))),
        sends_early_data_(start.sends_early_data),
        takes_tickets_(start.takes_tickets),
        offers_session_(!start.ticket.empty()),
        keeps_certificate_(start.keeps_client_certificate),
        socket_(std::move(socket)),
        received_(std::move(start.received)) {}

  Answer step() override;
  Answer flush() override;
  [[nodiscard]] bool has_unsent() const override { return stream_ && stream_->unsent_bytes() > 0; }
  void permit() override;
  [[nodiscard]] HandshakeCost cost() const override {
    return {.work = work_,
            .key = certificate_.key_type(),
            .key_bits = static_cast<std::uint16_t>(certificate_.key_bits()),
            .offloaded = context_->offloads(certificate_) && (work_ == HandshakeWork::kFull || decrypts()),
            .tickets = stream_ ? std::uint16_t{0} : tickets_};
  }
  [[nodiscard]] int descriptor() const override { return stream_ ? stream_->descriptor() : socket_.number(); }

 private:
  [[nodiscard]] Wait wait(bool read) const { return {.read = read, .write = has_unsent()}; }
  [[nodiscard]] Result<void> begin();
  [[nodiscard]] Answer paused();
  void look_ahead();
  [[nodiscard]] bool decrypts() const;
  [[nodiscard]] Answer accepted();
  [[nodiscard]] Answer refused();

  std::shared_ptr<ServerContext> context_;
  const StoredCertificate& certificate_;  // the context's store holds it
  Buffers& buffers_;
  AeadContexts& aead_;
  HandshakeWork work_;
  std::uint16_t tickets_;
  bool sends_early_data_;
  bool takes_tickets_;
  bool offers_session_;
  bool keeps_certificate_;
  bool needs_permit_ = true;           // for the next step
  Fd socket_;                          // until stream_ has it
  std::vector<std::byte> received_;    // likewise
  std::unique_ptr<TlsStream> stream_;  // made when the first step has been permitted
};

ServerHandshake::Answer OpensslHandshake::step() {
  if (needs_permit_) {
    // The client cannot answer what it has not got; nothing is to be paid for yet.
    if (has_unsent()) return flush();
    return NeedsPermit{};
  }
  if (!stream_) {
    if (auto begun = begin(); !begun) return Failed{std::move(begun.error().what)};
  }
  const IoStatus status = stream_->handshake();
  stream_->extra().full_permitted = false;  // used up, or lost
  switch (status) {
    case IoStatus::kDone:
      return accepted();
    case IoStatus::kWantRead:
      look_ahead();
      return wait(true);
    case IoStatus::kWantWrite:
      return wait(false);
    case IoStatus::kPaused:
      return paused();
    case IoStatus::kEnded:
    case IoStatus::kFailed:
      break;
  }
  return refused();
}

ServerHandshake::Answer OpensslHandshake::flush() {
  if (stream_->flush() == IoStatus::kFailed) return refused();
  return wait(stream_->operation() == nullptr);
}

void OpensslHandshake::permit() {
  needs_permit_ = false;
  if (stream_) stream_->extra().full_permitted = work_ == HandshakeWork::kFull;
}

Result<void> OpensslHandshake::begin() {
  auto extra = std::make_unique<SslExtraData>();
  extra->full_permitted = work_ == HandshakeWork::kFull;
  auto ssl = context_->new_ssl(certificate_, *extra);
  if (!ssl) return tl::unexpected(std::move(ssl.error()));
  if (!takes_tickets_) send_no_tickets(ssl->get());
  auto bio = SocketBio::make_bio();
  if (!bio) return tl::unexpected(std::move(bio.error()));
  TlsStream::Parts parts{.ssl = *std::move(ssl),
                         .bio = *std::move(bio),
                         .extra = std::move(extra),
                         .context = context_,
                         .secrets = nullptr};
  if (context_->takes_records_over()) parts.secrets = std::make_unique<SecretCapture>();
  stream_ = std::make_unique<TlsStream>(std::move(parts), std::move(socket_), buffers_, std::move(received_));
  if (sends_early_data_) skip_early_data_after_retry(stream_->ssl());
  return {};
}

ServerHandshake::Answer OpensslHandshake::paused() {
  if (stream_->operation() != nullptr) return Offload{stream_->operation()};
  // The session may not be resumed, or another hello needs a whole handshake.
  work_ = HandshakeWork::kFull;
  needs_permit_ = true;
  return NeedsPermit{};
}

// What the client's next flight will cost: behind a HelloRetryRequest it is a hello that wants keys and a
// signature. A permit is asked for whenever bytes have come, and again if they were not all of the flight: a
// permit that could be kept would let many clients have their flights computed at one moment.
void OpensslHandshake::look_ahead() {
  const SslExtraData& extra = stream_->extra();
  SSL* ssl = stream_->ssl();
  const bool tls13 = SSL_version(ssl) == TLS1_3_VERSION;
  if (extra.server_hellos == 0 || SSL_session_reused(ssl) == 1) return;
  const bool retried = tls13 && !extra.finished_sent;
  work_ = retried ? HandshakeWork::kFull : HandshakeWork::kFinish;
  needs_permit_ = retried || context_->rules().ask() || !tls13;
}

// RSA key exchange: the client's secret is decrypted with our key. RFC 5246, section 7.4.7.1.
bool OpensslHandshake::decrypts() const {
  const SSL_CIPHER* cipher = stream_ ? SSL_get_pending_cipher(stream_->ssl()) : nullptr;
  return cipher != nullptr && SSL_CIPHER_get_kx_nid(cipher) == NID_kx_rsa;
}

// Tickets come first, because they are bound to the peer that was verified.
ServerHandshake::Answer OpensslHandshake::accepted() {
  TlsStream& tls = *stream_;
  if (sends_early_data_) end_skipping_early_data(tls.ssl());
  Accepted accepted;
  accepted.negotiated = negotiated_info(tls.ssl(), certificate_);
  accepted.key_type = key_type_word(certificate_);
  accepted.key_algorithm = key_algorithm_text(certificate_);
  accepted.retried = tls.extra().server_hellos > 1;
  accepted.reason = tls.protection_reason(aead_);
  const bool ours = accepted.reason == ProtectionReason::kDefault;
  accepted.protection = ours ? Protection::kHeadgate : Protection::kOpenssl;
  std::vector<std::byte> tickets;
  if (takes_tickets_ && ours) tickets = context_->issue_tickets(tls.ssl(), tls.resumption_secret());
  if (takes_tickets_ && !ours) tls.send_tickets(context_->tickets_due(tls.ssl()));
  context_->count_use(tls.ssl(), offers_session_);
  accepted.peer = peer_identity(tls.ssl(), tls.extra());
  accepted.would_refuse = {
      .allowed = false, .why = tls.extra().refusal, .detail = tls.extra().refusal_detail};
  if (keeps_certificate_ && accepted.peer) accepted.peer->certificate_der = certificate_of_peer(tls.ssl());
  if (ours) {
    auto records = std::make_unique<RecordStream>(tls.hand_over(), buffers_, aead_);
    records->hold_back(tickets);
    accepted.stream = std::move(records);
  } else {
    accepted.stream = std::move(stream_);
  }
  return accepted;
}

ServerHandshake::Answer OpensslHandshake::refused() {
  const SslExtraData& extra = stream_->extra();
  const StreamFailure& failure = stream_->failure();
  Refused refused;
  refused.kind = failure.kind == FailureKind::kNone ? FailureKind::kTruncated : failure.kind;
  refused.alert = failure.alert;
  refused.failure = extra.refusal != HandshakeFailure::kNone
                        ? extra.refusal
                        : failure_at_server(stream_->ssl(), stream_->error_code());
  refused.detail = extra.refusal_detail.empty() ? failure.what : extra.refusal_detail;
  refused.stream = std::move(stream_);
  return refused;
}

}  // namespace

std::unique_ptr<ServerHandshake> begin_server_handshake(HandshakeStart start, Fd socket, Buffers& buffers,
                                                        AeadContexts& aead) {
  const bool ours = start.context->is_authentic_ticket(start.ticket, std::chrono::system_clock::now());
  const HandshakeWork work = ours ? HandshakeWork::kResume : HandshakeWork::kFull;
  return std::make_unique<OpensslHandshake>(std::move(start), work, std::move(socket), buffers, aead);
}

}  // namespace headgate
