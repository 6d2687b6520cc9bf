#pragma once

#include <memory>
#include <utility>

#include "connection/phase.h"

namespace headgate {

/// The server of a connection that was reached before the client's TLS, from then until the connect phase: it
/// stands in Sides for the stream to that server, and keeps what was agreed with it. So no other connection
/// pays for a place for it. Loop thread only.
class ReachedServer final : public Stream {
 public:
  struct Parts {
    std::unique_ptr<Dial> dial;
    std::unique_ptr<Stream> stream;
  };

  explicit ReachedServer(Parts parts) : parts_(std::move(parts)) {}

  /// Gives up both. This stream is dead then.
  [[nodiscard]] Parts take() { return std::move(parts_); }

  [[nodiscard]] int descriptor() const override { return parts_.stream->descriptor(); }
  IoStatus handshake() override { return parts_.stream->handshake(); }
  ReadResult read(std::span<std::byte> into) override { return parts_.stream->read(into); }
  IoStatus write(std::span<const std::byte> bytes) override { return parts_.stream->write(bytes); }
  IoStatus flush() override { return parts_.stream->flush(); }
  [[nodiscard]] std::size_t unsent_bytes() const override { return parts_.stream->unsent_bytes(); }
  IoStatus end_writing() override { return parts_.stream->end_writing(); }
  void reset_on_close() override { parts_.stream->reset_on_close(); }
  [[nodiscard]] const StreamFailure& failure() const override { return parts_.stream->failure(); }

 private:
  Parts parts_;
};

}  // namespace headgate
