#pragma once

#include <optional>

#include "base/cell_pool.h"
#include "net/fd.h"
#include "net/stream.h"
#include "net/unsent.h"

namespace headgate {

/// What a splice did: to its source as read() answers, to its destination as write() answers.
struct Spliced {
  ReadResult read;
  IoStatus written = IoStatus::kDone;
};

/// A stream without TLS: what is read and written is what is on the wire.
class PlainStream final : public Stream, public Pooled<PlainStream> {
 public:
  /// `received` was read from the descriptor before; read() returns it first. `unsent` is sent before
  /// anything else.
  explicit PlainStream(Fd fd, std::vector<std::byte> received = {}, std::vector<std::byte> unsent = {});
  /// A stream to a server. handshake() says when the connection is established.
  explicit PlainStream(Connecting connecting);

  [[nodiscard]] int descriptor() const override { return fd_.number(); }
  [[nodiscard]] PlainStream* plain() override { return this; }
  [[nodiscard]] Fd release_descriptor() override { return std::move(fd_); }
  /// Waits for a connect that is in progress: kWantWrite until it has succeeded or failed.
  IoStatus handshake() override;
  ReadResult read(std::span<std::byte> into) override;
  [[nodiscard]] bool has_buffered() const override { return received_ != nullptr; }
  IoStatus write(std::span<const std::byte> bytes) override;
  /// Moves what has arrived at `from` to this stream, inside the kernel and once: instead of a read() there
  /// and a write() here, under the conditions of both. Must not be called while `from` has_buffered().
  /// Nothing, and nothing has been moved: there is no pipe, or the kernel cannot splice such sockets.
  [[nodiscard]] std::optional<Spliced> splice_from(PlainStream& from, PipePool& pipes);
  IoStatus flush() override;
  [[nodiscard]] std::size_t unsent_bytes() const override { return unsent_.size_bytes(); }
  IoStatus end_writing() override;
  IoStatus end_before_close() override { return flush(); }
  void reset_on_close() override;
  [[nodiscard]] const StreamFailure& failure() const override { return failure_ ? *failure_ : no_failure(); }

  /// Bytes that were received and not read, and those that were written and not sent. After leave_pipe().
  [[nodiscard]] std::span<const std::byte> received() const {
    return received_ ? std::span<const std::byte>(*received_) : std::span<const std::byte>();
  }
  [[nodiscard]] std::span<const std::byte> unsent() const { return unsent_.bytes(); }
  /// Takes bytes that are in a pipe into memory.
  void leave_pipe() { unsent_.leave_pipe(); }

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
