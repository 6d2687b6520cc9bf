#pragma once

#include <functional>
#include <optional>
#include <random>

#include "client_hello.h"
#include "loopback.h"
#include "poller.h"

namespace headgate::bench {

/// One connection of a flood: it sends its ClientHello, waits for the server's flight and leaves.
///
/// It does no cryptography, so that one core can bring far more of them than another can answer.
class Attacker final : public Pollable {
 public:
  /// kAnswered: the server's flight has come, so it has signed. kRefused: an alert or the end came instead.
  enum class Outcome { kAnswered, kRefused };
  /// Called last, when it is over; destroys it.
  using Over = std::function<void(Attacker&, Outcome)>;

  Attacker(Poller& poller, const Options& options, const sockaddr_in& source, ClientHello hello,
           TimePoint born, const Over& over);
  ~Attacker() override;
  void on_ready() override;

  /// Unique among the attackers of a flood.
  [[nodiscard]] TimePoint born() const { return born_; }
  /// Has been asked to try again, and holds its second ClientHello back.
  [[nodiscard]] bool holds_back() const { return stage_ == Stage::kHoldBack; }
  /// Sends the second ClientHello.
  void go_on();

 private:
  enum class Stage { kConnect, kAwaitRetry, kHoldBack, kAwaitFlight };
  /// Sends `hello`, which fits into the send buffer.
  void send_hello(const std::string& hello, Stage next);
  /// The outcome, once it is known.
  std::optional<Outcome> receive();
  std::optional<Outcome> take(std::size_t got_bytes);

  const Options& options_;
  ClientHello hello_;
  TimePoint born_;
  const Over& over_;
  Stage stage_ = Stage::kConnect;
  int fd_;
};

}  // namespace headgate::bench
