#pragma once

#include "base/cell_pool.h"
#include "net/fd.h"
#include "net/stream.h"
#include "net/unsent.h"

namespace headgate {

/// A stream without TLS: what is read and written is what is on the wire.
class PlainStream final : public Stream, public Pooled<PlainStream> {
 public:
  /// `received` was read from the descriptor before; read() returns it first. `unsent` is sent before
  /// anything else.
  explicit PlainStream(Fd fd, std::vector<std::byte> received = {}, std::vector<std::byte> unsent = {});
  /// A stream to a server. handshake() says when the connection is established.
  explicit PlainStream(Connecting connecting);

  [[nodiscard]] int descriptor() const override { return fd_.number(); }
  [[nodiscard]] Fd release_descriptor() override { return std::move(fd_); }
  /// Waits for a connect that is in progress: kWantWrite until it has succeeded or failed.
  IoStatus handshake() override;
  ReadResult read(std::span<std::byte> into) override;
  [[nodiscard]] bool has_buffered() const override { return received_ != nullptr; }
  IoStatus write(std::span<const std::byte> bytes) override;
  IoStatus flush() override;
  [[nodiscard]] std::size_t unsent_bytes() const override { return unsent_.size_bytes(); }
  IoStatus end_writing() override;
  IoStatus end_before_close() override { return flush(); }
  void reset_on_close() override;
  [[nodiscard]] const StreamFailure& failure() const override { return failure_ ? *failure_ : no_failure(); }

  /// Bytes that were received and not read, and those that were written and not sent.
  [[nodiscard]] std::span<const std::byte> received() const {
    return received_ ? std::span<const std::byte>(*received_) : std::span<const std::byte>();
  }
  [[nodiscard]] std::span<const std::byte> unsent() const { return unsent_.bytes(); }

 private:
  IoStatus outcome(const SocketIo& io, const char* doing);

  Fd fd_;
  bool connecting_ = false;
  bool ended_writing_ = false;
  std::unique_ptr<std::vector<std::byte>> received_;  // null while it is empty
  Unsent unsent_;
  std::unique_ptr<StreamFailure> failure_;
};

static_assert(sizeof(PlainStream) <= 40, "each idle connection has one");

}  // namespace headgate
