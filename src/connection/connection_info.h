#pragma once

#include <compare>
#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <string_view>

#include "base/close_reason.h"
#include "base/packed_text.h"
#include "base/record_protection.h"
#include "base/units.h"
#include "net/private_link.h"
#include "net/proxy_protocol.h"
#include "net/source_address.h"
#include "tls/peer/peer_identity.h"

namespace headgate {

/// A word that another owner keeps as long as a reader looks at it. It ends with a NUL, so that a pointer is
/// enough to remember it.
class InternedString {
 public:
  constexpr InternedString() = default;
  explicit constexpr InternedString(std::string_view word) : text_(word.empty() ? "" : word.data()) {}
  [[nodiscard]] constexpr std::string_view view() const { return text_; }
  [[nodiscard]] constexpr bool empty() const { return *text_ == 0; }
  constexpr auto operator<=>(const InternedString& other) const { return view() <=> other.view(); }
  constexpr bool operator==(const InternedString& other) const { return view() == other.view(); }

 private:
  const char* text_ = "";
};

/// The parameters that a TLS handshake has settled on.
struct TlsInfo {
  InternedString version;   ///< "TLSv1.3"; empty: no TLS.
  InternedString group;     ///< "x25519"; empty where no key was exchanged.
  InternedString cipher;    ///< IANA name.
  InternedString key_type;  ///< Key type of our certificate: "EC-P-256", "RSA-2048".
  // Words that a PROXY header alone has. A connection that another process has handed over has none of them.
  InternedString openssl_cipher{};         ///< OpenSSL's name of `cipher`.
  InternedString signature_scheme{};       ///< "rsa_pss_rsae_sha256"; empty where nothing was signed.
  InternedString certificate_signature{};  ///< "ecdsa-with-SHA256": how our certificate is signed.
  InternedString key_algorithm{};          ///< "EC256", "RSA2048": the key of our certificate.
  bool resumed = false;

  auto operator<=>(const TlsInfo&) const = default;
};
/// Stands for a connection without TLS, and for one whose handshake is not over.
inline constexpr TlsInfo kNoTls;

/// Holds every combination that connections have settled on, once each: a connection points to its own. A
/// worker owns it, and only the worker's thread uses it.
class KnownTlsInfo {
 public:
  /// Returns parameters that equal `info`. They and their words hold as long as this object lives, even when
  /// the owner of the words of `info` goes.
  [[nodiscard]] const TlsInfo* find_or_add(const TlsInfo& info) {
    const auto found = known_.find(info);
    return found != known_.end() ? &*found : &*known_.insert(with_own_words(info)).first;
  }

 private:
  [[nodiscard]] TlsInfo with_own_words(TlsInfo info) {
    for (InternedString* word :
         {&info.version, &info.group, &info.cipher, &info.key_type, &info.openssl_cipher,
          &info.signature_scheme, &info.certificate_signature, &info.key_algorithm})
      *word = InternedString(*words_.emplace(word->view()).first);
    return info;
  }

  std::set<std::string> words_;
  std::set<TlsInfo> known_;
};

/// Says in which parts the time of a handshake was spent. `total` starts when the connection is accepted.
struct HandshakeTimes {
  Duration total{}, queue{}, cpu{}, peer_wait{};
};

/// What the PROXY header of a connection said beyond the addresses.
struct ProxiedFacts {
  PrivateLink link;
  std::string unique_id;                   ///< Any bytes; empty: none.
  std::unique_ptr<ProxyFacts> to_pass_on;  ///< All of it, until the server has been told.
};

/// What is known of few clients, so that the others pay a pointer for it.
struct ClientFacts {
  std::unique_ptr<ProxiedFacts> proxied;  ///< Null: the client's own address is all that is known.
  PackedText ja4;                         ///< Of its ClientHello, where the log wants it.
};

/// The things that are known of a connection: for routing, for the log line and for /connections.json. Loop
/// thread of its worker.
struct ConnectionInfo {
  std::uint64_t id = 0;  ///< Unique within the process.
  SourceAddress client;
  std::int16_t alert = -1;  ///< Sent or received in a handshake that failed.
  HandshakeFailure failure = HandshakeFailure::kNone;
  Protection protection : 7 = Protection::kNone;
  bool probe : 1 = false;  ///< The connection comes from a source that is listed as a probe.
  TimePoint accepted{};
  std::uint64_t bytes_from_client = 0;  ///< Plaintext.
  std::uint64_t bytes_to_client = 0;
  PackedText server_name;  ///< The name the client asked for.
  PackedText alpn;  ///< The protocol that was negotiated; for passthrough, the one that the client prefers.
  const TlsInfo* tls = &kNoTls;  ///< Of the worker's KnownTlsInfo.
  std::unique_ptr<PeerIdentity> peer;
  std::unique_ptr<ClientFacts> facts;  ///< Null: there are none.

  [[nodiscard]] ProxiedFacts* proxied() const { return facts ? facts->proxied.get() : nullptr; }
  [[nodiscard]] const PrivateLink* link() const { return proxied() != nullptr ? &proxied()->link : nullptr; }
  /// The JA4 fingerprint; empty: not wanted, or not known.
  [[nodiscard]] std::string_view ja4() const { return facts ? facts->ja4.view() : std::string_view(); }
  /// The facts, which there are from then on.
  [[nodiscard]] ClientFacts& made_facts() {
    if (!facts) facts = std::make_unique<ClientFacts>();
    return *facts;
  }
  InternedString backend,
      server;         ///< As configured; empty before they are chosen. The snapshot holds the words.
  PackedText detail;  ///< The sentence for the operator when something failed.
};

}  // namespace headgate
