#include "supervisor/health_tls.h"

#include "tls/handshake/client_handshake.h"

namespace headgate {

Result<std::unique_ptr<HealthTls>> HealthTls::make() {
  auto library = LibraryContext::make();
  if (!library) return tl::unexpected(std::move(library.error()));
  return std::unique_ptr<HealthTls>(new HealthTls(*std::move(library)));
}

void HealthTls::follow(std::shared_ptr<const Snapshot> snapshot) {
  const std::lock_guard lock(mutex_);
  snapshot_ = std::move(snapshot);
}

Result<std::unique_ptr<Stream>> HealthTls::open(const BackendGroup& group, const Server& server,
                                                Fd connected) {
  auto made = context(group.config.name);
  if (!made) return tl::unexpected(std::move(made.error()));
  const config::BackendTls& settings = (*made)->shared().settings;
  ServerRequest request{.server = server.config.address, .server_name = settings.server_name, .alpn = {}};
  if (request.server_name.empty() || request.server_name == "$sni")
    request.server_name = server.state->endpoint().host;
  for (const auto& protocol : settings.alpn) {
    if (protocol != "$alpn") request.alpn.push_back(protocol);
  }
  return client_stream(*std::move(made), request, std::move(connected), buffers_);
}

Result<std::shared_ptr<ClientContext>> HealthTls::context(const std::string& backend) {
  {
    const std::lock_guard lock(mutex_);
    if (contexts_of_ != snapshot_) contexts_.clear();
    contexts_of_ = snapshot_;
  }
  auto& context = contexts_[backend];
  if (context) return context;
  const auto policy = contexts_of_->backends.find(backend);
  if (policy == contexts_of_->backends.end() || !policy->second.tls) {
    return fail(ErrorKind::kNotFound, "the backend has no TLS any more");
  }
  auto made = ClientContext::make(*library_, nullptr, policy->second.tls);
  if (!made) return tl::unexpected(std::move(made.error()));
  context = *std::move(made);
  return context;
}

}  // namespace headgate
