#pragma once

#include <memory>
#include <string>
#include <vector>

#include "net/buffers.h"
#include "net/fd.h"
#include "tls/library/library_context.h"
#include "tls/library/openssl_types.h"
#include "tls/record/aead_contexts.h"
#include "tls/record/record_stream.h"

namespace headgate {

/// Two connected non-blocking sockets.
struct SocketPair {
  SocketPair();
  Fd ours, theirs;
};

/// A TLS 1.3 connection over a pair of sockets. OpenSSL did the handshake at both ends and is still there at
/// `peer`. Our end starts its own record layer with `state`.
class Tls13Pair {
 public:
  struct Options {
    RecordSuite suite = RecordSuite::kAes128GcmSha256;
    TlsRole our_role = TlsRole::kServer;
    std::size_t tickets = 1;                           ///< That the server sends.
    void (*prepare_peer)(SSL_CTX* context) = nullptr;  ///< Changes the context of the peer.
  };
  explicit Tls13Pair(const Options& options);

  /// Writes all of `bytes` as the peer; the socket has room.
  void peer_writes(std::span<const std::byte> bytes);
  /// Returns all bytes that the peer can read now.
  std::vector<std::byte> peer_reads();
  /// Lets the peer update its sending keys, and ask for an update of ours or not.
  void peer_updates_keys(KeyUpdateRequest request);

  std::unique_ptr<LibraryContext> library;  ///< Of our end: first, it outlives the contexts.
  SslCtxPtr our_ctx, peer_ctx;
  SslPtr peer;
  int peer_fd = -1;
  RecordStreamState state;

 private:
  SocketPair sockets_;
};

/// One library context, AEAD contexts and buffers, as a worker has them.
struct TestWorker {
  std::unique_ptr<LibraryContext> library = LibraryContext::make().value();
  AeadContexts contexts{library.get()};
  Buffers buffers;
};

}  // namespace headgate
