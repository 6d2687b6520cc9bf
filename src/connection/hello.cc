#include <string>
#include <string_view>

#include "connection/gather.h"
#include "connection/phase.h"
#include "tls/handshake/alert.h"
#include "tls/handshake/client_hello.h"
#include "tls/handshake/handshake_failure.h"

namespace headgate {
namespace {

// Room for a ClientHello and the bytes that a client may send behind it without waiting; a TLS 1.3 client
// waits.
constexpr std::size_t kMaxReceivedBytes = kMaxClientHelloBytes + 4096;

constexpr std::string_view kHttpAnswer =
    "HTTP/1.1 400 Bad Request\r\n"
    "Content-Type: text/plain\r\n"
    "Content-Length: 59\r\n"
    "Connection: close\r\n"
    "\r\n"
    "This port speaks TLS: use https:// in place of http:// here";

Step refuse(Context& context, CloseReason reason, HandshakeFailure failure, std::string_view detail,
            ClientOffer offer = {}) {
  context.info.failure = failure;
  context.info.detail = detail;
  context.services.recorder.failed(
      context.listener.policy->config.name, context.info, HandshakeResult::kFailed,
      {.total = context.services.host.now() - context.info.accepted}, std::move(offer));
  return Phase(Shutdown{reason});
}

Step refuse_with_alert(Context& context, CloseReason reason, HandshakeFailure failure, Alert alert,
                       std::string_view detail, ClientOffer offer = {}) {
  context.sides.client->write(fatal_alert_record(alert));
  context.info.alert = static_cast<std::int16_t>(alert);
  return refuse(context, reason, failure, detail, std::move(offer));
}

Step refuse_http(Context& context) {
  context.sides.client->write(std::as_bytes(std::span(kHttpAnswer)));
  return refuse(context, CloseReason::kPlaintextHttp, HandshakeFailure::kPlaintextHttp,
                "plain HTTP on a TLS port");
}

/// Errors: kIncomplete; else the fault for which the client is refused.
Result<ClientHello> read_on(Hello& phase) {
  if (!phase.reader) phase.reader = std::make_unique<ClientHelloReader>();
  auto hello = phase.reader->resume(phase.received);
  if (hello || hello.error().kind != ErrorKind::kIncomplete || phase.received.size() < kMaxReceivedBytes)
    return hello;
  return fail(ErrorKind::kRefused, "the records of the ClientHello take more than " +
                                       std::to_string(kMaxReceivedBytes) + " bytes");
}

void count_dry_runs(const ClientHello& hello, ListenerState& listener) {
  for (const auto& policy : listener.policy->config.tls->dry_run) {
    if (policy == "tls13_only" && tls13_only_would_refuse(hello))
      listener.metrics->would_refuse_tls13_only.add();
    if (policy == "pq_only" && pq_only_would_refuse(hello)) listener.metrics->would_refuse_pq_only.add();
  }
}

/// Relays the client's TLS unchanged, if a route says so.
std::optional<Step> pass_through(Hello& phase, const ClientHello& hello, Context& context) {
  const RouteTable& routes = context.listener.policy->routes;
  if (!routes.has_passthrough()) return std::nullopt;
  const auto decision = routes.passthrough({.sni = hello.server_name, .alpn = hello.alpn});
  if (!decision) return std::nullopt;
  if (!hello.alpn.empty()) context.info.alpn = hello.alpn.front();
  context.sides.client =
      context.services.transport.unread(std::move(context.sides.client), std::move(phase.received));
  return connect_to(decision->backend, context);
}

Step begin_handshake(Hello& phase, const ClientHello& hello, Context& context) {
  const Selection selection = context.listener.tls->select(hello);
  if (selection.certificate == nullptr) {
    return refuse_with_alert(context, CloseReason::kHandshakeFailed, HandshakeFailure::kUnknownName,
                             Alert::kUnrecognizedName, std::string(selection.why), ClientOffer(hello));
  }
  const config::Limits& limits = context.listener.policy->config.limits;
  if (limits.handshake_rate > 0 && !context.listener.policy->counters->take_handshake(
                                       limits.handshake_rate, context.services.host.now())) {
    context.info.detail = "limits.handshake_rate";
    return Close{CloseReason::kHandshakeShed};
  }
  auto task = std::make_unique<HandshakeTask>(context.services.permits, context.connection,
                                              *context.listener.policy, context.info.client.network());
  task->canary_arm = selection.group;
  task->hello = ClientOffer(hello);
  HandshakeStart start{.context = context.listener.tls,
                       .certificate = selection.certificate,
                       .ticket = hello.ticket,
                       .tickets = hello.psk_identities,
                       .received = std::move(phase.received)};
  task->handshake = context.services.handshakes.accept(std::move(context.sides.client), std::move(start));
  return Phase(Handshake{.task = std::move(task)});
}

}  // namespace

Step step(Hello& phase, Context& context) {
  if (phase.received.empty() || context.ready.client != Interest::kNone) {
    const IoStatus status =
        gather(*context.sides.client, phase.received, context.services.buffers.plaintext, kMaxReceivedBytes);
    if (status == IoStatus::kWantRead && phase.received.empty()) return Wait{.client = Interest::kRead};
    if (status == IoStatus::kEnded || status == IoStatus::kFailed) {
      if (phase.received.empty()) return Close{CloseReason::kProbe};
      context.info.failure = HandshakeFailure::kClientLeft;
      return Close{CloseReason::kClientLeftInHandshake};
    }
  }
  switch (classify_first_bytes(phase.received)) {
    case FirstBytes::kTls:
      break;
    case FirstBytes::kPlainHttp:
      return refuse_http(context);
    case FirstBytes::kOther:
      return refuse_with_alert(context, CloseReason::kNotTls, HandshakeFailure::kNotTls,
                               Alert::kUnexpectedMessage, "the first bytes are not TLS");
  }
  auto hello = read_on(phase);
  if (!hello && hello.error().kind == ErrorKind::kIncomplete)
    return await_more(phase.received, phase.held, context);
  if (!hello) {
    const bool malformed = hello.error().kind == ErrorKind::kMalformed;
    return refuse_with_alert(context, CloseReason::kHandshakeFailed, HandshakeFailure::kProtocolError,
                             malformed ? Alert::kDecodeError : Alert::kUnexpectedMessage, hello.error().what);
  }
  context.info.server_name = hello->server_name;
  count_dry_runs(*hello, context.listener);
  if (auto passed = pass_through(phase, *hello, context)) return *std::move(passed);
  join_records(phase.received, *hello);
  return begin_handshake(phase, *hello, context);
}

}  // namespace headgate
