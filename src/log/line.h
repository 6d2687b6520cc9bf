#pragma once

#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <variant>

#include "base/units.h"
#include "log/log_level.h"

/// One log line as bytes: pure functions, so that what a client sends can be tried on them. Whatever the
/// bytes of a message or a value are, the result is one line of valid UTF-8: control characters and bytes
/// that are no UTF-8 are escaped. Any thread.
namespace headgate {

/// One `key=value` of a line. Keys are ours: lower-case letters, digits and underscores. Borrows both; lives
/// for the call that writes the line.
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

/// Appends `2026-11-22T10:00:00.123Z warn  message key=value key="va lue"` and a line end. A value is quoted
/// when it is empty or holds more than letters, digits and punctuation without quotes, '=' and backslash.
void append_text(std::string& out, const LogLine& line);

/// Appends one JSON object (RFC 8259) with `time`, `level`, `message` and the fields, and a line end. A byte
/// that is no UTF-8 becomes U+FFFD; a number that JSON has no word for becomes null.
void append_json(std::string& out, const LogLine& line);

/// Appends the fields of a journal entry, one `NAME=value` a line: MESSAGE (the text form without time and
/// level), PRIORITY (syslog's), SYSLOG_IDENTIFIER, and HEADGATE_<KEY> for each field.
void append_journal(std::string& out, const LogLine& line);

}  // namespace headgate
