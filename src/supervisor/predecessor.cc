#include "supervisor/predecessor.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <cstdlib>
#include <utility>

namespace headgate {
namespace {

/// The other process answers at once, except while it waits for its workers.
constexpr timeval kAnswerPatience{.tv_sec = 60, .tv_usec = 0};

tl::unexpected<Error> unexpected_message() {
  return fail(ErrorKind::kMalformed,
              "unexpected hand-over message from the old process: are the versions compatible?");
}

}  // namespace

std::unique_ptr<Predecessor> Predecessor::find() {
  const char* text = std::getenv(kHandoverVariable);
  if (text == nullptr) return nullptr;
  const int number = std::atoi(text);
  ::unsetenv(kHandoverVariable);
  if (number <= 2 || ::fcntl(number, F_SETFD, FD_CLOEXEC) != 0) return nullptr;
  return std::make_unique<Predecessor>(Fd(number));
}

Predecessor::Predecessor(Fd socket) : socket_(std::move(socket)) {
  ::setsockopt(socket_.number(), SOL_SOCKET, SO_RCVTIMEO, &kAnswerPatience, sizeof kAnswerPatience);
  ::setsockopt(socket_.number(), SOL_SOCKET, SO_SNDTIMEO, &kAnswerPatience, sizeof kAnswerPatience);
}

Result<Predecessor::Received> Predecessor::receive() {
  auto passed = receive_with_descriptors(socket_.number());
  if (!passed) return tl::unexpected(std::move(passed.error()));
  auto message = decode_handover(passed->bytes);
  if (!message) return tl::unexpected(std::move(message.error()));
  return Received{*std::move(message), std::move(passed->descriptors)};
}

Result<void> Predecessor::say(HandoverWord word, std::string detail) {
  return send_with_descriptors(socket_.number(), encode(notice_of(word, std::move(detail))), {});
}

void Predecessor::refuse(const std::string& why) {
  static_cast<void>(say(HandoverWord::kFailed, why));
}

Result<Predecessor::Inheritance> Predecessor::receive_sockets() {
  Inheritance inheritance;
  for (;;) {
    auto received = receive();
    if (!received) return tl::unexpected(std::move(received.error()));
    if (const auto* notice = std::get_if<HandoverNotice>(&received->message)) {
      if (notice->word != HandoverWord::kListening) return unexpected_message();
      layers_ = SandboxLayers(notice->detail);
      return inheritance;
    }
    if (auto* certificate = std::get_if<HandoverCertificate>(&received->message)) {
      inheritance.certificates.push_back(std::move(*certificate));
      continue;
    }
    auto* listener = std::get_if<HandoverListener>(&received->message);
    if (listener == nullptr || received->descriptors.size() != 1) return unexpected_message();
    auto address = Address::parse(listener->address);
    if (!address) return tl::unexpected(std::move(address.error()));
    inheritance.sockets.push_back(
        {std::move(received->descriptors[0]), *address, std::move(listener->listener)});
  }
}

Result<void> Predecessor::receive_connections(
    const Take& take, const std::function<void(const std::vector<std::string>&)>& count) {
  if (auto said = say(HandoverWord::kReady); !said) return said;
  for (;;) {
    auto received = receive();
    if (!received) return tl::unexpected(std::move(received.error()));
    if (auto* connection = std::get_if<HandoverConnection>(&received->message)) {
      auto& descriptors = received->descriptors;
      if (descriptors.size() != 2) return unexpected_message();
      const auto taken = take(std::move(*connection), std::move(descriptors[0]), std::move(descriptors[1]));
      auto said = taken ? say(HandoverWord::kTaken) : say(HandoverWord::kRefused, taken.error().what);
      if (!said) return said;
    } else if (const auto* counters = std::get_if<HandoverCounters>(&received->message)) {
      count(counters->lines);
    } else if (const auto* notice = std::get_if<HandoverNotice>(&received->message);
               notice != nullptr && notice->word == HandoverWord::kComplete) {
      if (auto said = say(HandoverWord::kHolding); !said) return said;
    } else if (notice != nullptr && notice->word == HandoverWord::kTakeOver) {
      return {};
    } else {
      return unexpected_message();
    }
  }
}

}  // namespace headgate
