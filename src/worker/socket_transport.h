#pragma once

#include "connection/services.h"
#include "net/buffers.h"
#include "tls/aead_contexts.h"
#include "tls/library_context.h"

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
  void finish_accept(std::unique_ptr<Stream>& client, ListenerState& listener, Facts& facts) override;
  void explain_failure(const Stream& client, Facts& facts) override;
  [[nodiscard]] IoStatus discard(Stream& client, std::span<std::byte> room) override;
  void detach(Stream& client) override;
  void attach(Stream& client) override;
  [[nodiscard]] tl::expected<std::unique_ptr<Stream>, int> dial(const Address& address) override;
  [[nodiscard]] Result<std::unique_ptr<Stream>> connect_tls(std::unique_ptr<Stream> plain,
                                                            BackendState& backend, const std::string& server,
                                                            const Facts& facts) override;

  [[nodiscard]] AeadContexts& aead() { return aead_; }
  [[nodiscard]] KnownTlsFacts& known_tls_facts() { return known_tls_facts_; }

 private:
  Buffers& buffers_;
  AeadContexts aead_;
  KnownTlsFacts known_tls_facts_;
};

}  // namespace headgate
