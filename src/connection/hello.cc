#include <optional>
#include <string>
#include <string_view>

#include "connection/phase.h"
#include "net/gather.h"
#include "tls/handshake/alert.h"
#include "tls/handshake/client_hello.h"
#include "tls/handshake/handshake_failure.h"
#include "tls/record/record_layer.h"

namespace headgate {
namespace {

// Room for the longest ClientHello in the most records, so that the reader has always decided before the room
// is full. The rest is for bytes behind a ClientHello, which the client of a shorter one sends without
// waiting: early data.
constexpr std::size_t kMaxReceivedBytes =
    kMaxClientHelloBytes + kMaxClientHelloRecords * kRecordHeaderBytes + 4096;

// A ClientHello of 4 KiB and 16 KiB of early data fit. The bytes of a longer one count as those of an
// unfinished one until the handshake is done, since OpenSSL keeps the message as long as that.
constexpr std::size_t kOrdinaryReceivedBytes = std::size_t{32} * 1024;

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

/// The client is gone after an orderly end, or it says why it gives up. RFC 8446, section 6.1.
Step end_as_client_says(Context& context, const ClientHelloError& error) {
  context.info.detail = error.what;
  if (error.alert == Alert::kCloseNotify || error.alert == Alert::kUserCanceled) {
    context.info.failure = HandshakeFailure::kClientLeft;
    return Close{CloseReason::kClientLeftInHandshake};
  }
  context.info.alert = static_cast<std::int16_t>(error.alert);
  return refuse(context, CloseReason::kHandshakeFailed, HandshakeFailure::kPeerAlert, error.what);
}

Step refuse_http(Context& context) {
  context.sides.client->write(std::as_bytes(std::span(kHttpAnswer)));
  return refuse(context, CloseReason::kPlaintextHttp, HandshakeFailure::kPlaintextHttp,
                "plain HTTP on a TLS port");
}

/// Answers first bytes that are no TLS. Nothing for those that are, or may be.
std::optional<Step> refuse_other_protocols(FirstBytes kind, Context& context) {
  switch (kind) {
    case FirstBytes::kTls:
    case FirstBytes::kUndecided:
      return std::nullopt;
    case FirstBytes::kPlainHttp:
      return refuse_http(context);
    case FirstBytes::kSsl2:
      // RFC 8446, appendix D.5: a server had better not accept it, and it offers no version that is served.
      return refuse_with_alert(context, CloseReason::kHandshakeFailed, HandshakeFailure::kUnsupportedVersion,
                               Alert::kProtocolVersion, "a ClientHello of SSL 2.0");
    case FirstBytes::kOther:
      return refuse_with_alert(context, CloseReason::kNotTls, HandshakeFailure::kNotTls,
                               Alert::kUnexpectedMessage, "the first bytes are not TLS");
  }
  return std::nullopt;
}

/// Errors: kIncomplete; else the fault for which the client is refused.
ClientHelloResult read_on(Hello& phase) {
  if (!phase.reader) phase.reader = std::make_unique<ClientHelloReader>();
  return phase.reader->resume(phase.received);
}

Step await_rest(Hello& phase, Context& context) {
  if (phase.began == TimePoint{}) phase.began = context.services.host.now();
  return await_more(phase.received, phase.held, context);
}

/// Relays the client's TLS unchanged, if a route says so.
std::optional<Step> pass_through(Hello& phase, const ClientHello& hello, Context& context) {
  const RouteTable& routes = context.listener.policy->routes;
  if (!routes.has_passthrough()) return std::nullopt;
  const auto decision =
      routes.passthrough({.sni = hello.server_name, .alpn = hello.alpn, .link = context.info.link()});
  if (!decision) return std::nullopt;
  if (!hello.alpn.empty()) context.info.alpn = hello.alpn.front();
  context.sides.client =
      context.services.transport.unread(std::move(context.sides.client), std::move(phase.received));
  return connect_to(decision->backend, context);
}

/// RFC 8446, section 9.2: a server that requires a name says so. RFC 5246 does not have that alert.
Alert alert_for_name(const ClientHello& hello) {
  const bool knows_missing = hello.server_name.empty() && hello.offers_version(kTls13Number);
  return knows_missing ? Alert::kMissingExtension : Alert::kUnrecognizedName;
}

/// Whether the rates allow another handshake. One that the listener's rate forbids uses up nothing of the
/// process's.
bool has_rate_for_handshake(Context& context) {
  const ListenerPolicy& policy = *context.listener.policy;
  const std::uint32_t of_listener = policy.config.limits.handshake_rate;
  if (of_listener > 0 && !policy.counters->take_handshake(of_listener, context.services.host.now())) {
    context.info.detail = "limits.handshake_rate";
    return false;
  }
  const Snapshot& shared = *context.snapshot.shared;
  const std::uint32_t of_process = shared.config.limits.handshake_rate;
  if (of_process > 0 && !shared.counters->take_handshake(of_process, context.services.host.now())) {
    context.info.detail = "limits.handshake_rate of the process";
    return false;
  }
  return true;
}

Step begin_handshake(Hello& phase, const ClientHello& hello, Context& context) {
  const std::shared_ptr<ServerContext>& tls = context.listener.tls_for(hello.server_name);
  const Selection selection = tls->select(hello);
  if (selection.certificate == nullptr) {
    return refuse_with_alert(context, CloseReason::kHandshakeFailed, HandshakeFailure::kUnknownName,
                             alert_for_name(hello), std::string(selection.why), ClientOffer(hello));
  }
  if (!has_rate_for_handshake(context)) return Close{CloseReason::kHandshakeShed};
  const std::size_t kept_bytes = phase.received.capacity();
  const bool uncommon = kept_bytes > kOrdinaryReceivedBytes;
  if (uncommon && !phase.held.hold(context.services.unfinished, context.connection, kept_bytes)) {
    context.info.detail = kUnfinishedHelloShed;
    return Close{CloseReason::kHandshakeShed};
  }
  auto task = std::make_unique<HandshakeTask>(context.services.permits, context.connection,
                                              *context.listener.policy, context.info.client.network());
  if (uncommon) task->held = std::move(phase.held);
  task->canary_arm = selection.group;
  task->hello = ClientOffer(hello);
  HandshakeStart start{.context = tls,
                       .certificate = selection.certificate,
                       .ticket = hello.ticket,
                       .tickets = hello.psk_identities,
                       .sends_early_data = hello.offers_early_data,
                       .takes_tickets = hello.offers_psk_dhe_ke,
                       .keeps_client_certificate = context.listener.policy->keeps_client_certificate,
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
  const FirstBytes kind = classify_first_bytes(phase.received);
  if (auto refused = refuse_other_protocols(kind, context)) return *std::move(refused);
  if (kind == FirstBytes::kUndecided) return await_rest(phase, context);
  auto hello = read_on(phase);
  if (!hello) {
    const ClientHelloError& error = hello.error();
    if (error.kind == ErrorKind::kIncomplete) return await_rest(phase, context);
    if (error.is_from_client) return end_as_client_says(context, error);
    return refuse_with_alert(context, CloseReason::kHandshakeFailed, HandshakeFailure::kProtocolError,
                             error.alert, error.what);
  }
  context.info.server_name = hello->server_name;
  if (context.snapshot.shared->config.log.ja4 && hello->is_whole())
    context.info.made_facts().ja4 = hello->ja4();
  if (auto passed = pass_through(phase, *hello, context)) return *std::move(passed);
  join_records(phase.received, *hello);
  return begin_handshake(phase, *hello, context);
}

}  // namespace headgate
