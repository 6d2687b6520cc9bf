#include "net/unsent.h"

#include "base/check.h"

namespace headgate {

Unsent::Unsent(std::vector<std::byte> bytes) {
  if (!bytes.empty()) kept_ = std::make_unique<Kept>(Kept{.bytes = std::move(bytes)});
}

void Unsent::keep(std::span<const std::byte> bytes) {
  if (bytes.empty()) return;
  if (!kept_) kept_ = std::make_unique<Kept>();
  HG_CHECK(!kept_->pipe);
  kept_->bytes.insert(kept_->bytes.end(), bytes.begin(), bytes.end());
}

void Unsent::keep(PipeLoan pipe) {
  HG_CHECK(empty());
  kept_ = std::make_unique<Kept>();
  kept_->pipe = std::move(pipe);
}

void Unsent::leave_pipe() {
  if (!kept_ || !kept_->pipe) return;
  kept_->pipe->empty_into(kept_->bytes);
  kept_->pipe.reset();
}

SocketIo Unsent::send(int fd, Then then) {
  if (kept_ && kept_->pipe) {
    const SocketIo given = kept_->pipe->give_to(fd);
    if (given.status == IoStatus::kDone) kept_.reset();
    return given;
  }
  while (!empty()) {
    const SocketIo sent = send_some(fd, bytes(), then);
    if (sent.status != IoStatus::kDone) return sent;
    kept_->sent_bytes += sent.size_bytes;
  }
  kept_.reset();  // gives the memory back as well
  return {IoStatus::kDone};
}

SocketIo send_or_keep(int fd, std::span<const std::byte> bytes, Unsent& unsent, Then then) {
  while (!bytes.empty()) {
    const SocketIo sent = send_some(fd, bytes, then);
    if (sent.status == IoStatus::kFailed) return sent;
    bytes = bytes.subspan(sent.size_bytes);
    if (sent.status == IoStatus::kWantWrite) {
      unsent.keep(bytes);
      return sent;
    }
  }
  return {IoStatus::kDone};
}

}  // namespace headgate
