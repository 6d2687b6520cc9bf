#include "connection/mysql_dial.h"

#include <utility>

#include "connection/connection.h"
#include "connection/dial.h"
#include "connection/reached_server.h"
#include "net/gather.h"
#include "net/starttls/request_steps.h"
#include "tls/record/record_layer.h"

namespace headgate {
namespace {

bool client_has_mysql_tls(const Context& context) {
  return context.listener.policy->config.starttls == StarttlsProtocol::kMysql;
}

/// The client is greeted by this server, so no other one can take its place. What follows is the client's
/// time.
void settle_on_this_server(Dial& dial, Context& context) {
  dial.attempts = dial.backend->picker->group().config.connect_attempts;
  dial.asked = context.services.host.now();
}

void end_the_clients_time(Dial& dial, Context& context) {
  dial.started += context.services.host.now() - dial.asked;
}

/// A greeting without an offer of TLS is as good where no TLS is wanted: on a unix socket.
RequestStep judge_greeting(const Dial& dial) {
  mysql::Greeting greeting = mysql::read_greeting(dial.greeting);
  greeting.offers_tls = greeting.offers_tls || !dial.backend->tls;
  return request::of_greeting(greeting, dial.greeting.size());
}

/// What a step of a login came to, and the side whose stream said so.
struct LoginStep {
  IoStatus status;
  Side side;
};

/// Passes on what has come of a login in one direction, as far as one read goes. kDone: bytes have passed.
LoginStep pass_login(Dial& dial, Context& context, Side from_side) {
  const bool from_client = from_side == Side::kClient;
  const Side to_side = from_client ? Side::kBackend : Side::kClient;
  Stream& from = from_client ? *context.sides.client : *context.sides.backend;
  Stream& to = from_client ? *context.sides.backend : *context.sides.client;
  if (to.unsent_bytes() > 0) {
    const IoStatus flushed = to.flush();
    if (flushed != IoStatus::kDone) return {flushed, to_side};
  }
  const ReadResult got = from.read(context.services.buffers.plaintext);
  if (got.status != IoStatus::kDone) return {got.status, from_side};
  const auto bytes = std::span(context.services.buffers.plaintext).first(got.size_bytes);
  if (from_client) {
    context.info.bytes_from_client += bytes.size();
    dial.login->from_client(bytes);
  } else {
    context.info.bytes_to_client += bytes.size();
    dial.login->from_server(bytes);
  }
  dial.started = context.services.host.now();
  return {to.write(bytes) == IoStatus::kFailed ? IoStatus::kFailed : IoStatus::kDone, to_side};
}

/// The end of a login in which a side has ended or has failed.
Close login_broke(Context& context, Side side) {
  const bool client = side == Side::kClient;
  const Stream& from = client ? *context.sides.client : *context.sides.backend;
  const std::string& what = from.failure().what;
  context.info.detail = what.empty() ? "it ended in the middle of the login" : what;
  return Close{client ? CloseReason::kClientLeftInHandshake : CloseReason::kBackendReset};
}

/// A server gives its client only so long to log in, then says an error and ends. It has failed at nothing,
/// so that a slow client cannot make servers look broken.
Close did_not_wait(const Dial& dial, Context& context) {
  context.info.detail =
      dial.choice->lease.server().label() + ": the server did not wait for the client's login";
  return Close{CloseReason::kBackendStarttlsFailed};
}

/// Whether `said` begins with a packet by which a server ends the connection.
bool says_error(std::span<const std::byte> said) {
  constexpr std::byte kErrorMark{0xFF};
  return said.size() > mysql::kHeaderBytes && said[mysql::kHeaderBytes] == kErrorMark;
}

/// Looks what the server has done in the client's time. Nothing: it waits, or the attempt has failed, so that
/// the stage is another one.
std::optional<Step> look_at_waiting_server(Dial& dial, Context& context) {
  auto& room = context.services.buffers.plaintext;
  const ReadResult got = context.sides.backend->read(room);
  if (got.status == IoStatus::kWantRead) return std::nullopt;
  const bool has_spoken = got.status == IoStatus::kDone;
  if (!has_spoken || says_error(std::span(room).first(got.size_bytes))) return did_not_wait(dial, context);
  attempt_failed(dial, context, ConnectFailure::kPlaintext,
                 "the server sent plaintext behind its greeting, before TLS");
  return std::nullopt;
}

/// What a side is watched for during a login: its bytes while the other side takes them, and room for those
/// that it has not taken.
Interest login_interest(const Stream& side, const Stream& other) {
  return interest_if(other.unsent_bytes() == 0, Interest::kRead) |
         interest_if(side.unsent_bytes() > 0, Interest::kWrite);
}

}  // namespace

bool is_mysql(const Dial& dial, const Context& context) {
  return client_has_mysql_tls(context) || asked_in(dial) == StarttlsProtocol::kMysql;
}

std::optional<Wait> meet(Dial& dial, Context& context) {
  for (;;) {
    RequestStep step = judge_greeting(dial);
    if (step.state == RequestState::kTlsBegins) {
      settle_on_this_server(dial, context);
      dial.stage = Dial::Stage::kMet;
      return std::nullopt;
    }
    if (step.state != RequestState::kNeedMore) {
      const bool plaintext = step.state == RequestState::kPlaintextBehind;
      attempt_failed(dial, context, plaintext ? ConnectFailure::kPlaintext : ConnectFailure::kStarttls,
                     std::move(step.why));
      return std::nullopt;
    }
    const IoStatus status = gather(*context.sides.backend, dial.greeting, context.services.buffers.plaintext,
                                   kMaxStarttlsInputBytes + 1);
    if (status == IoStatus::kWantRead) return Wait{.backend = Interest::kRead};
    if (status == IoStatus::kDone) continue;
    if (status == IoStatus::kEnded) {
      attempt_failed(dial, context, ConnectFailure::kStarttls, "the server ended before its greeting");
    } else {
      stream_failed(dial, context);
    }
    return std::nullopt;
  }
}

std::optional<Step> pass_greeting_on(Dial& dial, Context& context) {
  if (auto wait = flush_to_client(context)) return wait;
  mysql::set_offer(dial.greeting, mysql::read_greeting(dial.greeting), mysql::Offer::kNoTls);
  if (context.sides.client->write(dial.greeting) == IoStatus::kFailed)
    return Close{CloseReason::kClientLeftInHandshake};
  dial.stage = Dial::Stage::kHearingClient;
  return std::nullopt;
}

std::optional<Step> hear_client(Dial& dial, Context& context) {
  if (auto wait = flush_to_client(context)) return wait;
  for (;;) {
    const mysql::Answer answer = mysql::read_answer(dial.client_said);
    if (answer == mysql::Answer::kLogin) break;
    if (answer != mysql::Answer::kNeedMore) {
      context.info.detail = "the client's answer to the greeting is no login without TLS";
      return Close{CloseReason::kStarttlsMalformed};
    }
    // No more than that: the rest of the login passes when the server is ready for it. TLS gives a record at
    // a time.
    const bool in_tls = !context.info.tls->version.empty();
    const std::size_t most_bytes =
        in_tls ? dial.client_said.size() + kMaxRecordContentBytes : mysql::kRequestBytes;
    const IoStatus status =
        gather(*context.sides.client, dial.client_said, context.services.buffers.plaintext, most_bytes);
    if (status == IoStatus::kWantRead) return Wait{.client = Interest::kRead};
    if (status != IoStatus::kDone) return Close{CloseReason::kClientLeftInHandshake};
  }
  end_the_clients_time(dial, context);
  dial.stage = Dial::Stage::kRequestingTls;
  return std::nullopt;
}

std::optional<Step> request_tls(Dial& dial, Context& context) {
  const bool said = std::exchange(dial.requested, true);
  if (!said) {
    if (auto end = look_at_waiting_server(dial, context)) return end;
    if (dial.stage != Dial::Stage::kRequestingTls) return std::nullopt;
  }
  Stream& server = *context.sides.backend;
  const IoStatus status = said ? server.flush() : server.write(mysql::request_for(dial.client_said));
  if (status == IoStatus::kWantWrite) return Wait{.backend = Interest::kWrite};
  if (status != IoStatus::kDone) {
    stream_failed(dial, context);
    return std::nullopt;
  }
  await_permit(dial, context);
  return Wait{};
}

std::optional<Step> begin_login(Dial& dial, Context& context) {
  const bool client_has_tls = client_has_mysql_tls(context);
  if (client_has_tls && dial.backend->tls) return Phase(relay_to(dial, context));
  dial.login.emplace(client_has_tls ? mysql::Login::TlsSide::kClient : mysql::Login::TlsSide::kServer);
  dial.relay = relay_to(dial, context);
  dial.started = context.services.host.now();
  dial.stage = Dial::Stage::kLogin;
  if (client_has_tls) return std::nullopt;  // what the client has said was the request for TLS
  std::vector<std::byte> said = std::exchange(dial.client_said, {});
  dial.login->from_client(said);
  context.info.bytes_from_client += said.size();
  if (context.sides.backend->write(said) == IoStatus::kFailed) return login_broke(context, Side::kBackend);
  return std::nullopt;
}

Step pass_login_on(Dial& dial, Context& context) {
  for (const Side side : {Side::kBackend, Side::kClient}) {
    const auto [status, said_by] = pass_login(dial, context, side);
    if (dial.login->is_over()) return Phase(*std::exchange(dial.relay, std::nullopt));
    if (status == IoStatus::kEnded || status == IoStatus::kFailed) return login_broke(context, said_by);
    // One read at a time: a peer that sends without a pause does not keep the loop.
    if (status == IoStatus::kDone) context.services.host.call_again(context.connection);
  }
  const Stream& client = *context.sides.client;
  const Stream& backend = *context.sides.backend;
  return Wait{.client = login_interest(client, backend), .backend = login_interest(backend, client)};
}

std::unique_ptr<Dial> dial_early(Context& context) {
  auto dial = dial_to(context.listener.policy->config.backend, context);
  if (dial) dial->early = true;
  return dial;
}

void ServerDialogue::open() {
  std::vector<std::byte>& greeting = dial_->greeting;
  mysql::set_offer(greeting, mysql::read_greeting(greeting), mysql::Offer::kTls);
  with_client_ = open_mysql_starttls(greeting);
}

ServerDialogue* server_dialogue(const StarttlsIn& phase, const Context& context) {
  return client_has_mysql_tls(context) ? static_cast<ServerDialogue*>(phase.dialogue.get()) : nullptr;
}

void put_aside(ServerDialogue& dialogue, std::span<const std::byte> request, Context& context) {
  std::unique_ptr<Dial> dial = dialogue.take_dial();
  dial->client_said.assign(request.begin(), request.end());
  context.sides.backend = std::make_unique<ReachedServer>(
      ReachedServer::Parts{.dial = std::move(dial), .stream = std::move(context.sides.backend)});
}

std::unique_ptr<Dial> take_up(Context& context) {
  ReachedServer::Parts parts = static_cast<ReachedServer&>(*context.sides.backend).take();
  context.sides.backend = std::move(parts.stream);
  Dial& dial = *parts.dial;
  end_the_clients_time(dial, context);
  dial.early = false;
  dial.stage = dial.backend->tls ? Dial::Stage::kRequestingTls : Dial::Stage::kAwaitingGreeting;
  return std::move(parts.dial);
}

}  // namespace headgate
