#pragma once

#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <variant>

#include "base/units.h"
#include "log/log_level.h"

/// Writes one log line as bytes. The functions are pure, so that a test can give them whatever a client may
/// send. Whatever the bytes of a message or a value are, the result is one line of valid UTF-8: control
/// characters and bytes that are not UTF-8 are escaped. Any thread.
namespace headgate {

/// One `key=value` of a line. The key is a fixed word of lower-case letters, digits and underscores. Borrows
/// both; valid for the call that writes the line.
struct LogField {
  std::string_view key;
  std::variant<std::string_view, std::int64_t, double> value;
};

/// What a line says. Borrows everything.
struct LogLine {
  WallTime time;
  LogLevel level = LogLevel::kInfo;
  std::string_view message;
  std::span<const LogField> fields;
};

/// Appends `2026-11-22T10:00:00.123Z warn message key=value key="va lue"` and a line end. A value is quoted
/// when it is empty or has a character that is not printable ASCII, a space, a quote, '=' or a backslash.
void append_text(std::string& out, const LogLine& line);

/// Appends one JSON object (RFC 8259) with `time`, `level`, `message` and the fields, and a line end. A byte
/// that is not UTF-8 becomes U+FFFD; a number that JSON cannot express becomes null.
void append_json(std::string& out, const LogLine& line);

/// Appends the fields of a journal entry, one `NAME=value` a line: MESSAGE (the text form without time and
/// level), PRIORITY (syslog's), SYSLOG_IDENTIFIER, and HEADGATE_<KEY> for each field.
void append_journal(std::string& out, const LogLine& line);

}  // namespace headgate
