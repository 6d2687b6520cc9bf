#include <optional>

#include "connection/gather.h"
#include "connection/phase.h"

namespace headgate {
namespace {

IoStatus say(Stream& client, std::string_view words) {
  return words.empty() ? IoStatus::kDone : client.write(std::as_bytes(std::span(words)));
}

/// Opens the dialogue and greets. Nothing: the dialogue goes on.
std::optional<Step> begin(StarttlsIn& phase, Context& context) {
  auto dialogue = open_starttls(*context.listener.policy->config.starttls);
  if (!dialogue) {
    context.info.detail = dialogue.error().what;
    return Close{CloseReason::kInternal};
  }
  phase.dialogue = *std::move(dialogue);
  if (say(*context.sides.client, phase.dialogue->greeting()) == IoStatus::kFailed) {
    return Close{CloseReason::kClientLeftInHandshake};
  }
  return std::nullopt;
}

Step left(const StarttlsIn& phase) {
  return Close{phase.spoken_to ? CloseReason::kClientLeftInHandshake : CloseReason::kProbe};
}

std::optional<Step> act_on(StarttlsIn& phase) {
  switch (phase.state) {
    case StarttlsState::kNeedMore:
      return std::nullopt;
    case StarttlsState::kTlsBegins:
      return Phase(Hello{.received = std::move(phase.received)});
    case StarttlsState::kEnded:
      return Phase(Shutdown{CloseReason::kClientLeftInHandshake});
    case StarttlsState::kPlaintext:
    case StarttlsState::kMalformed:
      return Phase(Shutdown{CloseReason::kStarttlsMalformed});
  }
  return std::nullopt;
}

}  // namespace

Step step(StarttlsIn& phase, Context& context) {
  Stream& client = *context.sides.client;
  if (!phase.dialogue) {
    if (auto end = begin(phase, context)) return *std::move(end);
  }
  if (client.unsent_bytes() > 0) {
    const IoStatus flushed = client.flush();
    if (flushed == IoStatus::kFailed) return Close{CloseReason::kClientLeftInHandshake};
    if (flushed == IoStatus::kWantWrite) return Wait{.client = Interest::kWrite};
  }
  if (auto end = act_on(phase)) return *std::move(end);
  for (;;) {
    if (!phase.received.empty()) {
      const StarttlsStep answer = phase.dialogue->feed(phase.received);
      phase.received.erase(phase.received.begin(),
                           phase.received.begin() + static_cast<std::ptrdiff_t>(answer.consumed_bytes));
      const IoStatus said = say(client, answer.reply);
      if (said == IoStatus::kFailed) return Close{CloseReason::kClientLeftInHandshake};
      phase.state = answer.state;
      if (said == IoStatus::kWantWrite)
        return await_more(phase.received, phase.held, context, Wait{.client = Interest::kWrite});
      if (auto end = act_on(phase)) return *std::move(end);
    }
    const IoStatus status =
        gather(client, phase.received, context.services.buffers.plaintext, kMaxStarttlsInputBytes);
    if (status == IoStatus::kWantRead) return await_more(phase.received, phase.held, context);
    if (status != IoStatus::kDone) return left(phase);
    phase.spoken_to = true;
  }
}

}  // namespace headgate
