#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "net/starttls/request.h"
#include "net/stream.h"

namespace headgate {

/// Asks a connected server for TLS in its protocol, until the TLS handshake may begin on the same stream. It
/// keeps at most kMaxStarttlsInputBytes; the caller has the deadline. One thread; never blocks.
///
///   StarttlsUpgrade upgrade(protocol);
///   switch (upgrade.advance(server, room)) { ... }   // again whenever the server is ready as it said
class StarttlsUpgrade {
 public:
  enum class Failure : std::uint8_t {
    kBroken,     ///< The stream failed: its failure() says how.
    kRefused,    ///< The server has no TLS for us, ended, or did not follow the protocol.
    kPlaintext,  ///< Plaintext came together with an answer of the server.
  };

  explicit StarttlsUpgrade(StarttlsProtocol protocol);

  /// Goes on as far as it can. `room` is scratch space. kWantRead, kWantWrite: call again when the server is
  /// ready for that. kDone: TLS begins. kFailed: failure() and why() say more.
  [[nodiscard]] IoStatus advance(Stream& server, std::span<std::byte> room);

  [[nodiscard]] Failure failure() const { return failure_; }
  /// A sentence for the operator.
  [[nodiscard]] const std::string& why() const { return why_; }

 private:
  IoStatus fail_because(Failure failure, std::string why);
  IoStatus receive(Stream& server, std::span<std::byte> room);

  std::unique_ptr<StarttlsRequest> request_;
  std::vector<std::byte> received_;
  std::string to_say_;
  bool tls_begins_ = false;
  Failure failure_ = Failure::kRefused;
  std::string why_;
};

}  // namespace headgate
