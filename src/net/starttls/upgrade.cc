#include "net/starttls/upgrade.h"

#include <utility>

#include "net/gather.h"

namespace headgate {

StarttlsUpgrade::StarttlsUpgrade(StarttlsProtocol protocol)
    : request_(open_starttls_request(protocol)), to_say_(request_->opening()) {}

IoStatus StarttlsUpgrade::fail_because(Failure failure, std::string why) {
  failure_ = failure;
  why_ = std::move(why);
  return IoStatus::kFailed;
}

IoStatus StarttlsUpgrade::advance(Stream& server, std::span<std::byte> room) {
  for (;;) {
    IoStatus status = IoStatus::kDone;
    if (server.unsent_bytes() > 0) status = server.flush();
    if (status == IoStatus::kDone && !to_say_.empty()) {
      const std::string words = std::exchange(to_say_, {});
      status = server.write(std::as_bytes(std::span(words)));
    }
    if (status == IoStatus::kFailed) return fail_because(Failure::kBroken, server.failure().what);
    if (status != IoStatus::kDone || tls_begins_) return status;
    status = receive(server, room);
    if (status != IoStatus::kDone) return status;
  }
}

/// Reads, and lets the request act on what has come.
IoStatus StarttlsUpgrade::receive(Stream& server, std::span<std::byte> room) {
  const std::size_t before_bytes = received_.size();
  const IoStatus status = gather(server, received_, room, kMaxStarttlsInputBytes);
  if (status == IoStatus::kEnded) return fail_because(Failure::kRefused, "the server ended before TLS");
  if (status == IoStatus::kFailed) return fail_because(Failure::kBroken, server.failure().what);
  if (status != IoStatus::kDone) return status;
  if (received_.size() == before_bytes)
    return fail_because(Failure::kRefused, "an answer of more than 4096 bytes before TLS");
  RequestStep step = request_->feed(received_);
  switch (step.state) {
    case RequestState::kRefused:
    case RequestState::kMalformed:
      return fail_because(Failure::kRefused, std::move(step.why));
    case RequestState::kPlaintextBehind:
      return fail_because(Failure::kPlaintext, std::move(step.why));
    case RequestState::kNeedMore:
    case RequestState::kTlsBegins:
      break;
  }
  tls_begins_ = step.state == RequestState::kTlsBegins;
  received_.erase(received_.begin(), received_.begin() + static_cast<std::ptrdiff_t>(step.consumed_bytes));
  to_say_ = std::move(step.say);
  return IoStatus::kDone;
}

}  // namespace headgate
