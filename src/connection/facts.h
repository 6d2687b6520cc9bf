#pragma once

#include <compare>
#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <string_view>

#include "base/close_reason.h"
#include "base/packed_text.h"
#include "base/units.h"
#include "net/source_address.h"
#include "tls/peer_identity.h"

namespace headgate {

/// A word that somebody else keeps as long as it is looked at. It ends with a NUL, so that a pointer is all
/// there is to remember.
class Word {
 public:
  constexpr Word() = default;
  explicit constexpr Word(std::string_view word) : text_(word.empty() ? "" : word.data()) {}
  [[nodiscard]] constexpr std::string_view view() const { return text_; }
  [[nodiscard]] constexpr bool empty() const { return *text_ == 0; }
  constexpr auto operator<=>(const Word& other) const { return view() <=> other.view(); }
  constexpr bool operator==(const Word& other) const { return view() == other.view(); }

 private:
  const char* text_ = "";
};

/// What TLS settled on.
struct TlsFacts {
  Word version;   ///< "TLSv1.3"; empty: no TLS.
  Word group;     ///< "x25519"; empty where no key was exchanged.
  Word cipher;    ///< IANA name.
  Word key_type;  ///< Of our certificate: "EC-P-256", "RSA-2048".
  bool resumed = false;

  auto operator<=>(const TlsFacts&) const = default;
};
/// Of a connection without TLS, and of one whose handshake is not over.
inline constexpr TlsFacts kNoTls;

/// Every combination that connections have settled on, once each: they point to theirs. A worker's, and its
/// thread's alone.
class KnownTlsFacts {
 public:
  /// The same as `facts`, as long as this lives; the words too, whoever keeps those of `facts`.
  [[nodiscard]] const TlsFacts* find_or_add(const TlsFacts& facts) {
    const auto found = known_.find(facts);
    return found != known_.end() ? &*found : &*known_.insert(with_own_words(facts)).first;
  }

 private:
  [[nodiscard]] TlsFacts with_own_words(TlsFacts facts) {
    for (Word* word : {&facts.version, &facts.group, &facts.cipher, &facts.key_type})
      *word = Word(*words_.emplace(word->view()).first);
    return facts;
  }

  std::set<std::string> words_;
  std::set<TlsFacts> known_;
};

/// Who protects the client's records.
enum class RecordsBy : std::uint8_t { kNobody, kHeadgate, kOpenssl };
/// "plain", "headgate", "openssl".
[[nodiscard]] constexpr std::string_view name(RecordsBy who) {
  switch (who) {
    case RecordsBy::kNobody:
      return "plain";
    case RecordsBy::kHeadgate:
      return "headgate";
    case RecordsBy::kOpenssl:
      return "openssl";
  }
  return "";
}

/// Where the time of a handshake went. `total` starts when the connection is accepted.
struct HandshakeTimes {
  Duration total{}, queue{}, cpu{}, peer_wait{};
};

/// What is known of a connection: for routing, for the log line and for /connections.json. Loop thread of its
/// worker.
struct Facts {
  std::uint64_t id = 0;  ///< Unique within the process.
  SourceAddress client;
  std::int16_t alert = -1;  ///< Sent or received in a handshake that failed.
  HandshakeFailure failure = HandshakeFailure::kNone;
  RecordsBy layer = RecordsBy::kNobody;
  TimePoint accepted{};
  std::uint64_t bytes_from_client = 0;  ///< Plaintext.
  std::uint64_t bytes_to_client = 0;
  PackedText server_name;         ///< The name the client asked for.
  PackedText alpn;                ///< What was negotiated; for passthrough, what the client would like most.
  const TlsFacts* tls = &kNoTls;  ///< Of the worker's KnownTlsFacts.
  std::unique_ptr<PeerIdentity> peer;
  Word backend, server;  ///< As configured; empty before they are chosen. The snapshot holds them.
  PackedText detail;     ///< The sentence for the operator when something failed.
  bool probe = false;    ///< Comes from a source that is listed as a probe.
};

}  // namespace headgate
