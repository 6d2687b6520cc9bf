#include <algorithm>

#include "net/starttls/protocols.h"

namespace headgate {
namespace {

/// Tags are printable and free of what would change the meaning of the line that echoes them (RFC 9051,
/// section 9).
bool is_tag(std::string_view word) {
  constexpr std::string_view kForbidden = "(){%*\"\\+]";
  return !word.empty() && std::all_of(word.begin(), word.end(), [&](char c) {
    return c > ' ' && c <= '~' && kForbidden.find(c) == kForbidden.npos;
  });
}

}  // namespace

std::string_view ImapStarttls::greeting() const {
  return "* OK [CAPABILITY IMAP4rev1 STARTTLS LOGINDISABLED] headgate ready\r\n";
}

std::string_view ImapStarttls::farewell() const {
  return "* BYE headgate closing the connection\r\n";
}

LineDialogue::Answer ImapStarttls::answer(std::string_view line) {
  using enum StarttlsState;
  const std::string tag(line.substr(0, line.find(' ')));
  if (!is_tag(tag) || tag.size() == line.size()) return {kNeedMore, "* BAD No tag or no command\r\n"};
  std::string_view argument;
  const std::string command = first_word(line.substr(tag.size() + 1), &argument);
  if (command == "STARTTLS") {
    if (!argument.empty()) return {kNeedMore, tag + " BAD STARTTLS takes no arguments\r\n"};
    return {kTlsBegins, tag + " OK Begin TLS negotiation now\r\n"};
  }
  if (command == "CAPABILITY") {
    return {kNeedMore,
            "* CAPABILITY IMAP4rev1 STARTTLS LOGINDISABLED\r\n" + tag + " OK CAPABILITY completed\r\n"};
  }
  if (command == "NOOP") return {kNeedMore, tag + " OK NOOP completed\r\n"};
  if (command == "LOGOUT") return {kEnded, "* BYE headgate\r\n" + tag + " OK LOGOUT completed\r\n"};
  return {kNeedMore, tag + " NO [PRIVACYREQUIRED] Use STARTTLS first\r\n", true};
}

}  // namespace headgate
