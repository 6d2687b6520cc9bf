#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"

namespace headgate {

/// The protocols whose upgrade to TLS Headgate answers itself. The words are those of the configuration.
enum class StarttlsProtocol : std::uint8_t { kPostgres, kMysql, kSmtp, kImap, kPop3, kLdap };

/// The state of a dialogue after a step.
enum class StarttlsState : std::uint8_t {
  kNeedMore,   ///< Send `reply`, then wait for more bytes.
  kTlsBegins,  ///< Send `reply` to its last byte, then the TLS handshake begins with what the client sends
               ///< next.
  kPlaintext,  ///< The client will not use TLS: what it asked for was refused, and it did not ask for TLS.
               ///< Send `reply`, which tells it why, and close.
  kEnded,      ///< The client ended the dialogue in order (QUIT, LOGOUT, unbind). Send `reply` and close.
  kCancel,     ///< PostgreSQL: what was fed is a request to cancel a query of another connection, as
               ///< read_first_message() reads it. It has no answer.
  kMalformed,  ///< The client broke the protocol. Send `reply` and close.
};

/// What the caller has to do after one step. `consumed_bytes` counts from the start of what was fed; the
/// caller keeps the rest and feeds it again with what comes after it. With kTlsBegins the rest is the start
/// of a ClientHello: it is not empty only for PostgreSQL's direct TLS, where nothing was consumed at all, and
/// for MySQL, whose clients wait for no answer.
struct StarttlsStep {
  StarttlsState state = StarttlsState::kNeedMore;
  std::size_t consumed_bytes = 0;
  std::string reply;
  std::string_view why{};  ///< With kPlaintext and kMalformed: a sentence for the operator. A constant.
};

/// The most that a dialogue may leave unconsumed: more than this without an answer is malformed.
inline constexpr std::size_t kMaxStarttlsInputBytes = 4096;

/// The server's side of one protocol's upgrade to TLS, as bytes in and bytes out. One object for one
/// connection; pure: no I/O and no clock. Any one thread.
///
/// Bytes that stand behind the request to upgrade, before our answer has been sent, are refused (kMalformed):
/// an attacker on the way could have put them there, and after the handshake they would pass for the client's
/// own. After kTlsBegins nothing but a ClientHello can follow, because the handshake reads it.
///
///   auto dialogue = open_starttls(protocol);
///   send(dialogue->greeting());
///   for (;;) { receive; auto step = dialogue->feed(received); send(step.reply); drop consumed; ... }
class StarttlsDialogue {
 public:
  virtual ~StarttlsDialogue() = default;
  StarttlsDialogue() = default;
  StarttlsDialogue(const StarttlsDialogue&) = delete;
  StarttlsDialogue& operator=(const StarttlsDialogue&) = delete;

  /// The bytes to send as soon as the connection is there; empty where the client speaks first.
  [[nodiscard]] virtual std::string_view greeting() const { return {}; }

  /// Reads `received`, everything that has arrived and was not consumed by an earlier step.
  [[nodiscard]] virtual StarttlsStep feed(std::span<const std::byte> received) = 0;
};

/// A new dialogue of `protocol`. Errors: kInvalid for MySQL, whose greeting is its server's.
[[nodiscard]] Result<std::unique_ptr<StarttlsDialogue>> open_starttls(StarttlsProtocol protocol);

/// A new dialogue of MySQL's, which greets with `greeting`, the packet of a server that offers TLS.
[[nodiscard]] std::unique_ptr<StarttlsDialogue> open_mysql_starttls(std::span<const std::byte> greeting);

/// Whether the server of `protocol` speaks first. A listener of such a protocol must not wait for the
/// client's first byte before it accepts (TCP_DEFER_ACCEPT), or both sides would wait for each other.
[[nodiscard]] bool server_speaks_first(StarttlsProtocol protocol);

}  // namespace headgate
