#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/close_reason.h"
#include "net/stream.h"
#include "tls/handshake/alert.h"

/// How a connection ends, as its two peers see it: the table that the code follows and that docs/ends.md
/// shows.
namespace headgate {

/// The events for which a side is ended.
enum class EndCause : std::uint8_t {
  kOtherEnded,       ///< The other side ended in order.
  kOtherBrokeOff,    ///< The other side broke off in the middle.
  kClientCutShort,   ///< The client ended TCP between two records, without close_notify.
  kBackendCutShort,  ///< The backend did.
  kUnreachable,      ///< There is no backend to connect to.
  kAtRest,           ///< Idle, or drained while nothing was under way.
  kCut,              ///< We cut it.
  kRevoked,          ///< The client's certificate was revoked.
  kExpired,          ///< The client's certificate expired.
  kNotAllowed,       ///< The client may not be here for another reason.
};
inline constexpr std::size_t kEndCauseCount = static_cast<std::size_t>(EndCause::kNotAllowed) + 1;

/// The last things that a peer sees of us.
enum class Farewell : std::uint8_t {
  kNothing,   ///< Nothing more: the peer has been told of the end, or it has gone.
  kInOrder,   ///< close_notify where there is TLS, and FIN.
  kCutShort,  ///< FIN alone.
  kAlert,     ///< A fatal alert, and FIN.
  kReset,     ///< RST.
};

/// The peers that the table tells apart. A client of a passthrough route is a plain one: its TLS is not ours.
enum class PeerKind : std::uint8_t { kTlsClient, kPlainClient, kTlsBackend, kPlainBackend };
inline constexpr std::size_t kPeerKindCount = static_cast<std::size_t>(PeerKind::kPlainBackend) + 1;

[[nodiscard]] PeerKind peer_kind(const Stream& stream, Side side);

/// A row of the table: how each kind of peer is told, in the order of PeerKind; kNothing where the row does
/// not concern it. `alert` is what kAlert sends. `what` and `why` are the words of the documentation.
struct EndRow {
  EndCause cause;
  std::array<Farewell, kPeerKindCount> farewells;
  Alert alert;
  std::string_view what;
  std::string_view why;

  [[nodiscard]] constexpr Farewell farewell(PeerKind kind) const {
    return farewells[static_cast<std::size_t>(kind)];
  }
};

[[nodiscard]] const EndRow& row(EndCause cause);

/// Returns the event that ended the connection with `reason` in a phase that has no side to blame: neither
/// side broke off. `failure` is why the client was refused, where it was.
[[nodiscard]] EndCause cause_of(CloseReason reason, HandshakeFailure failure);

/// The table as docs/ends.md has it, in Markdown.
[[nodiscard]] std::string table_of_ends();

}  // namespace headgate
