#include "net/starttls/backend_greeting.h"

#include <string_view>

#include "base/text_of.h"

namespace headgate {
namespace {

using Verdict = BackendGreeting::Verdict;
using State = BackendGreeting::State;

Verdict unfinished(std::string_view received) {
  return {received.size() >= kMaxStarttlsInputBytes ? State::kMalformed : State::kNeedMore, 0};
}

/// One line that begins with `welcome` is dropped.
Verdict read_line(std::string_view received, std::string_view welcome) {
  const auto end = received.find('\n');
  if (end == received.npos) return unfinished(received);
  return {State::kDone, received.substr(0, welcome.size()) == welcome ? end + 1 : 0};
}

/// A reply is lines of "220-", then one of "220 " or a bare "220" (RFC 5321, section 4.2.1).
Verdict read_smtp(std::string_view received) {
  std::size_t taken = 0;
  for (;;) {
    const std::string_view rest = received.substr(taken);
    const auto end = rest.find('\n');
    if (end == rest.npos) return unfinished(received);
    if (rest.substr(0, 3) != "220") return {State::kDone, 0};
    taken += end + 1;
    if (rest[3] != '-') return {State::kDone, taken};
  }
}

}  // namespace

Verdict BackendGreeting::read(StarttlsProtocol protocol, std::span<const std::byte> received) {
  const std::string_view text = text_of(received);
  switch (protocol) {
    case StarttlsProtocol::kSmtp:
      return read_smtp(text);
    case StarttlsProtocol::kImap:
      return read_line(text, "* OK");
    case StarttlsProtocol::kPop3:
      return read_line(text, "+OK");
    case StarttlsProtocol::kPostgres:
    case StarttlsProtocol::kMysql:
    case StarttlsProtocol::kLdap:
      break;
  }
  return {State::kDone, 0};
}

}  // namespace headgate
