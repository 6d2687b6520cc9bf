#pragma once

#include <memory>
#include <optional>
#include <span>
#include <utility>

#include "connection/phase.h"

/// The stages of a dial that MySQL has of its own. The proof of a client's password is made of random bytes
/// in the server's greeting, so the client gets the greeting of the server that will log it in:
///
///   starttls: mysql in the listener   the server is reached before the client's TLS, and put aside until the
///                                     connect phase; then it gets the client's own request for TLS, or, on a
///                                     unix socket, a login without TLS
///   in the backend alone              the client gets the greeting without the offer of TLS, and its login
///                                     begins with what the request to the server needs
///
/// Where one side alone has TLS, packet numbers differ by one, and the login passes through mysql::Login.
namespace headgate {

/// Whether the server's greeting decides what the client hears first.
[[nodiscard]] bool is_mysql(const Dial& dial, const Context& context);

/// kMeeting: waits for the server's greeting. Nothing: the stage is over, one way or the other.
[[nodiscard]] std::optional<Wait> meet(Dial& dial, Context& context);
/// kMet, in the connect phase: greets a client that is offered no TLS. Nothing: the stage is over.
[[nodiscard]] std::optional<Step> pass_greeting_on(Dial& dial, Context& context);
/// kHearingClient: waits for the beginning of that client's login. Nothing: it is there.
[[nodiscard]] std::optional<Step> hear_client(Dial& dial, Context& context);
/// kRequestingTls: gives the server, if it has waited for the client, the client's request for TLS. Nothing:
/// the attempt has failed.
[[nodiscard]] std::optional<Step> request_tls(Dial& dial, Context& context);
/// Both sides have the TLS that they get: goes on to the relay, or to kLogin.
[[nodiscard]] std::optional<Step> begin_login(Dial& dial, Context& context);
/// kLogin: passes the login on in both directions until the server has decided.
[[nodiscard]] Step pass_login_on(Dial& dial, Context& context);

/// The dialogue of a listener with `starttls: mysql`: it is open once its server has been met. It has the
/// dial to that server until the server is put aside.
class ServerDialogue final : public StarttlsDialogue {
 public:
  explicit ServerDialogue(std::unique_ptr<Dial> dial) : dial_(std::move(dial)) {}

  /// Null: the server has been put aside.
  [[nodiscard]] Dial* dial() const { return dial_.get(); }
  [[nodiscard]] bool is_open() const { return with_client_ != nullptr; }
  /// Opens with the greeting that the dial has got.
  void open();
  [[nodiscard]] std::unique_ptr<Dial> take_dial() { return std::move(dial_); }

  [[nodiscard]] std::string_view greeting() const override { return with_client_->greeting(); }
  [[nodiscard]] StarttlsStep feed(std::span<const std::byte> received) override {
    return with_client_->feed(received);
  }

 private:
  std::unique_ptr<Dial> dial_;
  std::unique_ptr<StarttlsDialogue> with_client_;  // null until it is open
};

/// The dialogue of `phase` where it is MySQL's and has begun, else null.
[[nodiscard]] ServerDialogue* server_dialogue(const StarttlsIn& phase, const Context& context);

/// Begins to reach a server of the listener's backend before its client has asked for TLS. Null: there is no
/// such backend.
[[nodiscard]] std::unique_ptr<Dial> dial_early(Context& context);
/// Puts the server that an early dial has met aside: in Sides, where other connections have no server yet.
/// `request` is the client's request for TLS.
void put_aside(ServerDialogue& dialogue, std::span<const std::byte> request, Context& context);
/// Goes on with the server that was put aside.
[[nodiscard]] std::unique_ptr<Dial> take_up(Context& context);

}  // namespace headgate
