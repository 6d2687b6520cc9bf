#include <algorithm>
#include <optional>

#include "base/text_of.h"
#include "net/starttls/line_dialogue.h"
#include "net/starttls/request_steps.h"
#include "net/starttls/requests.h"

namespace headgate {
namespace {

using namespace std::string_view_literals;

constexpr std::string_view kNoWelcome = "the server does not welcome us";
constexpr std::string_view kNoTls = "the server refuses STARTTLS";

/// More untagged responses than this before the answer to STARTTLS are no server's.
constexpr int kMaxUntagged = 32;

/// Returns the size of the reply at the start of `text`: lines of "250-", then one of "250 " or a bare "250"
/// (RFC 5321, section 4.2.1). 0: it is not whole yet. Nothing: it is no reply.
std::optional<std::size_t> reply_size(std::string_view text) {
  std::size_t taken = 0;
  for (;;) {
    const std::string_view line = text.substr(taken, text.find('\n', taken) - taken);
    const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
    if (!std::ranges::all_of(line.substr(0, 3), is_digit)) return std::nullopt;
    if (taken + line.size() == text.size()) return 0;
    if (line.size() < 3) return std::nullopt;
    taken += line.size() + 1;
    if (line.substr(3, 1) != "-") return taken;
  }
}

/// Whether a line of the answer to EHLO has the keyword STARTTLS. RFC 5321, section 4.1.1.1: the first line
/// has the server's name.
bool offers_starttls(std::string_view reply) {
  for (auto end = reply.find('\n'); end + 1 < reply.size(); end = reply.find('\n', end + 1)) {
    const std::string_view line = reply.substr(end + 1, reply.find('\n', end + 1) - end - 1);
    const std::string_view words = line.substr(std::min<std::size_t>(4, line.size()));
    if (first_word(words.substr(0, words.find('\r'))) == "STARTTLS") return true;
  }
  return false;
}

}  // namespace

RequestStep SmtpRequest::feed(std::span<const std::byte> received) {
  const std::string_view text = text_of(received);
  const auto size_bytes = reply_size(text);
  if (!size_bytes) return request::malformed("the server does not speak SMTP");
  if (*size_bytes == 0) return {};
  RequestStep step = answer(text.substr(0, *size_bytes));
  if (step.state == RequestState::kNeedMore) return request::answered(*size_bytes, text.size(), step.say);
  if (step.state == RequestState::kTlsBegins) return request::go_ahead(*size_bytes, text.size());
  return step;
}

RequestStep SmtpRequest::answer(std::string_view reply) {
  const std::string_view code = reply.substr(0, 3);
  switch (awaits_) {
    case Awaits::kGreeting:
      if (code != "220") return request::refused(kNoWelcome, reply);
      awaits_ = Awaits::kExtensions;
      return {.say = "EHLO headgate\r\n"};
    case Awaits::kExtensions:
      if (code != "250") return request::refused("the server refuses EHLO", reply);
      if (!offers_starttls(reply)) return request::refused("the server does not offer STARTTLS", {});
      awaits_ = Awaits::kGoAhead;
      return {.say = "STARTTLS\r\n"};
    case Awaits::kGoAhead:
      if (code != "220") return request::refused(kNoTls, reply);
      return {.state = RequestState::kTlsBegins, .say = {}};
  }
  return {};
}

RequestStep ImapRequest::feed(std::span<const std::byte> received) {
  const std::string_view text = text_of(received);
  std::size_t taken = 0;
  for (;;) {
    const auto end = text.find('\n', taken);
    if (end == text.npos) return {.consumed_bytes = taken, .say = {}};
    const std::string_view line = text.substr(taken, end - taken);
    taken = end + 1;
    if (!greeted_) {
      if (!line.starts_with("* ")) return request::malformed("the server does not speak IMAP");
      if (!line.starts_with("* OK")) return request::refused(kNoWelcome, line);
      greeted_ = true;
      return {.consumed_bytes = taken, .say = "s STARTTLS\r\n"};
    }
    if (line.starts_with("s OK")) return request::go_ahead(taken, text.size());
    if (line.starts_with("s ")) return request::refused(kNoTls, line);
    if (!line.starts_with("* ") || ++untagged_ > kMaxUntagged)
      return request::malformed("no answer to STARTTLS in what the server says");
  }
}

RequestStep Pop3Request::feed(std::span<const std::byte> received) {
  const std::string_view text = text_of(received);
  const auto end = text.find('\n');
  if (end == text.npos) return {};
  const std::string_view line = text.substr(0, end);
  if (!line.starts_with("+OK") && !line.starts_with("-ERR"))
    return request::malformed("the server does not speak POP3");
  if (!greeted_) {
    if (!line.starts_with("+OK")) return request::refused(kNoWelcome, line);
    greeted_ = true;
    return request::answered(end + 1, text.size(), "STLS\r\n");
  }
  if (!line.starts_with("+OK")) return request::refused(kNoTls, line);
  return request::go_ahead(end + 1, text.size());
}

}  // namespace headgate
