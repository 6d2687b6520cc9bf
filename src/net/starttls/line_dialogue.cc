#include "net/starttls/line_dialogue.h"

#include <algorithm>
#include <utility>

#include "base/text_of.h"

namespace headgate {
namespace {

/// Before TLS the three protocols have command lines of at most 512 bytes (RFC 5321, 4.5.3.1.4). A longer
/// line is only refused.
constexpr std::size_t kMaxLineBytes = 2048;

/// A client asks for the capabilities and then for TLS. A client that sends more commands than this will not
/// ask for TLS.
constexpr int kMaxCommands = 32;

/// The first byte of a client that begins TLS without asking for it. Such a client never sends the end of a
/// line.
constexpr char kTlsHandshakeRecord = 0x16;

}  // namespace

StarttlsStep LineDialogue::feed(std::span<const std::byte> received) {
  const std::string_view text = text_of(received);
  StarttlsStep step;
  while (step.state == StarttlsState::kNeedMore) {
    const std::string_view rest = text.substr(step.consumed_bytes);
    const auto end = rest.find('\n', searched_bytes_);
    if (const std::string_view fault = fault_of(rest, end); !fault.empty()) {
      step.state = StarttlsState::kMalformed;
      step.why = fault;
      step.reply += farewell();
      break;
    }
    if (end == rest.npos) {
      searched_bytes_ = rest.size();
      break;
    }
    searched_bytes_ = 0;
    ++commands_;
    step.consumed_bytes += end + 1;
    auto [state, reply, needs_tls] = answer(rest.substr(0, end > 0 && rest[end - 1] == '\r' ? end - 1 : end));
    // No bytes may follow the request to upgrade: they would be plaintext that passes for part of the TLS
    // session.
    const bool injected = state == StarttlsState::kTlsBegins && step.consumed_bytes != text.size();
    step.state = injected ? StarttlsState::kMalformed : state;
    if (injected) step.why = "plaintext behind the request for TLS";
    refused_ = refused_ || needs_tls;
    if (step.state == StarttlsState::kEnded && refused_) {
      step.state = StarttlsState::kPlaintext;
      step.why = "the client does not ask for TLS: turn STARTTLS on in the client";
    }
    step.reply += injected ? farewell() : std::string_view(reply);
  }
  return step;
}

/// Why the dialogue cannot go on with `rest`, whose first line ends at `line_end`. Empty: it can.
std::string_view LineDialogue::fault_of(std::string_view rest, std::size_t line_end) const {
  if (rest.starts_with(kTlsHandshakeRecord))
    return "the client begins TLS without asking for it: set STARTTLS, not implicit TLS, in the client";
  if (std::min(line_end, rest.size()) > kMaxLineBytes) return "a line of more than 2048 bytes";
  if (line_end != rest.npos && commands_ == kMaxCommands) return "more than 32 commands before TLS";
  return {};
}

std::string first_word(std::string_view line, std::string_view* rest) {
  const auto space = line.find(' ');
  if (rest != nullptr) *rest = space == line.npos ? std::string_view{} : line.substr(space + 1);
  std::string word(line.substr(0, space));
  std::transform(word.begin(), word.end(), word.begin(),
                 [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; });
  return word;
}

}  // namespace headgate
