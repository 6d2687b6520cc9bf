#include "net/starttls/protocols.h"

namespace headgate {

std::string_view Pop3Starttls::greeting() const {
  return "+OK headgate ready\r\n";
}

std::string_view Pop3Starttls::farewell() const {
  return "-ERR headgate closing the connection\r\n";
}

LineDialogue::Answer Pop3Starttls::answer(std::string_view line) {
  using enum StarttlsState;
  std::string_view argument;
  const std::string command = first_word(line, &argument);
  if (command == "STLS") {
    if (!argument.empty()) return {kNeedMore, "-ERR STLS takes no arguments\r\n"};
    return {kTlsBegins, "+OK Begin TLS negotiation\r\n"};
  }
  if (command == "CAPA") return {kNeedMore, "+OK Capability list follows\r\nSTLS\r\n.\r\n"};
  if (command == "QUIT") return {kEnded, "+OK Bye\r\n"};
  return {kNeedMore, "-ERR Use STLS first\r\n", true};
}

}  // namespace headgate
