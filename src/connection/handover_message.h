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

/// The messages of an upgrade to the next process, as values and as bytes. Values; any thread.
namespace headgate {

/// The version grows only when a reader of the version before could misunderstand a message. A field that
/// such a reader may skip, or that it refuses by itself, needs no new version.
inline constexpr std::uint16_t kHandoverVersion = 2;

/// Says how the records of a side are protected.
enum class HandoverLayer : std::uint8_t { kPlain, kTls13 };

/// One side of a quiescent connection, between two records. Its socket travels with the message.
struct HandoverSide {
  HandoverLayer layer = HandoverLayer::kPlain;
  DirectionState sending, receiving;  ///< With kTls13.
  std::vector<std::byte> received;    ///< Read from the socket and not parsed yet: ciphertext with kTls13.
  std::vector<std::byte> unsent;      ///< Must leave before any other byte: ciphertext with kTls13.
  bool ended_reading = false;         ///< The peer has ended, and the other side has been told.
  bool ended_writing = false;         ///< Our end has been sent.
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
  std::string proxy_id;                ///< What the PROXY header said, as it is logged at the end.
  std::string aws_vpc_endpoint, azure_private_link, gcp_psc_connection;
  std::string ja4;  ///< Empty: the log does not want it.
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

/// The values from which the counters of the next process start, so that none falls. Their number grows with
/// the configuration, so they come in any number of messages; each value is in one of them.
struct HandoverCounters {
  std::vector<std::string> lines;  ///< "closed.finished 123 web": inherited_counters.h reads and writes them.
};

/// A certificate in DER with its key.
struct HandoverKeyPair {
  std::vector<std::byte> leaf;
  SecretBytes key;
  std::vector<std::string> chain;  ///< DER, in sending order.
};

/// A certificate that the old process serves, so that the new one need not lose it where its file is refused.
struct HandoverCertificate {
  std::string listener;
  std::string directory{};  ///< Of `certificate_dirs`; empty: the certificate is listed.
  std::string file;
  HandoverKeyPair held;                    ///< What was read from the file.
  std::unique_ptr<HandoverKeyPair> old{};  ///< The one with which it is compared. Absent: all clients get it.
  bool went_back = false;                  ///< It was found worse than `old`.
  std::uint8_t canary_percent = 0;
  std::chrono::milliseconds canary_for{0};
};

/// A notice from one process to the other.
enum class HandoverWord : std::uint8_t {
  kListening,  ///< Old to new: all listening sockets have been sent; `detail` names the sandbox's layers.
  kReady,      ///< New to old: configuration and certificates are loaded; send the connections.
  kFailed,     ///< New to old: `detail` says why the new process fails; carry on.
  kTaken,      ///< New to old: the new process can serve the connection.
  kRefused,    ///< New to old: the new process cannot serve it, `detail` says why; keep it.
  kComplete,   ///< Old to new: every connection that moves has been sent.
  kHolding,    ///< New to old: all of them are here and quiescent; say when to begin.
  kTakeOver,   ///< Old to new: begin.
  kServing,    ///< New to old: the new process is at work, and moves bytes from here on. It is the last
               ///< message.
};
struct HandoverNotice {
  HandoverWord word = HandoverWord::kReady;
  std::string detail;
};
/// Shortens what a notice says, which names things of the configuration, to what a message has room for.
[[nodiscard]] HandoverNotice notice_of(HandoverWord word, std::string detail);
/// Shares `lines` out among messages that can be sent, a line in each at least.
[[nodiscard]] std::vector<HandoverCounters> counters_in_pieces(std::vector<std::string> lines);

using HandoverMessage =
    std::variant<HandoverNotice, HandoverListener, HandoverConnection, HandoverCounters, HandoverCertificate>;

/// Returns the message as bytes. The bytes and every copy made on the way are wiped when they are freed.
[[nodiscard]] SecretBytes encode(const HandoverMessage& message);

/// Returns the message in `bytes`. Errors: kRefused for another version, and for a kind that this version
/// does not know; kMalformed for a message that is cut short or damaged, or in which a required field is
/// missing or unknown. The text names the field.
[[nodiscard]] Result<HandoverMessage> decode_handover(std::span<const std::byte> bytes);

}  // namespace headgate
