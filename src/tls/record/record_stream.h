#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/cell_pool.h"
#include "net/buffers.h"
#include "net/fd.h"
#include "net/stream.h"
#include "net/unsent.h"
#include "tls/record/partial_record.h"
#include "tls/record/record_layer.h"
#include "tls/record/record_sizing.h"

namespace headgate {

/// The state of a TLS 1.3 connection between two calls: a RecordStream begins with it, and gives it to the
/// next process.
struct RecordStreamState {
  Fd socket;
  TlsRole role = TlsRole::kServer;
  DirectionState sending;  ///< A server's starts behind its session tickets: they are records too.
  DirectionState receiving;
  std::vector<std::byte> received;  ///< Ciphertext that was read from the socket and not opened yet.
  std::vector<std::byte>
      unsent;               ///< Ciphertext that leaves before anything else, with the first write or flush().
  bool holds_back = false;  ///< `unsent` is session tickets, for which nobody waits.
  bool drained = false;     ///< The socket was empty just now, so the first read() need not try it.
};

/// A stream whose TLS 1.3 records Headgate protects itself; the handshake is over.
///
/// Ciphertext is received into the worker's buffer and opened straight into the caller's; what is written is
/// sealed into the worker's buffer and leaves in one send. The connection owns bytes only while a record has
/// arrived in part, or while its peer is slow. An idle connection is this object and nothing else.
///
/// What it promises in addition to Stream: - The order of things is kept: bytes are delivered first, then the
/// end or the failure that came behind them, by the
///    next read(); has_buffered() is true until then, and `drained` false.
///  - FIN without close_notify is kEnded with ended_without_notice(), between two records; inside one it is
///  kFailed,
///    kTruncated.
///  - A KeyUpdate that asks for ours is answered by read(), or in front of the next write if bytes are still
///  unsent. So
///    read() may leave unsent_bytes() behind it; write() then queues behind them.
///  - A peer that sends KeyUpdates beyond its MessageBudget is kFailed, kFlood.
///  - A failure of the peer's doing is told to it with an alert, as far as the socket takes it.
class RecordStream final : public Stream, public Pooled<RecordStream> {
 public:
  /// `buffers` and `contexts` are the worker's and must outlive it; contexts.supports() must be true for both
  /// suites.
  RecordStream(RecordStreamState state, Buffers& buffers, AeadContexts& contexts);

  [[nodiscard]] int descriptor() const override { return fd_.number(); }
  [[nodiscard]] bool is_tls() const override { return true; }
  IoStatus handshake() override { return IoStatus::kDone; }
  ReadResult read(std::span<std::byte> into) override;
  [[nodiscard]] bool has_buffered() const override;
  IoStatus write(std::span<const std::byte> bytes) override;
  IoStatus flush() override;
  [[nodiscard]] std::size_t unsent_bytes() const override { return holds_back_ ? 0 : unsent_.size_bytes(); }
  [[nodiscard]] bool holds_back() const override { return holds_back_; }
  /// Seals post-handshake messages (RFC 8446, section 4.6) to travel with the first answer, or with flush().
  /// For a stream that has sent nothing yet.
  void hold_back(std::span<const std::byte> messages);
  IoStatus end_writing() override;
  IoStatus end_before_close() override;
  IoStatus end_cut_short() override;
  IoStatus end_with_alert(std::uint8_t alert) override;
  void reset_on_close() override;
  [[nodiscard]] const StreamFailure& failure() const override;
  [[nodiscard]] bool ended_without_notice() const override { return incoming_ == Incoming::kCutShort; }

  /// Whether take_state() loses nothing: both directions are open, and no handshake message is half read.
  [[nodiscard]] bool is_movable() const;
  /// A copy of the state without the socket, with which another process goes on. This stream must not be used
  /// after that. Call only while is_movable().
  [[nodiscard]] RecordStreamState state() const;
  /// Gives the connection up, descriptor and unsent bytes included. The stream may only be destroyed then.
  /// Call only while is_movable().
  [[nodiscard]] RecordStreamState take_state();

 private:
  enum class Incoming : std::uint8_t { kOpen, kEnded, kCutShort, kFailed };
  enum class Outgoing : std::uint8_t { kOpen, kClosing, kEnded, kFailed };

  [[nodiscard]] bool take_drained();
  ReadResult read_records(std::span<std::byte> into, std::uint16_t& key_updates);
  ReadResult receive(std::span<std::byte> into, std::uint16_t& key_updates);
  RecordOpener::Opened open_kept(std::span<std::byte> into);
  RecordOpener::Opened open_received(std::span<const std::byte> received, std::span<std::byte> into);
  std::span<const std::byte> complete_partial(std::span<const std::byte> received);
  std::size_t settle(const RecordOpener::Opened& opened, std::uint16_t& key_updates);
  void end_of_transport(const SocketIo& got);
  void end_reading(Incoming how);
  IoStatus answer_key_update();
  void send_fatal_alert(Alert alert);
  IoStatus send_sealed(std::size_t size_bytes, Then then = Then::kMore);
  IoStatus send_last(Alert alert);
  IoStatus send_last_and_end(Alert alert);
  IoStatus outcome(const SocketIo& io);
  void fail(StreamFailure failure);

  Fd fd_;
  RecordSizing sizing_;
  Incoming incoming_ = Incoming::kOpen;
  Outgoing outgoing_ = Outgoing::kOpen;
  bool owes_key_update_ : 1 = false;
  bool holds_back_ : 1;
  bool end_told_ : 1 = false;  // by a read(), after the bytes in front of it
  bool drained_ : 1;           // the socket was empty before the first read()
  Buffers& buffers_;
  RecordProtector protector_;
  RecordOpener opener_;
  PartialRecord partial_;
  Unsent unsent_;
  std::unique_ptr<StreamFailure> failure_;
};

static_assert(CellPool::cells_per_page(sizeof(RecordStream)) >= 13,
              "an idle TLS 1.3 connection is this object");

}  // namespace headgate
