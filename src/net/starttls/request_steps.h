#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "net/starttls/mysql_packet.h"
#include "net/starttls/request.h"

/// The steps that the requests of all protocols share.
namespace headgate::request {

/// TLS begins behind `go_ahead_bytes` of what has arrived; kPlaintextBehind when more than that is there.
[[nodiscard]] RequestStep go_ahead(std::size_t go_ahead_bytes, std::size_t received_bytes);

/// The server's answer of `answer_bytes` has been read, and ours is `say`. kPlaintextBehind as above.
[[nodiscard]] RequestStep answered(std::size_t answer_bytes, std::size_t received_bytes, std::string say);

/// `why` says what the server refuses, and gets the beginning of its answer behind it, without any byte that
/// is not printable.
[[nodiscard]] RequestStep refused(std::string_view why, std::string_view answer);

/// What a greeting of MySQL's means for TLS, of which `received_bytes` have arrived: kTlsBegins if the server
/// offers it.
[[nodiscard]] RequestStep of_greeting(const mysql::Greeting& greeting, std::size_t received_bytes);

[[nodiscard]] RequestStep malformed(std::string_view why);

/// The first line of a server's answer in double quotes, for messages: cut when it is long, with "?" in place
/// of what is not printable.
[[nodiscard]] std::string quoted(std::string_view answer);

}  // namespace headgate::request
