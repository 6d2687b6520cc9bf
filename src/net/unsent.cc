#include "net/unsent.h"

namespace headgate {

void Unsent::keep(std::span<const std::byte> bytes) {
  bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
}

SocketIo Unsent::send(int fd, Then then) {
  while (!empty()) {
    const SocketIo sent = send_some(fd, bytes(), then);
    if (sent.status != IoStatus::kDone) return sent;
    sent_bytes_ += sent.size_bytes;
  }
  bytes_ = {};  // gives the memory back as well
  sent_bytes_ = 0;
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
