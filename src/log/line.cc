#include "log/line.h"

#include <charconv>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <ctime>

#include "base/utf8.h"

namespace headgate {
namespace {

constexpr std::string_view kHex = "0123456789abcdef";

unsigned char byte_at(std::string_view text, std::size_t i) {
  return static_cast<unsigned char>(text[i]);
}

/// C0, DEL, C1, and the line and paragraph separators, which some readers of logs take for line ends.
bool is_control(std::string_view sequence) {
  const unsigned char lead = byte_at(sequence, 0);
  if (sequence.size() == 1) return lead < 0x20 || lead == 0x7F;
  if (sequence.size() == 2) return lead == 0xC2 && byte_at(sequence, 1) < 0xA0;
  return sequence == "\xE2\x80\xA8" || sequence == "\xE2\x80\xA9";
}

void append_hex_byte(std::string& out, std::string_view prefix, unsigned char byte) {
  out.append(prefix);
  out.push_back(kHex[byte >> 4]);
  out.push_back(kHex[byte & 0xF]);
}

using EscapeSequence = void (*)(std::string& out, std::string_view sequence);

/// Copies `text`, but gives control characters, quotes, backslashes and bytes that are not UTF-8 to `escape`.
void append_escaped(std::string& out, std::string_view text, EscapeSequence escape) {
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t length = utf8_length(text, i);
    const std::string_view sequence = text.substr(i, length == 0 ? 1 : length);
    const bool plain = length != 0 && !is_control(sequence) && sequence != "\"" && sequence != "\\";
    plain ? static_cast<void>(out.append(sequence)) : escape(out, sequence);
    i += sequence.size();
  }
}

void escape_text(std::string& out, std::string_view sequence) {
  if (sequence == "\"" || sequence == "\\") return void(out.append("\\").append(sequence));
  if (sequence == "\n") return void(out.append("\\n"));
  for (const char c : sequence) append_hex_byte(out, "\\x", static_cast<unsigned char>(c));
}

void escape_json(std::string& out, std::string_view sequence) {
  if (sequence == "\"" || sequence == "\\") return void(out.append("\\").append(sequence));
  if (sequence == "\n") return void(out.append("\\n"));
  const unsigned char lead = byte_at(sequence, 0);
  if (sequence.size() == 3) return void(out.append(sequence.back() == '\xA8' ? "\\u2028" : "\\u2029"));
  if (sequence.size() == 2) return append_hex_byte(out, "\\u00", byte_at(sequence, 1));
  if (lead < 0x80) return append_hex_byte(out, "\\u00", lead);
  out.append("\\ufffd");
}

/// The message stands unquoted, so quotes in it stay as they are.
void escape_message(std::string& out, std::string_view sequence) {
  if (sequence == "\"") return void(out.append(sequence));
  escape_text(out, sequence);
}

template <class Number>
void append_number(std::string& out, Number value) {
  char digits[32];
  const auto end = std::to_chars(digits, digits + sizeof digits, value).ptr;
  out.append(digits, end);
}

void append_padded(std::string& out, int value, int width) {
  char digits[12];
  const auto end = std::to_chars(digits, digits + sizeof digits, value).ptr;
  for (auto written = end - digits; written < width; ++written) out.push_back('0');
  out.append(digits, end);
}

/// RFC 3339 in UTC with milliseconds.
void append_time(std::string& out, WallTime time) {
  const auto since_epoch = std::chrono::floor<std::chrono::milliseconds>(time.time_since_epoch());
  const auto seconds = std::chrono::floor<std::chrono::seconds>(since_epoch);
  const std::time_t unix_seconds = static_cast<std::time_t>(seconds.count());
  std::tm utc{};
  ::gmtime_r(&unix_seconds, &utc);
  append_padded(out, utc.tm_year + 1900, 4);
  append_padded(out.append("-"), utc.tm_mon + 1, 2);
  append_padded(out.append("-"), utc.tm_mday, 2);
  append_padded(out.append("T"), utc.tm_hour, 2);
  append_padded(out.append(":"), utc.tm_min, 2);
  append_padded(out.append(":"), utc.tm_sec, 2);
  append_padded(out.append("."), static_cast<int>((since_epoch - seconds).count()), 3);
  out.push_back('Z');
}

bool needs_quotes(std::string_view value) {
  for (const char c : value) {
    if (c <= ' ' || c > '~' || c == '"' || c == '=' || c == '\\') return true;
  }
  return value.empty();
}

struct TextValue {
  std::string& out;
  void operator()(std::string_view value) const {
    if (!needs_quotes(value)) return void(out.append(value));
    out.push_back('"');
    append_escaped(out, value, escape_text);
    out.push_back('"');
  }
  void operator()(std::int64_t value) const { append_number(out, value); }
  void operator()(double value) const { append_number(out, value); }
};

void append_json_string(std::string& out, std::string_view value) {
  out.push_back('"');
  append_escaped(out, value, escape_json);
  out.push_back('"');
}

struct JsonValue {
  std::string& out;
  void operator()(std::string_view value) const { append_json_string(out, value); }
  void operator()(std::int64_t value) const { append_number(out, value); }
  void operator()(double value) const {
    if (!std::isfinite(value)) return void(out.append("null"));
    append_number(out, value);
  }
};

struct JournalValue {
  std::string& out;
  void operator()(std::string_view value) const { append_escaped(out, value, escape_message); }
  void operator()(std::int64_t value) const { append_number(out, value); }
  void operator()(double value) const { append_number(out, value); }
};

void append_message_and_fields(std::string& out, const LogLine& line) {
  append_escaped(out, line.message, escape_message);
  for (const LogField& field : line.fields) {
    out.append(" ").append(field.key).append("=");
    std::visit(TextValue{out}, field.value);
  }
  out.push_back('\n');
}

std::string_view syslog_priority(LogLevel level) {
  switch (level) {
    case LogLevel::kError:
      return "3";
    case LogLevel::kWarn:
      return "4";
    case LogLevel::kInfo:
      return "6";
    case LogLevel::kDebug:
      return "7";
  }
  return "7";
}

void append_upper(std::string& out, std::string_view key) {
  for (const char c : key) out.push_back(c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c);
}

}  // namespace

std::string_view name(LogLevel level) {
  switch (level) {
    case LogLevel::kError:
      return "error";
    case LogLevel::kWarn:
      return "warn";
    case LogLevel::kInfo:
      return "info";
    case LogLevel::kDebug:
      return "debug";
  }
  return "debug";
}

void append_text(std::string& out, const LogLine& line) {
  append_time(out, line.time);
  const std::string_view level = name(line.level);
  out.append(" ").append(level).append(6 - level.size(), ' ');
  append_message_and_fields(out, line);
}

void append_json(std::string& out, const LogLine& line) {
  out.append(R"({"time":")");
  append_time(out, line.time);
  out.append(R"(","level":")").append(name(line.level)).append(R"(","message":)");
  append_json_string(out, line.message);
  for (const LogField& field : line.fields) {
    out.append(",\"").append(field.key).append("\":");
    std::visit(JsonValue{out}, field.value);
  }
  out.append("}\n");
}

void append_journal(std::string& out, const LogLine& line) {
  out.append("MESSAGE=");
  append_message_and_fields(out, line);
  out.append("PRIORITY=").append(syslog_priority(line.level)).append("\nSYSLOG_IDENTIFIER=headgate\n");
  for (const LogField& field : line.fields) {
    append_upper(out.append("HEADGATE_"), field.key);
    out.push_back('=');
    std::visit(JournalValue{out}, field.value);
    out.push_back('\n');
  }
}

}  // namespace headgate
