#include "tls/handshake/client_context.h"

#include <arpa/inet.h>

#include <array>

#include "base/out_of_memory.h"
#include "tls/certificate/certificate_material.h"
#include "tls/handshake/listener_tls.h"
#include "tls/handshake/secret_file.h"
#include "tls/library/key_use.h"
#include "tls/library/lasting_session.h"
#include "tls/library/openssl_call.h"
#include "tls/library/peer_strength.h"
#include "tls/library/ssl_options.h"
#include "tls/peer/server_refusal.h"

namespace headgate {
namespace {

constexpr std::string_view kSystemCas = "system";

std::shared_ptr<const StoredCertificate> read_client_certificate(const config::BackendTls& settings,
                                                                 WallTime now, Diagnostics& out) {
  const std::string& key_path = settings.private_key.empty() ? settings.certificate : settings.private_key;
  const auto certificate = read_secret_file(settings.certificate, kMaxCertificateFileBytes);
  const auto key = read_secret_file(key_path, kMaxCertificateFileBytes);
  if (!certificate)
    out.push_back({Severity::kError, settings.certificate, certificate.error().what, "certificate"});
  if (!key && key_path != settings.certificate)
    out.push_back({Severity::kError, key_path, key.error().what, "private_key"});
  if (!certificate || !key) return nullptr;
  warn_of_open_key(*key, key_path, settings.private_key.empty() ? "certificate" : "private_key", out);
  ChainPool chains;
  auto checked = check_certificate({.certificate_file = settings.certificate,
                                    .key_file = key_path,
                                    .certificate_pem = certificate->text(),
                                    .key_pem = key->text()},
                                   CertificatePurpose::kClient, now, chains, out);
  if (checked == nullptr) return nullptr;
  if (const auto material = materialise(*checked, nullptr); !material) {
    out.push_back({Severity::kError, settings.certificate, material.error().what, "certificate"});
  }
  return checked;
}

bool is_address(const std::string& name) {
  std::array<unsigned char, sizeof(in6_addr)> bytes{};
  return ::inet_pton(AF_INET, name.c_str(), bytes.data()) == 1 ||
         ::inet_pton(AF_INET6, name.c_str(), bytes.data()) == 1;
}

/// The key under which a session may be used again: the same server, name and protocols.
std::string session_key_of(const ServerRequest& request) {
  std::string key = request.server + '\n' + request.server_name;
  for (const std::string& protocol : request.alpn) key.append("\n").append(protocol);
  return key;
}

std::string without_final_dot(std::string name) {
  if (name.ends_with('.')) name.pop_back();
  return name;
}

/// Writes each protocol with its length before it. RFC 7301, section 3.1.
Result<void> set_alpn(SSL* ssl, const std::vector<std::string>& protocols) {
  if (protocols.empty()) return {};
  std::string wire;
  for (const std::string& protocol : protocols) {
    if (protocol.empty() || protocol.size() > 255)
      return fail(ErrorKind::kInvalid, "an ALPN protocol has 1 to 255 bytes");
    wire += static_cast<char>(static_cast<unsigned char>(protocol.size()));
    wire += protocol;
  }
  const auto* bytes = reinterpret_cast<const unsigned char*>(wire.data());
  return call_openssl(ErrorKind::kSystem, "OpenSSL refused to set the ALPN protocols", [&] {
    return SSL_set_alpn_protos(ssl, bytes, static_cast<unsigned>(wire.size())) == 0;  // zero is success here
  });
}

/// Whether the certificate that the server of this session showed is still good. A resumed handshake shows
/// none.
bool peer_still_valid(const SSL_SESSION* session) {
  X509* peer = SSL_SESSION_get0_peer(const_cast<SSL_SESSION*>(session));
  return peer == nullptr || X509_cmp_current_time(X509_get0_notAfter(peer)) > 0;
}

}  // namespace

/// The functions that OpenSSL calls.
struct ClientCallbacks {
  static ClientContext& context_of(const SSL* ssl) {
    return *static_cast<ClientContext*>(SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl)));
  }

  /// Keeps a session that may be resumed. In TLS 1.3 OpenSSL calls this once per ticket.
  static int new_session(SSL* ssl, SSL_SESSION* session) {
    const SslExtraData* extra = extra_data_of(ssl);
    if (extra == nullptr || extra->session_key.empty()) return 0;
    if (SessionPtr kept = lasting_session(session))
      context_of(ssl).keep_session(extra->session_key, std::move(kept));
    return 0;  // the reference stays OpenSSL's
  }

  /// OpenSSL says "certificate verify failed" alone, and forgets the certificate.
  static int verified(int passes, X509_STORE_CTX* chain) {
    const int weakness = passes == 1 ? weakness_of_current(chain) : X509_V_OK;
    if (passes == 1 && weakness == X509_V_OK) return passes;
    if (weakness != X509_V_OK) X509_STORE_CTX_set_error(chain, weakness);
    const auto* ssl =
        static_cast<const SSL*>(X509_STORE_CTX_get_ex_data(chain, SSL_get_ex_data_X509_STORE_CTX_idx()));
    SslExtraData* extra = ssl == nullptr ? nullptr : extra_data_of(ssl);
    if (extra != nullptr && extra->refusal_detail.empty())
      extra->refusal_detail = why_server_is_refused(chain, extra->server_name);
    return 0;
  }

  /// A fatal alert also ends the sessions that could be resumed. RFC 5246, section 7.2.2; RFC 8446, section
  /// 6.2.
  static void message(int sent, int version, int content_type, const void* bytes, std::size_t size, SSL* ssl,
                      void* argument) {
    record_message(sent, version, content_type, bytes, size, ssl, argument);
    const SslExtraData* extra = extra_data_of(ssl);
    if (content_type != SSL3_RT_ALERT || size < 2 || extra == nullptr) return;
    if (*static_cast<const unsigned char*>(bytes) != SSL3_AL_FATAL) return;
    context_of(ssl).forget_session(extra->session_key);
  }
};

std::shared_ptr<const BackendTls> BackendTls::load(const config::Backend& backend, const BackendTls* before,
                                                   WallTime now, Diagnostics& out) {
  auto tls = std::make_shared<BackendTls>();
  tls->backend = backend.name;
  tls->settings = *backend.tls;
  const config::BackendTls& settings = tls->settings;
  Diagnostics of_ca, of_certificate;
  if (settings.verify && settings.ca != kSystemCas)
    tls->ca_der = read_trusted_certificates(settings.ca, TrustedFor::kServers, of_ca);
  if (!settings.certificate.empty())
    tls->certificate = read_client_certificate(settings, now, of_certificate);
  if (before != nullptr && has_errors(of_ca) && before->settings.ca == settings.ca &&
      !before->ca_der.empty()) {
    tls->ca_der = before->ca_der;
    keep_before(of_ca);
  }
  if (before != nullptr && has_errors(of_certificate) &&
      before->settings.certificate == settings.certificate) {
    tls->certificate = before->certificate;
    keep_before(of_certificate);
  }
  const bool failed = has_errors(of_ca) || has_errors(of_certificate);
  add_below(out, std::move(of_ca), "tls");
  add_below(out, std::move(of_certificate), "tls");
  return failed ? nullptr : tls;
}

ClientContext::ClientContext(const LibraryContext& library, std::shared_ptr<const LibraryContext> offload,
                             std::shared_ptr<const BackendTls> shared)
    : library_(library), offload_(std::move(offload)), shared_(std::move(shared)) {}

Result<std::shared_ptr<ClientContext>> ClientContext::make(const LibraryContext& library,
                                                           std::shared_ptr<const LibraryContext> offload,
                                                           std::shared_ptr<const BackendTls> shared) {
  std::shared_ptr<ClientContext> made(new ClientContext(library, std::move(offload), std::move(shared)));
  if (auto configured = made->configure(); !configured) {
    return fail(configured.error().kind,
                "backend " + made->shared_->backend + ": " + configured.error().what);
  }
  return made;
}

Result<void> ClientContext::configure() {
  auto made = call_openssl(ErrorKind::kSystem, "OpenSSL could not make a TLS context", [&] {
    return library_.new_ssl_ctx(TLS_client_method(), shared_->settings.x25519);
  });
  if (!made) return tl::unexpected(std::move(made.error()));
  context_ = *std::move(made);
  SSL_CTX* context = context_.get();
  SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  SSL_CTX_set_options(context,
                      SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_IGNORE_UNEXPECTED_EOF);
  // Partial writes are off: OpenSSL takes a write of several records whole, since SocketBio takes every byte.
  SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_NO_AUTO_CHAIN);
  SSL_CTX_set_read_ahead(context, 0);
  choose_signatures(context);
  offer_every_group(context);
  SSL_CTX_set_app_data(context, this);
  SSL_CTX_set_msg_callback(context, ClientCallbacks::message);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
  SSL_CTX_sess_set_new_cb(context, callable_from_c<ClientCallbacks::new_session, 0>);
  if (auto set = set_trust(); !set) return set;
  return shared_->certificate == nullptr ? Result<void>() : set_certificate();
}

bool ClientContext::offloads() const {
  return offload_ != nullptr && shared_->certificate != nullptr && is_rsa(shared_->certificate->key_type());
}

Result<void> ClientContext::set_certificate() {
  SSL_CTX* context = context_.get();
  const auto chain = materialise(shared_->certificate->chain(), &library_);
  if (!chain) return tl::unexpected(chain.error());
  const auto own = offloads() ? materialise_offloaded(*shared_->certificate, chain->get(), library_, offload_)
                              : materialise(*shared_->certificate, chain->get(), &library_);
  if (!own) return tl::unexpected(own.error());
  return call_openssl(ErrorKind::kInvalid, "certificate: " + shared_->settings.certificate,
                      [&] { return present(context, own->leaf.get(), own->key.get(), own->chain.get()); });
}

Result<void> ClientContext::set_trust() {
  SSL_CTX* context = context_.get();
  const config::BackendTls& settings = shared_->settings;
  SSL_CTX_set_verify(context, settings.verify ? SSL_VERIFY_PEER : SSL_VERIFY_NONE,
                     settings.verify ? callable_from_c<ClientCallbacks::verified, 0> : nullptr);
  if (!settings.verify) return {};
  X509_STORE* trusted = SSL_CTX_get_cert_store(context);
  if (settings.ca == kSystemCas) {
    return call_openssl(ErrorKind::kInvalid, "OpenSSL could not load the system's CAs",
                        [&] { return SSL_CTX_set_default_verify_paths(context); });
  }
  // Each certificate of the file is trusted, be it a root or not.
  X509_STORE_set_flags(trusted, X509_V_FLAG_PARTIAL_CHAIN);
  for (const auto& der : shared_->ca_der) {
    auto certificate = parse_certificate(der, &library_);
    if (!certificate) return tl::unexpected(certificate.error());
    auto added = call_openssl(ErrorKind::kInvalid, "ca: " + settings.ca,
                              [&] { return X509_STORE_add_cert(trusted, certificate->get()); });
    if (!added) return added;
  }
  return {};
}

Result<void> ClientContext::set_name(SSL* ssl, const std::string& server_name) const {
  const bool verify = shared_->settings.verify;
  const std::string name = without_final_dot(server_name);
  if (name.empty()) {
    if (!verify) return {};
    return fail(ErrorKind::kInvalid, "there is no name to verify the server by: set `server_name`");
  }
  return call_openssl(ErrorKind::kInvalid, "server_name " + name, [&] {
    X509_VERIFY_PARAM* parameters = SSL_get0_param(ssl);
    // An address is no host name: it is verified, but not sent. RFC 6066, section 3.
    if (is_address(name)) return X509_VERIFY_PARAM_set1_ip_asc(parameters, name.c_str()) == 1;
    X509_VERIFY_PARAM_set_hostflags(parameters, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return SSL_set_tlsext_host_name(ssl, name.c_str()) == 1 && SSL_set1_host(ssl, name.c_str()) == 1;
  });
}

Result<SslPtr> ClientContext::new_ssl(const ServerRequest& request, SslExtraData& extra) {
  auto made = call_openssl(ErrorKind::kSystem, "OpenSSL could not make a TLS connection",
                           [&] { return SslPtr(SSL_new(context_.get())); });
  if (!made) return made;
  SSL* ssl = made->get();
  if (auto set = set_name(ssl, request.server_name); !set) return tl::unexpected(set.error());
  if (auto set = set_alpn(ssl, request.alpn); !set) return tl::unexpected(set.error());
  extra.session_key = session_key_of(request);
  extra.server_name = without_final_dot(request.server_name);
  if (auto attached = attach_extra_data(ssl, &extra); !attached)
    return tl::unexpected(std::move(attached.error()));
  if (const SessionPtr session = take_session(extra.session_key)) SSL_set_session(ssl, session.get());
  if (offloads()) begin_offloading(ssl);
  SSL_set_connect_state(ssl);
  return made;
}

void ClientContext::keep_session(const std::string& key, SessionPtr session) {
  if (SSL_SESSION_is_resumable(session.get()) != 1) return;
  forget_session(key);
  if (sessions_.size() == kBackendSessions) {
    by_key_.erase(sessions_.back().key);
    sessions_.pop_back();
  }
  sessions_.push_front({key, std::move(session)});
  by_key_[key] = sessions_.begin();
}

void ClientContext::forget_session(const std::string& key) {
  const auto found = by_key_.find(key);
  if (found == by_key_.end()) return;
  sessions_.erase(found->second);
  by_key_.erase(found);
}

SessionPtr ClientContext::take_session(const std::string& key) {
  const auto found = by_key_.find(key);
  if (found == by_key_.end()) return nullptr;
  SSL_SESSION* session = found->second->session.get();
  // A TLS 1.2 session may be used many times, but a TLS 1.3 ticket only once, so that connections cannot be
  // linked by it (RFC 8446, appendix C.4).
  const bool valid = peer_still_valid(session);
  if (valid && SSL_SESSION_get_protocol_version(session) < TLS1_3_VERSION) {
    return lasting_session(session);
  }
  SessionPtr taken = std::move(found->second->session);
  sessions_.erase(found->second);
  by_key_.erase(found);
  return valid ? std::move(taken) : nullptr;
}

}  // namespace headgate
