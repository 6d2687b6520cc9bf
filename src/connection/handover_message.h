#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "base/result.h"
#include "base/secret_bytes.h"
#include "tls/peer/peer_identity.h"
#include "tls/record/traffic_direction.h"

/// What an upgrade tells the next process, as values and as bytes. Values; any thread.
namespace headgate {

/// Grows only when a reader of the version before could misunderstand a message. A field that it may skip, or
/// that it refuses by itself, needs no new version.
inline constexpr std::uint16_t kHandoverVersion = 2;

/// How the records of a side are protected.
enum class HandoverLayer : std::uint8_t { kPlain, kTls13 };

/// One side of a connection at rest between two records. Its socket travels beside the message.
struct HandoverSide {
  HandoverLayer layer = HandoverLayer::kPlain;
  DirectionState sending, receiving;  ///< With kTls13.
  std::vector<std::byte> received;  ///< Read from the socket and not understood yet: ciphertext with kTls13.
  std::vector<std::byte> unsent;    ///< Leaves before anything else: ciphertext with kTls13.
  bool ended_reading = false;       ///< The peer has ended, and that has been passed on.
  bool ended_writing = false;       ///< Our end has been sent.
};

/// A live connection in its relay phase. Two descriptors: client, backend.
struct HandoverConnection {
  std::string listener;        ///< By its name in the configuration.
  std::string client_address;  ///< Address::text(), as the PROXY header has it if there was one.
  std::string server_name, alpn;
  std::string tls_version, group, cipher, key_type;  ///< Empty: no TLS.
  bool resumed = false;
  bool probe = false;
  std::unique_ptr<PeerIdentity> peer;  ///< Absent: the client showed no certificate.
  std::string backend, server;         ///< As configured.
  std::uint64_t bytes_from_client = 0, bytes_to_client = 0;
  std::chrono::milliseconds age{0};  ///< Since it was accepted.
  std::chrono::milliseconds quiet{
      0};  ///< Since the last byte either way: what idle and half_close count from.
  HandoverSide client_side, backend_side;
};

/// A listening socket. One descriptor.
struct HandoverListener {
  std::string listener;
  std::string address;  ///< Address::text().
};

/// Where the counters of the next process start, so that none falls.
struct HandoverCounters {
  std::vector<std::string> lines;  ///< "closed.finished 123 web": inherited_counters.h reads and writes them.
};

/// A word from one process to the other.
enum class HandoverWord : std::uint8_t {
  kListening,  ///< Old to new: all listening sockets have been sent.
  kReady,      ///< New to old: configuration and certificates are loaded; send what you have.
  kFailed,     ///< New to old: `detail` says why; carry on.
  kTaken,      ///< New to old: the connection can be served here.
  kRefused,    ///< New to old: it cannot, `detail` says why; keep it.
  kComplete,   ///< Old to new: all that moves has been sent.
  kHolding,    ///< New to old: all of it is here, at rest; say when.
  kTakeOver,   ///< Old to new: begin.
  kServing,    ///< New to old: it is at work, and moves bytes from here on. Nothing is said after that.
};
struct HandoverNotice {
  HandoverWord word = HandoverWord::kReady;
  std::string detail;
};

using HandoverMessage = std::variant<HandoverNotice, HandoverListener, HandoverConnection, HandoverCounters>;

/// The message as bytes; they and every copy made on the way are wiped when they go.
[[nodiscard]] SecretBytes encode(const HandoverMessage& message);

/// The message in `bytes`. Errors: kRefused for another version or a kind this one does not know; kMalformed
/// for what is cut short, damaged, or has a required field that is missing or unknown. The text names it.
[[nodiscard]] Result<HandoverMessage> decode_handover(std::span<const std::byte> bytes);

}  // namespace headgate
