#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/record_protection.h"
#include "net/stream.h"
#include "tls/handshake/socket_bio.h"
#include "tls/handshake/ssl_extra_data.h"
#include "tls/library/openssl_types.h"
#include "tls/library/private_key_operation.h"
#include "tls/library/secret_capture.h"
#include "tls/library/tls_status.h"
#include "tls/record/aead_contexts.h"
#include "tls/record/record_stream.h"

namespace headgate {

/// A stream on OpenSSL's record layer. It performs every handshake, and the relay wherever Headgate does not
/// protect the records itself.
///
/// It owns the SSL object, through the BIO the descriptor, and a reference to the context that OpenSSL calls
/// back into. Loop thread only. It may be destroyed while a private-key operation is under way: the operation
/// owns the objects that it uses.
class TlsStream final : public Stream {
 public:
  /// The parts from which a stream is made. `ssl` is fresh and has its role set (accept or connect state).
  struct Parts {
    SslPtr ssl;
    BioPtr bio;  ///< Of SocketBio::make_bio().
    std::unique_ptr<SslExtraData> extra;
    std::shared_ptr<const void> context;     ///< The ServerContext or ClientContext that made `ssl`.
    std::unique_ptr<SecretCapture> secrets;  ///< nullptr: the records stay with OpenSSL.
  };
  /// `received` comes first, before what `fd` has.
  TlsStream(Parts parts, Fd fd, Buffers& buffers, std::vector<std::byte> received = {});
  ~TlsStream() override;

  [[nodiscard]] int descriptor() const override { return bio_.descriptor(); }
  [[nodiscard]] bool is_tls() const override { return true; }
  IoStatus handshake() override;
  ReadResult read(std::span<std::byte> into) override;
  [[nodiscard]] bool has_buffered() const override;
  IoStatus write(std::span<const std::byte> bytes) override;
  IoStatus flush() override;
  [[nodiscard]] std::size_t unsent_bytes() const override { return holds_back_ ? 0 : bio_.unsent_bytes(); }
  [[nodiscard]] bool holds_back() const override { return holds_back_; }
  IoStatus end_writing() override;
  IoStatus end_before_close() override { return send_close_notify(); }
  IoStatus end_cut_short() override;
  /// The alert is the library's where that has no call for one: see tls/library/fatal_alert.h.
  IoStatus end_with_alert(std::uint8_t alert) override;
  void reset_on_close() override;
  [[nodiscard]] const StreamFailure& failure() const override { return failure_; }
  [[nodiscard]] bool ended_without_notice() const override { return truncated_; }

  /// The library's error code of the last failure, which tells handshake failures apart.
  [[nodiscard]] ErrorCode error_code() const { return error_code_; }
  [[nodiscard]] SSL* ssl() const { return ssl_.get(); }

  /// After handshake() returned kPaused: the operation that the handshake waits for, to be performed on
  /// another thread before handshake() is called again. nullptr: the handshake waits for full_permitted.
  [[nodiscard]] const std::shared_ptr<PrivateKeyOperation>& operation() const { return operation_; }

  /// The data that OpenSSL's callbacks wrote in the handshake.
  [[nodiscard]] SslExtraData& extra() { return *extra_; }
  [[nodiscard]] const SslExtraData& extra() const { return *extra_; }

  /// Why the records stay with OpenSSL, or kDefault where they need not. Call after handshake() returned
  /// kDone.
  [[nodiscard]] ProtectionReason protection_reason(const AeadContexts& contexts) const;
  /// Gives socket, secrets and unread bytes to a stream that protects the records itself. Only after
  /// protection_reason() returned kDefault; this stream is dead afterwards. For the server's side of a
  /// handshake.
  [[nodiscard]] RecordStreamState hand_over();
  /// The resumption_master_secret, once protection_reason() returned kDefault, until the stream dies.
  [[nodiscard]] Octets resumption_secret() const { return secrets_->resumption.bytes(); }
  /// Makes OpenSSL write `count` session tickets, which it did not write before: for a TLS 1.3 connection
  /// that is not handed over. As with the tickets of a handshake, the connection does not wait for them.
  void send_tickets(std::size_t count);

 private:
  int do_handshake();
  void abandon_operation();
  ReadResult read_records(std::span<std::byte> into);
  IoStatus answer(int returned);
  IoStatus settled(IoStatus status, Then then = Then::kMore);
  IoStatus send_close_notify();

  std::shared_ptr<const void> context_;  // first: OpenSSL calls back into it while the SSL lives
  SocketBio bio_;                        // before ssl_: the SSL uses both while it lives
  std::unique_ptr<SslExtraData> extra_;
  SslPtr ssl_;
  std::unique_ptr<SecretCapture> secrets_;  // until the handshake is over
  std::shared_ptr<PrivateKeyOperation> operation_;
  StreamFailure failure_;
  ErrorCode error_code_ = 0;
  bool holds_back_ = false;
  bool handshake_done_ = false;
  bool truncated_ = false;
  bool ended_writing_ = false;
  bool read_failed_ = false;  // how, failure_ says
  bool end_untold_ = false;   // the end or the failure that came behind the bytes of the last read()
};

}  // namespace headgate
