#include "tls/handshake/tls_stream.h"

#include <array>
#include <string_view>
#include <utility>

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "tls/library/fatal_alert.h"
#include "tls/library/handshake_facts.h"
#include "tls/library/key_use.h"
#include "tls/library/offloading_keys.h"
#include "tls/library/tickets.h"

namespace headgate {
namespace {

/// A flight of an honest peer fits in one receive, and a longer one goes on in the next turn of the loop.
constexpr int kReceivesOfHandshake = 1;

TlsAnswer cut_in_a_record() {
  return {.status = IoStatus::kFailed,
          .failure = {FailureKind::kTruncated, -1, "the connection ended in the middle of a TLS record"}};
}

}  // namespace

TlsStream::TlsStream(Parts parts, Fd fd, Buffers& buffers, std::vector<std::byte> received)
    : context_(std::move(parts.context)),
      bio_(std::move(fd), buffers, std::move(received)),
      extra_(std::move(parts.extra)),
      ssl_(std::move(parts.ssl)),
      secrets_(std::move(parts.secrets)) {
  extra_->bio = &bio_;
  bio_.attach(parts.bio.get());
  BIO_up_ref(parts.bio.get());
  SSL_set0_wbio(ssl_.get(), parts.bio.get());
  SSL_set0_rbio(ssl_.get(), parts.bio.release());
}

TlsStream::~TlsStream() {
  abandon_operation();
}

// OpenSSL keeps a paused handshake on a stack of its own, which it would never free: so the destructor runs
// the handshake to its end, where the handshake finds that it has no signature.
void TlsStream::abandon_operation() {
  if (operation_ == nullptr) return;
  forget_earlier_errors();
  bio_.open();
  while (operation_ != nullptr) do_handshake();
  bio_.discard();
  forget_earlier_errors();
}

IoStatus TlsStream::handshake() {
  if (operation_ != nullptr && !operation_->is_finished())
    return flush() == IoStatus::kFailed ? IoStatus::kFailed : IoStatus::kPaused;
  forget_earlier_errors();
  bio_.open(kReceivesOfHandshake);
  const IoStatus status = answer(do_handshake());
  if (status != IoStatus::kDone) return settled(status);
  handshake_done_ = true;
  end_offloading(ssl_.get());
  // A peer waits for the Finished that a client, or a TLS 1.2 server, writes last.
  if (SSL_is_server(ssl_.get()) == 0 || SSL_version(ssl_.get()) != TLS1_3_VERSION) return settled(status);
  // The tickets need not wake the client by themselves: they leave with the first answer, or with flush().
  bio_.settle_holding_output();
  holds_back_ = bio_.unsent_bytes() > 0;
  return IoStatus::kDone;
}

int TlsStream::do_handshake() {
  operation_.reset();
  const CapturingSecrets capturing(ssl_.get(), secrets_.get());
  const OffloadingKeys offloading(&operation_);
  return SSL_do_handshake(ssl_.get());
}

ReadResult TlsStream::read(std::span<std::byte> into) {
  ReadResult result = read_records(into);
  result.key_updates = std::exchange(extra_->key_updates, std::uint16_t{0});
  extra_->budget.earn(result.size_bytes);
  return result;
}

ReadResult TlsStream::read_records(std::span<std::byte> into) {
  end_untold_ = false;
  if (read_failed_) return {IoStatus::kFailed};
  forget_earlier_errors();
  bio_.open();
  std::size_t total = 0;
  IoStatus status = IoStatus::kDone;
  while (total < into.size()) {
    std::size_t size = 0;
    status = answer(SSL_read_ex(ssl_.get(), into.data() + total, into.size() - total, &size));
    if (status != IoStatus::kDone) break;
    total += size;
  }
  // OpenSSL answers a KeyUpdate even behind our close_notify, where the socket takes nothing any more.
  if (ended_writing_) bio_.drop_written();
  // Only a read that asks for more bytes waits for the socket; an end that came with the bytes can be read
  // now.
  const bool drained = status == IoStatus::kWantRead && bio_.drained() && !bio_.has_kept();
  read_failed_ = status == IoStatus::kFailed;  // OpenSSL tells a failure once
  if (total == 0) return {settled(status), 0, drained};
  // Bytes go first: the next call tells how the stream ended or broke, by reading or by what it had to send.
  const bool broken = settled(IoStatus::kDone) == IoStatus::kFailed;
  end_untold_ = read_failed_ || broken || status == IoStatus::kEnded;
  return {IoStatus::kDone, total, drained && !broken};
}

bool TlsStream::has_buffered() const {
  return end_untold_ || bio_.has_kept() || SSL_has_pending(ssl_.get()) == 1;
}

IoStatus TlsStream::write(std::span<const std::byte> bytes) {
  forget_earlier_errors();
  bio_.open();
  std::size_t written = 0;
  extra_->budget.earn(bytes.size());
  return settled(answer(SSL_write_ex(ssl_.get(), bytes.data(), bytes.size(), &written)));
}

IoStatus TlsStream::flush() {
  bio_.open();
  return settled(IoStatus::kDone);
}

IoStatus TlsStream::end_writing() {
  const IoStatus status = send_close_notify();
  if (status == IoStatus::kDone) send_end(bio_.descriptor());
  return status;
}

IoStatus TlsStream::send_close_notify() {
  bio_.open();
  if (!std::exchange(ended_writing_, true) && handshake_done_) {
    forget_earlier_errors();
    // A FIN without the close_notify would look as if bytes were missing.
    if (const int sent = SSL_shutdown(ssl_.get()); sent < 0) return settled(answer(sent));
  }
  return settled(IoStatus::kDone, Then::kEnd);
}

IoStatus TlsStream::end_cut_short() {
  ended_writing_ = true;
  bio_.open();
  if (settled(IoStatus::kDone, Then::kEnd) == IoStatus::kWantWrite) return IoStatus::kWantWrite;
  send_end(bio_.descriptor());
  return IoStatus::kDone;
}

IoStatus TlsStream::end_with_alert(std::uint8_t alert) {
  bio_.open();
  if (!std::exchange(ended_writing_, true) && handshake_done_) {
    forget_earlier_errors();
    write_fatal_alert(ssl_.get(), alert);
    forget_earlier_errors();
  }
  const IoStatus status = settled(IoStatus::kDone, Then::kEnd);
  if (status == IoStatus::kDone) send_end(bio_.descriptor());
  return status;
}

void TlsStream::reset_on_close() {
  set_reset_on_close(bio_.descriptor());
}

IoStatus TlsStream::answer(int returned) {
  TlsAnswer answer = tls_answer(ssl_.get(), returned, bio_.io_error());
  if (answer.status == IoStatus::kEnded) {
    truncated_ = extra_->alert_received != SSL_AD_CLOSE_NOTIFY;
    if (truncated_ && handshake_done_ && is_inside_record(ssl_.get())) answer = cut_in_a_record();
  }
  if (answer.status != IoStatus::kFailed) return answer.status;
  failure_ = std::move(answer.failure);
  error_code_ = answer.error_code;
  if (failure_.alert < 0) failure_.alert = extra_->alert_sent;
  if (!handshake_done_ && !extra_->refusal_detail.empty()) failure_.what = extra_->refusal_detail;
  if (extra_->flood != nullptr) {
    failure_.kind = FailureKind::kFlood;
    failure_.what = extra_->flood;
  }
  return IoStatus::kFailed;
}

// Sends the bytes that the call wrote, alerts included; a socket that fails here matters only if the call
// itself did not fail.
IoStatus TlsStream::settled(IoStatus status, Then then) {
  holds_back_ = false;
  const IoStatus sent = bio_.settle(then);
  if (sent == IoStatus::kFailed && status != IoStatus::kFailed && status != IoStatus::kEnded) {
    failure_ = failure_of_errno("send", bio_.io_error());
    return IoStatus::kFailed;
  }
  if (status == IoStatus::kDone && sent == IoStatus::kWantWrite) return IoStatus::kWantWrite;
  return status;
}

ProtectionReason TlsStream::protection_reason(const AeadContexts& contexts) const {
  if (!secrets_) return ProtectionReason::kConfigured;
  if (SSL_version(ssl_.get()) != TLS1_3_VERSION) return ProtectionReason::kTls12;
  const auto suite = find_record_suite(SSL_CIPHER_get_protocol_id(SSL_get_current_cipher(ssl_.get())));
  if (!suite || !contexts.supports(*suite)) return ProtectionReason::kUnsupportedCipher;
  if (!secrets_->complete())
    return ProtectionReason::kConfigured;  // OpenSSL's own key schedule is in use: FIPS
  if (has_short_records(ssl_.get())) return ProtectionReason::kMaxFragmentLength;
  // OpenSSL does not give bytes back: the bytes behind the Finished must still be in the SocketBio.
  return SSL_has_pending(ssl_.get()) == 0 ? ProtectionReason::kDefault : ProtectionReason::kBufferedInput;
}

void TlsStream::send_tickets(std::size_t count) {
  if (count == 0) return;
  forget_earlier_errors();
  bio_.open();
  write_tickets(ssl_.get(), count);
  SSL_do_handshake(ssl_.get());
  forget_earlier_errors();
  bio_.settle_holding_output();
  holds_back_ = bio_.unsent_bytes() > 0;
}

RecordStreamState TlsStream::hand_over() {
  const RecordSuite suite =
      *find_record_suite(SSL_CIPHER_get_protocol_id(SSL_get_current_cipher(ssl_.get())));
  RecordStreamState state;
  state.socket = bio_.release();
  state.role = TlsRole::kServer;
  // If the last call wrote session tickets, these were records under the application keys.
  state.sending = {
      .suite = suite, .secret = std::move(secrets_->server), .sequence_number = bio_.records_written()};
  state.receiving = {.suite = suite, .secret = std::move(secrets_->client), .sequence_number = 0};
  state.drained = bio_.drained();
  state.received = bio_.take_kept();
  state.unsent = bio_.take_unsent();
  state.holds_back = holds_back_;
  return state;
}

}  // namespace headgate
