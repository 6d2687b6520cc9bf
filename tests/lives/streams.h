#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "lives/chance.h"
#include "lives/records.h"
#include "lives/tcp.h"
#include "net/buffers.h"
#include "net/stream.h"

namespace headgate::lives {

/// How a side speaks: no TLS, our record layer, or OpenSSL's.
enum class Kind : std::uint8_t { kPlain, kRecords, kTls13, kTls12 };
inline constexpr std::uint32_t kKindCount = 4;
[[nodiscard]] std::string_view name(Kind kind);
[[nodiscard]] inline bool is_tls(Kind kind) {
  return kind != Kind::kPlain;
}

/// Both ends of one side of a connection, the handshake done.
struct StreamAndPeer {
  std::unique_ptr<Stream> stream;    ///< Headgate's.
  std::unique_ptr<Records> records;  ///< The script's; nullptr without TLS.
};

/// Makes streams, as a worker does. One for all lives: full handshakes are made once, and each life resumes.
class Streams {
 public:
  Streams();
  ~Streams();
  Streams(const Streams&) = delete;
  Streams& operator=(const Streams&) = delete;

  /// `role` is Headgate's: kServer towards a client.
  [[nodiscard]] StreamAndPeer make(Kind kind, TlsRole role, Tcp& tcp, Buffers& buffers, Chance& chance);
  [[nodiscard]] AeadContexts& contexts() { return contexts_; }

 private:
  struct OpensslPair;
  [[nodiscard]] StreamAndPeer with_openssl(OpensslPair& pair, Tcp& tcp, Buffers& buffers);
  [[nodiscard]] StreamAndPeer with_records(TlsRole role, Tcp& tcp, Buffers& buffers, Chance& chance);

  AeadContexts contexts_{nullptr};
  std::unique_ptr<OpensslPair> pairs_[2][2];  // by role, and TLS 1.2 or 1.3
};

}  // namespace headgate::lives
