#include "connection/ends.h"

namespace headgate {
namespace {

using enum Farewell;

// In the order of the enumeration. Columns: TLS client, plain client, TLS backend, plain backend.
constexpr std::array<EndRow, kEndCauseCount> kTable{{
    {EndCause::kOtherEnded,
     {kInOrder, kInOrder, kInOrder, kInOrder},
     Alert::kCloseNotify,
     "the other side ended in order",
     "the end is the other side's own"},
    {EndCause::kOtherBrokeOff,
     {kCutShort, kReset, kReset, kReset},
     Alert::kCloseNotify,
     "the other side broke off: RST, a FIN in the middle of a record, a fatal alert, a bad record",
     "bytes may be missing; a TLS client sees that by the missing close_notify, every other peer by the "
     "reset"},
    {EndCause::kClientCutShort,
     {kNothing, kNothing, kInOrder, kInOrder},
     Alert::kCloseNotify,
     "the client's FIN without close_notify, between two records",
     "many clients end so when they have sent everything"},
    {EndCause::kBackendCutShort,
     {kCutShort, kReset, kNothing, kNothing},
     Alert::kCloseNotify,
     "the backend's FIN without close_notify, between two records",
     "the response may lack its end, and must not look whole"},
    {EndCause::kUnreachable,
     {kAlert, kReset, kNothing, kNothing},
     Alert::kInternalError,
     "no backend can be reached",
     "the client did nothing wrong; under STARTTLS it hears its protocol's own error first"},
    {EndCause::kAtRest,
     {kInOrder, kInOrder, kInOrder, kInOrder},
     Alert::kCloseNotify,
     "idle, or drained while at rest",
     "nothing was under way, so nothing is cut"},
    {EndCause::kCut,
     {kAlert, kReset, kReset, kReset},
     Alert::kInternalError,
     "cut by Headgate: lifetime, the deadline of a drain, SIGINT, a slow reader, idle with bytes "
     "that a peer does not take",
     "what was under way is not whole"},
    {EndCause::kRevoked,
     {kAlert, kReset, kReset, kReset},
     Alert::kCertificateRevoked,
     "cut because the client's certificate was revoked",
     "the client learns why; what it sent is not whole"},
    {EndCause::kExpired,
     {kAlert, kReset, kReset, kReset},
     Alert::kCertificateExpired,
     "cut because the client's certificate expired",
     "the client learns why; what it sent is not whole"},
    {EndCause::kNotAllowed,
     {kAlert, kReset, kReset, kReset},
     Alert::kAccessDenied,
     "cut because the client's CA or its place in the allow list is gone",
     "the client learns why; what it sent is not whole"},
}};

consteval bool is_in_order() {
  for (std::size_t i = 0; i < kTable.size(); ++i) {
    if (kTable[i].cause != static_cast<EndCause>(i)) return false;
  }
  return true;
}
static_assert(is_in_order(), "row() finds a row by its place");

std::string_view name_of(Alert alert) {
  switch (alert) {
    case Alert::kInternalError:
      return "internal_error";
    case Alert::kCertificateRevoked:
      return "certificate_revoked";
    case Alert::kCertificateExpired:
      return "certificate_expired";
    case Alert::kAccessDenied:
      return "access_denied";
    default:
      return "";
  }
}

std::string words(const EndRow& row, PeerKind kind) {
  const bool tls = kind == PeerKind::kTlsClient || kind == PeerKind::kTlsBackend;
  switch (row.farewell(kind)) {
    case kNothing:
      return "";
    case kInOrder:
      return tls ? "close_notify, FIN" : "FIN";
    case kCutShort:
      return tls ? "FIN without close_notify" : "FIN";
    case kAlert:
      return "alert " + std::string(name_of(row.alert)) + ", FIN";
    case kReset:
      return "RST";
  }
  return "";
}

}  // namespace

PeerKind peer_kind(const Stream& stream, Side side) {
  if (side == Side::kClient) return stream.is_tls() ? PeerKind::kTlsClient : PeerKind::kPlainClient;
  return stream.is_tls() ? PeerKind::kTlsBackend : PeerKind::kPlainBackend;
}

const EndRow& row(EndCause cause) {
  return kTable[static_cast<std::size_t>(cause)];
}

EndCause cause_of(CloseReason reason, HandshakeFailure failure) {
  switch (reason) {
    case CloseReason::kNoRoute:
    case CloseReason::kNoBackend:
    case CloseReason::kBackendConnectFailed:
    case CloseReason::kBackendConnectTimeout:
    case CloseReason::kBackendHandshakeFailed:
    case CloseReason::kBackendStarttlsFailed:
    case CloseReason::kBackendPlaintext:
      return EndCause::kUnreachable;
    case CloseReason::kClientRevoked:
      return EndCause::kRevoked;
    case CloseReason::kClientExpired:
      return EndCause::kExpired;
    case CloseReason::kClientUntrusted:
      return EndCause::kNotAllowed;
    case CloseReason::kClientNotAllowed:
      if (failure == HandshakeFailure::kClientCertificateRevoked) return EndCause::kRevoked;
      if (failure == HandshakeFailure::kClientCertificateExpired) return EndCause::kExpired;
      return EndCause::kNotAllowed;
    default:
      return EndCause::kCut;
  }
}

std::string table_of_ends() {
  std::string table =
      "| what happened | TLS client | plain client | TLS backend | plain backend | why |\n"
      "| --- | --- | --- | --- | --- | --- |\n";
  for (const EndRow& one : kTable) {
    table += "| " + std::string(one.what) + " |";
    for (std::size_t kind = 0; kind < kPeerKindCount; ++kind) {
      const std::string seen = words(one, static_cast<PeerKind>(kind));
      table += seen.empty() ? " |" : " " + seen + " |";
    }
    table += " " + std::string(one.why) + " |\n";
  }
  return table;
}

}  // namespace headgate
