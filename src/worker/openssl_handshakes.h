#pragma once

#include "connection/services.h"
#include "net/buffers.h"
#include "tls/library/library_context.h"
#include "tls/record/aead_contexts.h"

namespace headgate {

/// Makes handshakes by OpenSSL. One per worker, its thread only.
class OpensslHandshakes final : public Handshakes {
 public:
  /// `buffers` and `library` outlive it.
  OpensslHandshakes(Buffers& buffers, const LibraryContext& library) : buffers_(buffers), aead_(&library) {}

  [[nodiscard]] std::unique_ptr<ServerHandshake> accept(std::unique_ptr<Stream> plain,
                                                        HandshakeStart start) override {
    return begin_server_handshake(std::move(start), plain->release_descriptor(), buffers_, aead_);
  }
  [[nodiscard]] Result<std::unique_ptr<ClientHandshake>> connect(std::unique_ptr<Stream> plain,
                                                                 std::shared_ptr<ClientContext> context,
                                                                 const ServerRequest& request) override {
    return begin_client_handshake(std::move(context), request, plain->release_descriptor(), buffers_);
  }

  /// The worker's contexts for records that Headgate protects.
  [[nodiscard]] AeadContexts& aead() { return aead_; }

 private:
  Buffers& buffers_;
  AeadContexts aead_;
};

}  // namespace headgate
