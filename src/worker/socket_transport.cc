#include "worker/socket_transport.h"

#include "net/plain_stream.h"
#include "net/socket.h"
#include "tls/handshake/handshake_failure.h"
#include "tls/handshake/negotiated_info.h"
#include "tls/handshake/tls_stream.h"
#include "tls/record/record_stream.h"

namespace headgate {
namespace {

/// "app.internal" of "app.internal:8080", "::1" of "[::1]:80"; empty for a unix socket.
std::string host_of(std::string_view server) {
  if (server.starts_with("unix:")) return {};
  std::string_view host = server.substr(0, server.rfind(':'));
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  return std::string(host);
}

}  // namespace

std::unique_ptr<Stream> SocketTransport::unread(std::unique_ptr<Stream> plain,
                                                std::vector<std::byte> received) {
  return std::make_unique<PlainStream>(plain->release_descriptor(), std::move(received));
}

Result<std::unique_ptr<Stream>> SocketTransport::accept_tls(std::unique_ptr<Stream> plain,
                                                            std::vector<std::byte> received,
                                                            ListenerState& listener,
                                                            const StoredCertificate& certificate,
                                                            Drive drive) {
  auto extra = std::make_unique<SslExtraData>();
  ServerContext& context = drive == Drive::kBesideLoop ? *listener.tls_beside : *listener.tls;
  const bool ours = listener.policy->config.tls->record_layer == config::RecordLayer::kAuto;
  // Beside the loop OpenSSL makes the tickets too: that thread has the time, and keys of its own.
  const bool our_tickets = ours && drive == Drive::kOnLoop;
  auto ssl = context.new_ssl(certificate, *extra, our_tickets ? TicketsBy::kHeadgate : TicketsBy::kOpenssl);
  if (!ssl) return tl::unexpected(std::move(ssl.error()));
  return std::make_unique<TlsStream>(*std::move(ssl), std::move(extra), plain->release_descriptor(), buffers_,
                                     ours ? TakeOver::kWhenPossible : TakeOver::kNo, std::move(received));
}

void SocketTransport::finish_accept(std::unique_ptr<Stream>& client, ListenerState& listener,
                                    ConnectionInfo& info) {
  auto& tls = static_cast<TlsStream&>(*client);
  const NegotiatedInfo negotiated = negotiated_info(tls.ssl());
  const StoredCertificate* served = tls.extra().certificate;
  info.tls = known_tls_info_.find_or_add(
      {.version = InternedString(negotiated.version),
       .group = InternedString(negotiated.group),
       .cipher = InternedString(negotiated.cipher),
       .key_type = served != nullptr ? InternedString(key_type_word(*served)) : InternedString(),
       .resumed = negotiated.resumed});
  info.alpn = negotiated.alpn;
  if (tls.extra().server_hellos > 1) listener.metrics->hello_retry_requests.add();
  const LayerReason reason = tls.can_hand_over(aead_);
  const Layer layer = reason == LayerReason::kDefault ? Layer::kHeadgate : Layer::kOpenssl;
  listener.metrics->record_layer[static_cast<std::size_t>(layer)][static_cast<std::size_t>(reason)].add();
  info.layer = layer == Layer::kHeadgate ? RecordsBy::kHeadgate : RecordsBy::kOpenssl;
  // Tickets first: they are bound to the peer that was verified.
  std::vector<std::byte> tickets;
  if (layer == Layer::kHeadgate) {
    tickets = listener.tls->issue_tickets(tls.ssl(), tls.resumption_secret());
  } else {
    tls.send_tickets(listener.tls->tickets_due(tls.ssl()));
  }
  info.peer = peer_identity(tls.ssl(), tls.extra());
  if (layer != Layer::kHeadgate) return;
  auto records = std::make_unique<RecordStream>(tls.hand_over(), buffers_, aead_);
  records->hold_back(tickets);
  client = std::move(records);
}

void SocketTransport::explain_failure(const Stream& client, ConnectionInfo& info) {
  const auto& tls = static_cast<const TlsStream&>(client);
  const SslExtraData& extra = tls.extra();
  const StreamFailure& failure = tls.failure();
  info.alert = static_cast<std::int16_t>(failure.alert);
  info.failure = extra.refusal != HandshakeFailure::kNone ? extra.refusal
                                                          : failure_at_server(tls.ssl(), tls.error_code());
  info.detail = extra.refusal_detail.empty() ? failure.what : extra.refusal_detail;
}

IoStatus SocketTransport::discard(Stream& client, std::span<std::byte> room) {
  return receive_some(client.descriptor(), room).status;
}

void SocketTransport::detach(Stream& client) {
  static_cast<TlsStream&>(client).detach();
}

void SocketTransport::attach(Stream& client) {
  static_cast<TlsStream&>(client).attach();
}

tl::expected<std::unique_ptr<Stream>, int> SocketTransport::dial(const Address& address) {
  auto connecting = start_connect(address);
  if (!connecting) return tl::unexpected<int>(connecting.error());
  return std::make_unique<PlainStream>(*std::move(connecting));
}

Result<std::unique_ptr<Stream>> SocketTransport::connect_tls(std::unique_ptr<Stream> plain,
                                                             BackendState& backend, const std::string& server,
                                                             const ConnectionInfo& info) {
  const config::BackendTls& settings = backend.tls->shared().settings;
  ServerRequest request{.server = server, .server_name = settings.server_name, .alpn = {}};
  if (request.server_name == "$sni") request.server_name = info.server_name.view();
  if (request.server_name.empty()) request.server_name = host_of(server);
  for (const auto& protocol : settings.alpn) {
    if (protocol != "$alpn") {
      request.alpn.push_back(protocol);
    } else if (!info.alpn.empty()) {
      request.alpn.emplace_back(info.alpn.view());
    }
  }
  auto extra = std::make_unique<SslExtraData>();
  auto ssl = backend.tls->new_ssl(request, *extra);
  if (!ssl) return tl::unexpected(std::move(ssl.error()));
  return std::make_unique<TlsStream>(*std::move(ssl), std::move(extra), plain->release_descriptor(), buffers_,
                                     TakeOver::kNo);
}

}  // namespace headgate
