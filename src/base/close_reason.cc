#include "base/close_reason.h"

#include <array>

namespace headgate {
namespace {

using enum CloseWeight;

// In the order of the enumeration.
constexpr std::array<CloseReasonRow, kCloseReasonCount> kRows{{
    {"finished", Side::kNone, kQuiet},
    {"probe", Side::kClient, kQuiet},
    {"client_left_in_handshake", Side::kClient, kFailure},
    {"handshake_failed", Side::kClient, kFailure},
    {"handshake_timeout", Side::kClient, kFailure},
    {"slow_hello", Side::kClient, kFailure},
    {"handshake_shed", Side::kNone, kFailure},
    {"plaintext_http", Side::kClient, kFailure},
    {"not_tls", Side::kClient, kFailure},
    {"source_denied", Side::kClient, kFailure},
    {"source_penalized", Side::kClient, kFailure},
    {"connection_limit", Side::kNone, kFailure},
    {"source_limit", Side::kClient, kFailure},
    {"memory_limit", Side::kNone, kFailure},
    {"out_of_descriptors", Side::kNone, kFailure},
    {"proxy_header_malformed", Side::kClient, kFailure},
    {"starttls_malformed", Side::kClient, kFailure},
    {"starttls_ended", Side::kClient, kQuiet},
    {"starttls_not_requested", Side::kClient, kFailure},
    {"client_not_allowed", Side::kClient, kFailure},
    {"client_revoked", Side::kClient, kFailure},
    {"client_expired", Side::kClient, kFailure},
    {"client_untrusted", Side::kClient, kFailure},
    {"no_route", Side::kNone, kFailure},
    {"no_backend", Side::kBackend, kFailure},
    {"backend_connect_failed", Side::kBackend, kFailure},
    {"backend_connect_timeout", Side::kBackend, kFailure},
    {"backend_handshake_failed", Side::kBackend, kFailure},
    {"backend_starttls_failed", Side::kBackend, kFailure},
    {"backend_plaintext", Side::kBackend, kFailure},
    {"client_reset", Side::kClient, kFailure},
    {"backend_reset", Side::kBackend, kFailure},
    {"client_truncated", Side::kClient, kQuiet},
    {"backend_truncated", Side::kBackend, kFailure},
    {"client_protocol_error", Side::kClient, kFailure},
    {"backend_protocol_error", Side::kBackend, kFailure},
    {"client_flood", Side::kClient, kFailure},
    {"backend_flood", Side::kBackend, kFailure},
    {"slow_reader", Side::kClient, kFailure},
    {"idle_timeout", Side::kNone, kQuiet},
    {"half_close_timeout", Side::kNone, kQuiet},
    {"lifetime", Side::kNone, kQuiet},
    {"drained", Side::kNone, kQuiet},
    {"cut", Side::kNone, kQuiet},
    {"moved", Side::kNone, kQuiet},
    {"internal", Side::kNone, kFailure},
}};

constexpr std::array<std::string_view, kHandshakeFailureCount> kFailureNames{
    "none",
    "no_shared_cipher",
    "no_shared_group",
    "unsupported_version",
    "unknown_name",
    "no_shared_alpn",
    "client_certificate_missing",
    "client_certificate_expired",
    "client_certificate_untrusted",
    "client_certificate_revoked",
    "client_certificate_not_allowed",
    "peer_alert",
    "plaintext_http",
    "not_tls",
    "client_left",
    "protocol_error",
    "internal",
};

}  // namespace

const CloseReasonRow& row(CloseReason reason) {
  return kRows[static_cast<std::size_t>(reason)];
}

std::string_view name(Side side) {
  switch (side) {
    case Side::kNone:
      return "none";
    case Side::kClient:
      return "client";
    case Side::kBackend:
      return "backend";
  }
  return "none";
}

std::string_view name(HandshakeFailure failure) {
  return kFailureNames[static_cast<std::size_t>(failure)];
}

}  // namespace headgate
