#include "net/starttls/request_steps.h"

#include <algorithm>

namespace headgate::request {
namespace {

constexpr std::size_t kMaxQuotedBytes = 80;

RequestStep if_alone(RequestState state, std::size_t answer_bytes, std::size_t received_bytes) {
  if (answer_bytes == received_bytes) return {state, answer_bytes, {}};
  return {RequestState::kPlaintextBehind, 0, {}, "the server sent plaintext behind its answer, before TLS"};
}

}  // namespace

RequestStep go_ahead(std::size_t go_ahead_bytes, std::size_t received_bytes) {
  return if_alone(RequestState::kTlsBegins, go_ahead_bytes, received_bytes);
}

RequestStep answered(std::size_t answer_bytes, std::size_t received_bytes, std::string say) {
  RequestStep step = if_alone(RequestState::kNeedMore, answer_bytes, received_bytes);
  if (step.state == RequestState::kNeedMore) step.say = std::move(say);
  return step;
}

RequestStep refused(std::string_view why, std::string_view answer) {
  std::string text(why);
  if (!answer.empty()) text += ": " + quoted(answer);
  return {RequestState::kRefused, 0, {}, std::move(text)};
}

RequestStep of_greeting(const mysql::Greeting& greeting, std::size_t received_bytes) {
  switch (greeting.state) {
    case mysql::Greeting::State::kNeedMore:
      return {};
    case mysql::Greeting::State::kError:
      return refused("the server does not welcome us", greeting.error);
    case mysql::Greeting::State::kMalformed:
      return malformed("the server does not speak MySQL's protocol");
    case mysql::Greeting::State::kDone:
      break;
  }
  if (!greeting.offers_tls) return refused("the server has no TLS: give it a certificate", {});
  return go_ahead(greeting.size_bytes, received_bytes);
}

std::string quoted(std::string_view answer) {
  std::string text(answer.substr(0, std::min(answer.find_first_of("\r\n"), kMaxQuotedBytes)));
  std::replace_if(text.begin(), text.end(), [](char c) { return c < ' ' || c > '~' || c == '"'; }, '?');
  return '"' + text + '"';
}

RequestStep malformed(std::string_view why) {
  return {RequestState::kMalformed, 0, {}, std::string(why)};
}

}  // namespace headgate::request
