#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "connection/phase.h"

/// The steps of a dial that the files about it share. Each acts on the attempt at hand.
namespace headgate {

/// Makes a dial to the backend called `name`. Null: there is none.
[[nodiscard]] std::unique_ptr<Dial> dial_to(std::string_view backend, Context& context);

/// Takes the stages of `dial`, one after the other. Nothing: an early dial has met its server.
[[nodiscard]] std::optional<Step> take_stages(Dial& dial, Context& context);

/// Begins to connect to the server of `choice`.
void begin_attempt(Dial& dial, Context& context, Choice choice);

/// Counts the attempt as failed; the next stage picks another server.
void attempt_failed(Dial& dial, Context& context, ConnectFailure failure, std::string what);
/// The same, where the stream to the server has failed.
void stream_failed(Dial& dial, Context& context);

/// Why an attempt failed whose stream has failed so.
[[nodiscard]] ConnectFailure failure_of(const StreamFailure& failure);
/// The end of a connection that no server took: tells of the attempt that came furthest. One has failed.
[[nodiscard]] Close end_after_attempts(const Dial& dial, Context& context);

/// The protocol in which the server is asked for TLS.
[[nodiscard]] std::optional<StarttlsProtocol> asked_in(const Dial& dial);

/// The way to TLS with the server is free: queues for it.
void await_permit(Dial& dial, Context& context);

/// Sends what the client has not taken yet. Nothing: it has everything.
[[nodiscard]] std::optional<Step> flush_to_client(Context& context);

/// The server is won: makes the relay with it.
[[nodiscard]] Relay relay_to(Dial& dial, Context& context);

}  // namespace headgate
