#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "net/starttls/dialogue.h"

namespace headgate {

/// The state of a request for TLS after a step.
enum class RequestState : std::uint8_t {
  kNeedMore,         ///< Send `say`, then wait for more bytes.
  kTlsBegins,        ///< Send `say` to its last byte, then begin the TLS handshake.
  kRefused,          ///< The server does not serve, or has no TLS for us.
  kMalformed,        ///< The server broke the protocol, or does not speak it.
  kPlaintextBehind,  ///< Bytes stand behind an answer after which the server has to wait.
};

/// What the caller has to do after one step. `consumed_bytes` counts from the start of what was fed.
struct RequestStep {
  RequestState state = RequestState::kNeedMore;
  std::size_t consumed_bytes = 0;
  std::string say;
  std::string why{};  ///< Of an end without TLS: a sentence for the operator.
};

/// The client's side of one protocol's upgrade to TLS, as bytes in and bytes out. One object for one
/// connection to a server; pure: no I/O and no clock. Any one thread.
///
/// Nothing that the server says before TLS goes on to a client: an attacker on the way could have said it.
/// For the same reason bytes behind an answer of the server are refused (kPlaintextBehind), above all behind
/// its go-ahead: after the handshake they would pass for the server's own.
class StarttlsRequest {
 public:
  virtual ~StarttlsRequest() = default;
  StarttlsRequest() = default;
  StarttlsRequest(const StarttlsRequest&) = delete;
  StarttlsRequest& operator=(const StarttlsRequest&) = delete;

  /// The bytes to send as soon as the server is connected; empty where the server speaks first.
  [[nodiscard]] virtual std::string_view opening() const { return {}; }

  /// Reads `received`, everything that has arrived and was not consumed by an earlier step: at most
  /// kMaxStarttlsInputBytes.
  [[nodiscard]] virtual RequestStep feed(std::span<const std::byte> received) = 0;
};

/// A new request of `protocol`. That of MySQL is for a check alone: a client's depends on what it says.
[[nodiscard]] std::unique_ptr<StarttlsRequest> open_starttls_request(StarttlsProtocol protocol);

/// The greeting for a client that nobody has greeted, after the server's own was read for the request and
/// dropped. Empty where the client speaks first.
[[nodiscard]] std::string_view starttls_welcome(StarttlsProtocol protocol);

}  // namespace headgate
