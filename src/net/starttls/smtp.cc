#include "net/starttls/protocols.h"

namespace headgate {

// The name that a greeting carries (RFC 5321, section 4.2) is not known here. After TLS the backend gives its
// own name.
std::string_view SmtpStarttls::greeting() const {
  return "220 headgate ESMTP\r\n";
}

std::string_view SmtpStarttls::farewell() const {
  return "421 4.7.0 headgate closing the connection\r\n";
}

LineDialogue::Answer SmtpStarttls::answer(std::string_view line) {
  using enum StarttlsState;
  std::string_view argument;
  const std::string verb = first_word(line, &argument);
  if (verb == "STARTTLS") {
    if (!argument.empty()) return {kNeedMore, "501 5.5.4 No parameters allowed\r\n"};
    return {kTlsBegins, "220 2.0.0 Ready to start TLS\r\n"};
  }
  if (verb == "EHLO") return {kNeedMore, "250-headgate\r\n250 STARTTLS\r\n"};
  if (verb == "HELO") return {kNeedMore, "250 headgate\r\n"};
  if (verb == "NOOP" || verb == "RSET") return {kNeedMore, "250 2.0.0 OK\r\n"};
  if (verb == "QUIT") return {kEnded, "221 2.0.0 Bye\r\n"};
  return {kNeedMore, "530 5.7.0 Must issue a STARTTLS command first\r\n", true};
}

}  // namespace headgate
