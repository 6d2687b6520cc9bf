#include "net/plain_stream.h"

#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <utility>

namespace headgate {

PlainStream::PlainStream(Fd fd, std::vector<std::byte> received, std::vector<std::byte> unsent)
    : fd_(std::move(fd)),
      received_(received.empty() ? nullptr : std::make_unique<std::vector<std::byte>>(std::move(received))),
      unsent_(std::move(unsent)) {}

PlainStream::PlainStream(Connecting connecting)
    : fd_(std::move(connecting.fd)), connecting_(connecting.in_progress) {}

IoStatus PlainStream::handshake() {
  if (!connecting_) return IoStatus::kDone;
  pollfd writable{.fd = fd_.number(), .events = POLLOUT, .revents = 0};
  // Also a poll() that failed has said nothing about the connect: the loop wakes us at once if it is over.
  if (::poll(&writable, 1, 0) <= 0) return IoStatus::kWantWrite;
  connecting_ = false;
  const bool failed = (writable.revents & (POLLERR | POLLHUP)) != 0;
  const int error = failed ? connect_outcome(fd_.number()) : 0;
  if (error == 0) return IoStatus::kDone;
  failure_ = std::make_unique<StreamFailure>(failure_of_errno("connect", error));
  return IoStatus::kFailed;
}

ReadResult PlainStream::read(std::span<std::byte> into) {
  if (received_) {
    const std::size_t size = std::min(into.size(), received_->size());
    std::copy_n(received_->begin(), size, into.begin());
    received_->erase(received_->begin(), received_->begin() + static_cast<std::ptrdiff_t>(size));
    if (received_->empty()) received_.reset();
    return {IoStatus::kDone, size, false};
  }
  const SocketIo got = receive_some(fd_.number(), into);
  return {outcome(got, "receive"), got.size_bytes, got.size_bytes < into.size()};
}

IoStatus PlainStream::write(std::span<const std::byte> bytes) {
  return outcome(send_or_keep(fd_.number(), bytes, unsent_), "send");
}

std::optional<Spliced> PlainStream::splice_from(PlainStream& from, PipePool& pipes) {
  PipeLoan pipe = pipes.borrow();
  if (!pipe) return std::nullopt;
  const SocketIo got = pipe->take_from(from.descriptor());
  if (got.status == IoStatus::kFailed && got.error == EINVAL) return std::nullopt;
  // A pipe has places for pieces, and is full with fewer bytes where the pieces are small.
  const bool drained = got.size_bytes < kPipeBytes / 4;
  Spliced spliced{.read = {from.outcome(got, "receive"), got.size_bytes, drained}};
  if (got.status != IoStatus::kDone) return spliced;
  const SocketIo given = pipe->give_to(fd_.number());
  const bool cannot_splice = given.status == IoStatus::kFailed && given.error == EINVAL;
  if (given.status == IoStatus::kWantWrite || cannot_splice) unsent_.keep(std::move(pipe));
  if (cannot_splice) unsent_.leave_pipe();
  spliced.written = cannot_splice ? flush() : outcome(given, "send");
  return spliced;
}

IoStatus PlainStream::flush() {
  return outcome(unsent_.send(fd_.number()), "send");
}

IoStatus PlainStream::end_writing() {
  if (const IoStatus flushed = flush(); flushed != IoStatus::kDone) return flushed;
  if (!std::exchange(ended_writing_, true)) send_end(fd_.number());
  return IoStatus::kDone;
}

void PlainStream::reset_on_close() {
  set_reset_on_close(fd_.number());
}

IoStatus PlainStream::outcome(const SocketIo& io, const char* doing) {
  if (io.status == IoStatus::kFailed)
    failure_ = std::make_unique<StreamFailure>(failure_of_errno(doing, io.error));
  return io.status;
}

}  // namespace headgate
