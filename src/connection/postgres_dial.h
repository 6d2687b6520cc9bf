#pragma once

#include <optional>
#include <span>

#include "connection/phase.h"

/// The stages of a dial that PostgreSQL has of its own. A client cancels a query over a connection of its
/// own: its first message names the session by a number and a key, which only the session's server knows. So
/// the message goes to every address of every server of the backend, one after the other; the servers that do
/// not know the session do nothing. The client is told the end, for which it waits, once all have had it.
///
/// Where a backend has more than one address, and where a server may be full or down for other connections,
/// the client's first message is read before a server is chosen.
namespace headgate {

/// Whether the client's first message decides where the dial goes.
[[nodiscard]] bool must_hear_first(const Dial& dial, const Context& context);

/// kHearingFirst: waits for the client's first message. Nothing: it is there, and kPick follows.
[[nodiscard]] std::optional<Step> hear_first(Dial& dial, Context& context);
/// kPick, while a request to cancel goes round: begins with the next server. Nothing: it has begun.
[[nodiscard]] std::optional<Step> pick_next_to_cancel(Dial& dial, Context& context);
/// kCancelling: gives the request to the server at hand and waits for its end. Nothing: kPick follows.
[[nodiscard]] std::optional<Wait> deliver_cancel(Dial& dial, Context& context);
/// The server at hand has had the request, or its time is over.
void server_is_through(Dial& dial, Context& context);

/// Acts on a request to cancel that came in plaintext, and which no client's name comes with: it goes to the
/// servers of all backends of the listener. Where clients need a certificate it goes to none.
[[nodiscard]] Step cancel_in_plaintext(std::span<const std::byte> request, Context& context);

/// Goes on to the relay. The server gets what the client has said so far.
[[nodiscard]] Step relay_first_message(Dial& dial, Context& context);

}  // namespace headgate
