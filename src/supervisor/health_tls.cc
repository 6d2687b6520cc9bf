#include "supervisor/health_tls.h"

#include "tls/handshake/client_handshake.h"

namespace headgate {
namespace {

/// For a server that clients reach with TLS of their own: the names and authorities of its certificate are
/// the clients' business.
std::shared_ptr<const BackendTls> without_verification(const std::string& backend) {
  auto tls = std::make_shared<BackendTls>();
  tls->backend = backend;
  tls->settings.verify = false;
  return tls;
}

}  // namespace

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
    request.server_name = server.state->endpoint().name();
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
  if (policy == contexts_of_->backends.end())
    return fail(ErrorKind::kNotFound, "the backend is not there any more");
  const auto& tls = policy->second.tls;
  auto made = ClientContext::make(*library_, nullptr, tls ? tls : without_verification(backend));
  if (!made) return tl::unexpected(std::move(made.error()));
  context = *std::move(made);
  return context;
}

}  // namespace headgate
