#include "tls/handshake/client_handshake.h"

#include <utility>

#include "tls/handshake/tls_stream.h"

namespace headgate {
namespace {

Result<std::unique_ptr<TlsStream>> open_stream(std::shared_ptr<ClientContext> context,
                                               const ServerRequest& request, Fd socket, Buffers& buffers) {
  auto extra = std::make_unique<SslExtraData>();
  auto ssl = context->new_ssl(request, *extra);
  if (!ssl) return tl::unexpected(std::move(ssl.error()));
  auto bio = SocketBio::make_bio();
  if (!bio) return tl::unexpected(std::move(bio.error()));
  TlsStream::Parts parts{.ssl = *std::move(ssl),
                         .bio = *std::move(bio),
                         .extra = std::move(extra),
                         .context = std::move(context),
                         .secrets = nullptr};
  return std::make_unique<TlsStream>(std::move(parts), std::move(socket), buffers);
}

/// The handshake by OpenSSL.
class OpensslClientHandshake final : public ClientHandshake {
 public:
  explicit OpensslClientHandshake(std::unique_ptr<TlsStream> stream) : stream_(std::move(stream)) {}

  Answer step() override {
    switch (stream_->handshake()) {
      case IoStatus::kDone:
        return Secured{std::move(stream_)};
      case IoStatus::kWantRead:
        return Wait{.read = true, .write = has_unsent()};
      case IoStatus::kWantWrite:
        return Wait{.read = false, .write = true};
      case IoStatus::kPaused:
        return Offload{stream_->operation()};
      case IoStatus::kEnded:
      case IoStatus::kFailed:
        break;
    }
    return Failed{stream_->failure().what};
  }
  Answer flush() override {
    if (stream_->flush() == IoStatus::kFailed) return Failed{stream_->failure().what};
    return Wait{.read = false, .write = has_unsent()};
  }
  [[nodiscard]] bool has_unsent() const override { return stream_->unsent_bytes() > 0; }
  [[nodiscard]] int descriptor() const override { return stream_->descriptor(); }

 private:
  std::unique_ptr<TlsStream> stream_;
};

}  // namespace

Result<std::unique_ptr<ClientHandshake>> begin_client_handshake(std::shared_ptr<ClientContext> context,
                                                                const ServerRequest& request, Fd socket,
                                                                Buffers& buffers) {
  auto stream = open_stream(std::move(context), request, std::move(socket), buffers);
  if (!stream) return tl::unexpected(std::move(stream.error()));
  return std::make_unique<OpensslClientHandshake>(*std::move(stream));
}

Result<std::unique_ptr<Stream>> client_stream(std::shared_ptr<ClientContext> context,
                                              const ServerRequest& request, Fd socket, Buffers& buffers) {
  return open_stream(std::move(context), request, std::move(socket), buffers);
}

}  // namespace headgate
