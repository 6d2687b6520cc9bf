#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "metrics/worker_metrics.h"
#include "net/stream.h"
#include "tls/handshake/socket_bio.h"
#include "tls/handshake/ssl_extra_data.h"
#include "tls/openssl/key_schedule.h"
#include "tls/openssl/openssl_types.h"
#include "tls/openssl/tls_status.h"
#include "tls/record/aead_contexts.h"
#include "tls/record/record_stream.h"

namespace headgate {

/// Whether the connection's records may be taken over from OpenSSL when the handshake is done.
enum class TakeOver : std::uint8_t { kNo, kWhenPossible };

/// A stream on OpenSSL's record layer: every handshake, and the relay wherever the records are not Headgate's
/// own.
///
/// Owns the SSL object and, through the wire, the descriptor. Loop thread only, but for handshake() while
/// detached.
class TlsStream final : public Stream {
 public:
  /// `ssl` is fresh and has its role set (accept or connect state). `received` comes first, before the
  /// socket.
  TlsStream(SslPtr ssl, std::unique_ptr<SslExtraData> extra, Fd fd, Buffers& buffers, TakeOver take_over,
            std::vector<std::byte> received = {});
  ~TlsStream() override;

  [[nodiscard]] int descriptor() const override { return bio_.descriptor(); }
  IoStatus handshake() override;
  ReadResult read(std::span<std::byte> into) override;
  [[nodiscard]] bool has_buffered() const override;
  IoStatus write(std::span<const std::byte> bytes) override;
  IoStatus flush() override;
  [[nodiscard]] std::size_t unsent_bytes() const override { return holds_back_ ? 0 : bio_.unsent_bytes(); }
  [[nodiscard]] bool holds_back() const override { return holds_back_; }
  IoStatus end_writing() override;
  IoStatus end_before_close() override { return send_close_notify(); }
  void reset_on_close() override;
  [[nodiscard]] const StreamFailure& failure() const override { return failure_; }
  [[nodiscard]] bool ended_without_notice() const override { return truncated_; }

  /// The library's error code of the last failure, for telling handshake failures apart.
  [[nodiscard]] unsigned long error_code() const { return error_code_; }
  [[nodiscard]] SSL* ssl() const { return ssl_.get(); }

  /// Between these two, handshake() uses neither the worker's buffers nor the socket, and another thread may
  /// call it.
  void detach() { bio_.detach(); }
  void attach() { bio_.attach(); }

  /// What OpenSSL's callbacks learned in the handshake.
  [[nodiscard]] SslExtraData& extra() { return *extra_; }
  [[nodiscard]] const SslExtraData& extra() const { return *extra_; }

  /// Why the records stay with OpenSSL, or that they need not. After handshake() said kDone.
  [[nodiscard]] LayerReason can_hand_over(const AeadContexts& contexts) const;
  /// Gives everything to a stream that protects the records itself. Only after can_hand_over() said kDefault;
  /// this stream is dead then. For the server's side of a handshake.
  [[nodiscard]] RecordStreamState hand_over();
  /// resumption_master_secret, once can_hand_over() said kDefault. Until the stream dies.
  [[nodiscard]] Octets resumption_secret() const { return secrets_->resumption.bytes(); }
  /// Has OpenSSL write `count` session tickets, which it was kept from until now: for a TLS 1.3 connection
  /// that is not handed over. As with those of a handshake, nobody waits for them.
  void send_tickets(std::size_t count);

 private:
  int do_handshake();
  IoStatus answer(int returned);
  IoStatus settled(IoStatus status, Then then = Then::kMore);
  IoStatus send_close_notify();

  SocketBio bio_;  // before ssl_: the SSL uses both while it lives
  std::unique_ptr<SslExtraData> extra_;
  SslPtr ssl_;
  std::unique_ptr<SecretCapture> secrets_;  // until the handshake is over
  StreamFailure failure_;
  unsigned long error_code_ = 0;
  bool holds_back_ = false;
  bool handshake_done_ = false;
  bool truncated_ = false;
  bool ended_writing_ = false;
};

}  // namespace headgate
