#pragma once

#include <string>
#include <string_view>

/// Keys that stand where an operator's words were expected. A message may quote a word of the configuration
/// or of the command line; it must not carry a key. Pure; any thread.
namespace headgate {

/// Whether `text` is, or has in it, a PEM block, a ticket secret, or DER in base64 alone: a key or a
/// certificate was written where a name, a number or a path belongs.
[[nodiscard]] bool holds_secret(std::string_view text);

/// Whether `text` may be key material that no mark gives away, in one line or in several with blanks or line
/// breaks between them: nothing but base64, and a line with at least 40 characters, upper and lower case and
/// digits mixed, or with at least 60 hexadecimal digits alone. It is meant for a value that is a path; a
/// fingerprint resembles a key.
[[nodiscard]] bool resembles_key(std::string_view text);

/// `text` for a message, with "(a key, not shown)" in place of each PEM block, ticket secret and run of
/// base64 or of hexadecimal, with the shorter runs that blanks join to it. A digest in a path is shown.
[[nodiscard]] std::string without_secrets(std::string_view text);

}  // namespace headgate
