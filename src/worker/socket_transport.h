#pragma once

#include "connection/services.h"
#include "net/buffers.h"
#include "tls/openssl/library_context.h"
#include "tls/record/aead_contexts.h"

namespace headgate {

/// Streams over real sockets and OpenSSL. One per worker, its thread only.
class SocketTransport final : public Transport {
 public:
  SocketTransport(Buffers& buffers, const LibraryContext& library)
      : buffers_(buffers), aead_(library.get()) {}

  [[nodiscard]] std::unique_ptr<Stream> unread(std::unique_ptr<Stream> plain,
                                               std::vector<std::byte> received) override;
  [[nodiscard]] Result<std::unique_ptr<Stream>> accept_tls(std::unique_ptr<Stream> plain,
                                                           std::vector<std::byte> received,
                                                           ListenerState& listener,
                                                           const StoredCertificate& certificate,
                                                           Drive drive) override;
  void finish_accept(std::unique_ptr<Stream>& client, ListenerState& listener, ConnectionInfo& info) override;
  void explain_failure(const Stream& client, ConnectionInfo& info) override;
  [[nodiscard]] IoStatus discard(Stream& client, std::span<std::byte> room) override;
  void detach(Stream& client) override;
  void attach(Stream& client) override;
  [[nodiscard]] tl::expected<std::unique_ptr<Stream>, int> dial(const Address& address) override;
  [[nodiscard]] Result<std::unique_ptr<Stream>> connect_tls(std::unique_ptr<Stream> plain,
                                                            BackendState& backend, const std::string& server,
                                                            const ConnectionInfo& info) override;

  [[nodiscard]] AeadContexts& aead() { return aead_; }
  [[nodiscard]] KnownTlsInfo& known_tls_info() { return known_tls_info_; }

 private:
  Buffers& buffers_;
  AeadContexts aead_;
  KnownTlsInfo known_tls_info_;
};

}  // namespace headgate
