#include "base/secret_text.h"

#include <algorithm>
#include <cstddef>

namespace headgate {
namespace {

constexpr std::string_view kPemBegin = "-----BEGIN";
constexpr std::string_view kPemEnd = "-----END";
constexpr std::string_view kPemDashes = "-----";
constexpr std::string_view kTicketSecret = "headgate-ticket-secret-1:";
constexpr std::string_view kNotShown = "(a key, not shown)";
constexpr std::size_t kShortestRun = 40;          // 32 random bytes in base64 have 44 characters
constexpr std::size_t kShortestMixed = 20;        // base64 has a "/" after 64 characters on average
constexpr std::size_t kShortestHexadecimal = 60;  // 32 random bytes have 64 digits; a line of `xxd -p` has 60
constexpr std::size_t kShortestDer = 48;          // the DER of an Ed25519 key, the shortest there is, has 64

bool is_upper(char c) {
  return c >= 'A' && c <= 'Z';
}
bool is_lower(char c) {
  return c >= 'a' && c <= 'z';
}
bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool is_base64(char c) {
  return is_upper(c) || is_lower(c) || is_digit(c) || c == '+' || c == '/' || c == '=';
}
bool is_hexadecimal(char c) {
  return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/// A name in words seldom has 20 characters of all three kinds without a hyphen or a dot; the digest in a
/// path is hexadecimal, and public.
bool is_mixed(std::string_view segment) {
  return segment.size() >= kShortestMixed && std::ranges::any_of(segment, is_upper) &&
         std::ranges::any_of(segment, is_lower) && std::ranges::any_of(segment, is_digit) &&
         !std::ranges::all_of(segment, is_hexadecimal);
}

/// Nothing but hexadecimal, as long as a key. The name of an option may stand before it ("--key=").
bool is_hexadecimal_key(std::string_view run) {
  run.remove_prefix(run.rfind('=') + 1);
  return run.size() >= kShortestHexadecimal && std::ranges::all_of(run, is_hexadecimal);
}

bool is_run_of_key(std::string_view run) {
  if (run.size() < kShortestRun) return false;
  if (is_hexadecimal_key(run)) return true;
  for (;;) {
    const std::size_t slash = run.find('/');
    if (is_mixed(run.substr(0, slash))) return true;
    if (slash == run.npos) return false;
    run.remove_prefix(slash + 1);
  }
}

/// An absolute path is none: its first directory would be a short key.
bool is_shown_run(std::string_view run) {
  return run.starts_with('/') || !is_run_of_key(run);
}

bool is_blank(char c) {
  return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

std::size_t run_length(std::string_view text) {
  return static_cast<std::size_t>(std::ranges::find_if_not(text, is_base64) - text.begin());
}

std::size_t blanks_length(std::string_view text) {
  return static_cast<std::size_t>(std::ranges::find_if_not(text, is_blank) - text.begin());
}

std::string_view without_leading_blanks(std::string_view text) {
  return text.substr(blanks_length(text));
}

/// A DER SEQUENCE begins with the byte 0x30, hence its base64 with "M" and one of "A" to "P". The base64 may
/// be in several lines, or in words that were lines.
bool is_der_in_base64(std::string_view text) {
  text = without_leading_blanks(text);
  return run_length(text) >= kShortestDer && text[0] == 'M' && text[1] >= 'A' && text[1] <= 'P' &&
         resembles_key(text);
}

/// The length of the PEM block at the start of `text`: to the end of its END, or all of it.
std::size_t pem_length(std::string_view text) {
  const std::size_t end = text.find(kPemEnd);
  if (end == text.npos) return text.size();
  const std::size_t dashes = text.find(kPemDashes, end + kPemEnd.size());
  return dashes == text.npos ? text.size() : dashes + kPemDashes.size();
}

/// The length of the base64 at the start of `text` that goes on behind blanks: a key's other lines, of which
/// the last may be short. A word in lower case is one of the message.
std::size_t lines_length(std::string_view text) {
  std::size_t length = run_length(text);
  while (length < text.size()) {
    const std::size_t blanks = blanks_length(text.substr(length));
    const std::string_view word = text.substr(length + blanks, run_length(text.substr(length + blanks)));
    if (blanks == 0 || word.empty() || std::ranges::all_of(word, is_lower)) break;
    length += blanks + word.size();
  }
  return length;
}

bool joins_words(char c) {
  return c == '.' || c == '-' || c == '_';
}

/// Whether a name goes on in front of a run or behind it, as in "web-<digest>.pem". A dot may end a sentence.
bool is_part_of_name(char before, std::string_view behind) {
  return joins_words(before) || (behind.size() > 1 && joins_words(behind[0]) && !is_blank(behind[1]));
}

/// The length of the secret at the start of `text`, which stands behind the character `before`; 0: there is
/// none.
std::size_t secret_length(std::string_view text, char before) {
  if (text.starts_with(kPemBegin)) return pem_length(text);
  if (text.starts_with(kTicketSecret)) return std::min(text.find_first_of(" \t\r\n\"'"), text.size());
  const std::string_view run = text.substr(0, run_length(text));
  if (is_shown_run(run)) return 0;
  const char in_front = run.find('=') == run.npos ? before : '=';
  if (is_hexadecimal_key(run) && is_part_of_name(in_front, text.substr(run.size()))) return 0;
  return lines_length(text);
}

/// How much of `text`, which begins with no secret, is shown as it is. The name of an option may stand before
/// a ticket secret ("--secret=headgate-..."), and "=" is a character of base64.
std::size_t shown_length(std::string_view text) {
  const std::size_t run = std::max<std::size_t>(1, run_length(text));
  return std::min(run, text.substr(0, run + kTicketSecret.size()).find(kTicketSecret));
}

}  // namespace

bool holds_secret(std::string_view text) {
  return text.find(kPemBegin) != text.npos || text.find(kTicketSecret) != text.npos || is_der_in_base64(text);
}

bool resembles_key(std::string_view text) {
  bool found = false;
  for (text = without_leading_blanks(text); !text.empty(); text = without_leading_blanks(text)) {
    const std::size_t run = run_length(text);
    if (run == 0) return false;
    found = found || !is_shown_run(text.substr(0, run));
    text.remove_prefix(run);
  }
  return found;
}

std::string without_secrets(std::string_view text) {
  std::string shown;
  while (!text.empty()) {
    const std::size_t secret = secret_length(text, shown.empty() ? ' ' : shown.back());
    const std::size_t taken = secret > 0 ? secret : shown_length(text);
    shown += secret > 0 ? kNotShown : text.substr(0, taken);
    text.remove_prefix(taken);
  }
  return shown;
}

}  // namespace headgate
