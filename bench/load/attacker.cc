#include "attacker.h"

#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <utility>

namespace headgate::bench {
namespace {

constexpr char kChangeCipherSpec = 20, kHandshake = 22;
constexpr std::size_t kChangeCipherSpecBytes = 6;
/// Only its first bytes are looked at; all attackers share it.
std::array<char, 16 * 1024> received;

}  // namespace

Attacker::Attacker(Poller& poller, const Options& options, const sockaddr_in& source, ClientHello hello,
                   TimePoint born, const Over& over)
    : options_(options),
      hello_(std::move(hello)),
      born_(born),
      over_(over),
      fd_(connect_from(source, options.port)) {
  poller.add(fd_, *this);
}

Attacker::~Attacker() {
  close(fd_);
}

void Attacker::on_ready() {
  if (stage_ == Stage::kConnect) {
    send_hello(hello_.first(), options_.kind == FloodKind::kRetry ? Stage::kAwaitRetry : Stage::kAwaitFlight);
    if (stage_ == Stage::kConnect) return;
  }
  if (const auto outcome = receive()) over_(*this, *outcome);
}

std::optional<Attacker::Outcome> Attacker::receive() {
  for (;;) {
    const ssize_t got = recv(fd_, received.data(), received.size(), 0);
    if (got < 0 && errno == EAGAIN) return {};
    if (got <= 0) return Outcome::kRefused;
    if (const auto outcome = take(static_cast<std::size_t>(got))) return outcome;
  }
}

void Attacker::go_on() {
  send_hello(hello_.second(), Stage::kAwaitFlight);
}

void Attacker::send_hello(const std::string& hello, Stage next) {
  if (send(fd_, hello.data(), hello.size(), MSG_NOSIGNAL) < 0 && errno == EAGAIN) return;
  stage_ = next;  // where sending failed, receiving says so
}

/// A flight begins with a record of its own. The change_cipher_spec for middleboxes may come behind a
/// HelloRetryRequest by itself.
std::optional<Attacker::Outcome> Attacker::take(std::size_t got_bytes) {
  if (received[0] == kChangeCipherSpec && got_bytes == kChangeCipherSpecBytes) return {};
  if (received[0] != kHandshake) return Outcome::kRefused;
  if (stage_ != Stage::kAwaitRetry) return Outcome::kAnswered;
  if (options_.together > 1) {
    stage_ = Stage::kHoldBack;
  } else {
    go_on();
  }
  return {};
}

}  // namespace headgate::bench
