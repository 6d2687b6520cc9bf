#include <optional>

#include "connection/connection.h"
#include "connection/dial.h"
#include "connection/mysql_dial.h"
#include "connection/phase.h"
#include "connection/postgres_dial.h"
#include "net/gather.h"
#include "net/starttls/unavailable.h"

namespace headgate {
namespace {

IoStatus say(Stream& client, std::string_view words) {
  return words.empty() ? IoStatus::kDone : client.write(std::as_bytes(std::span(words)));
}

/// MySQL: tells the client, in place of the greeting, that there is no server.
Step refuse_for_lack_of_a_server(CloseReason reason, Context& context) {
  context.connection.forget_backend();
  context.sides.backend.reset();
  if (say(*context.sides.client, mysql_unavailable_greeting()) == IoStatus::kFailed) return Close{reason};
  return Phase(Shutdown{reason});
}

/// MySQL: reaches the server whose greeting the client gets. Nothing: the dialogue is open.
std::optional<Step> open_with_server(StarttlsIn& phase, Context& context) {
  if (!phase.dialogue) {
    auto dial = dial_early(context);
    if (!dial) return Close{CloseReason::kNoRoute};
    phase.dialogue = std::make_unique<ServerDialogue>(std::move(dial));
  }
  ServerDialogue& dialogue = *server_dialogue(phase, context);
  if (auto next = take_stages(*dialogue.dial(), context)) {
    const auto* close = std::get_if<Close>(&*next);
    return close == nullptr ? std::move(*next) : refuse_for_lack_of_a_server(close->reason, context);
  }
  dialogue.open();
  return std::nullopt;
}

/// Opens the dialogue. Nothing: it is open.
std::optional<Step> open(StarttlsIn& phase, Context& context) {
  const StarttlsProtocol protocol = *context.listener.policy->config.starttls;
  if (protocol == StarttlsProtocol::kMysql) return open_with_server(phase, context);
  auto dialogue = open_starttls(protocol);
  if (!dialogue) {
    context.info.detail = dialogue.error().what;
    return Close{CloseReason::kInternal};
  }
  phase.dialogue = *std::move(dialogue);
  return std::nullopt;
}

Step left(const StarttlsIn& phase) {
  return Close{phase.spoken_to ? CloseReason::kClientLeftInHandshake : CloseReason::kProbe};
}

/// Opens the dialogue and greets. Nothing: the dialogue goes on.
std::optional<Step> begin(StarttlsIn& phase, Context& context) {
  if (auto next = open(phase, context)) return next;
  if (say(*context.sides.client, phase.dialogue->greeting()) == IoStatus::kFailed) return left(phase);
  return std::nullopt;
}

/// Whether the client has been greeted, or need not be.
bool has_begun(const StarttlsIn& phase, const Context& context) {
  const ServerDialogue* dialogue = server_dialogue(phase, context);
  return dialogue != nullptr ? dialogue->is_open() : phase.dialogue != nullptr;
}

std::optional<Step> act_on(StarttlsIn& phase, Context& context) {
  switch (phase.state) {
    case StarttlsState::kNeedMore:
      return std::nullopt;
    case StarttlsState::kTlsBegins:
      return Phase(Hello{.received = std::move(phase.received)});
    case StarttlsState::kEnded:
      return Phase(Shutdown{CloseReason::kStarttlsEnded});
    case StarttlsState::kCancel:
      return cancel_in_plaintext(phase.received, context);
    case StarttlsState::kPlaintext:
      return Phase(Shutdown{CloseReason::kStarttlsNotRequested});
    case StarttlsState::kMalformed:
      return Phase(Shutdown{CloseReason::kStarttlsMalformed});
  }
  return std::nullopt;
}

}  // namespace

Step step(StarttlsIn& phase, Context& context) {
  Stream& client = *context.sides.client;
  if (!has_begun(phase, context)) {
    if (auto end = begin(phase, context)) return *std::move(end);
  }
  if (auto wait = flush_to_client(context)) return *std::move(wait);
  if (auto end = act_on(phase, context)) return *std::move(end);
  for (;;) {
    if (!phase.received.empty()) {
      const StarttlsStep answer = phase.dialogue->feed(phase.received);
      ServerDialogue* const with_server = server_dialogue(phase, context);
      if (with_server != nullptr && answer.state == StarttlsState::kTlsBegins)
        put_aside(*with_server, std::span(phase.received).first(answer.consumed_bytes), context);
      phase.received.erase(phase.received.begin(),
                           phase.received.begin() + static_cast<std::ptrdiff_t>(answer.consumed_bytes));
      const IoStatus said = say(client, answer.reply);
      if (said == IoStatus::kFailed) return Close{CloseReason::kClientLeftInHandshake};
      phase.state = answer.state;
      if (!answer.why.empty()) context.info.detail = std::string(answer.why);
      if (said == IoStatus::kWantWrite)
        return await_more(phase.received, phase.held, context, Wait{.client = Interest::kWrite});
      if (auto end = act_on(phase, context)) return *std::move(end);
    }
    const IoStatus status =
        gather(client, phase.received, context.services.buffers.plaintext, kMaxStarttlsInputBytes);
    if (status == IoStatus::kWantRead) return await_more(phase.received, phase.held, context);
    if (status != IoStatus::kDone) return left(phase);
    phase.spoken_to = true;
  }
}

}  // namespace headgate
