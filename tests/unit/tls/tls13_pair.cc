#include "unit/tls/tls13_pair.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>

#include "base/check.h"
#include "tls/library/keys.h"
#include "tls/library/secret_capture.h"

namespace headgate {
namespace {

X509Ptr make_certificate(EVP_PKEY* key) {
  X509Ptr certificate(X509_new());
  X509_set_version(certificate.get(), X509_VERSION_3);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate.get()), 1);
  X509_gmtime_adj(X509_getm_notBefore(certificate.get()), -60);
  X509_gmtime_adj(X509_getm_notAfter(certificate.get()), 3600);
  X509_NAME* name = X509_get_subject_name(certificate.get());
  const auto* common_name = reinterpret_cast<const unsigned char*>("record.test");
  X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, common_name, -1, -1, 0);
  X509_set_issuer_name(certificate.get(), name);
  X509_set_pubkey(certificate.get(), key);
  HG_CHECK(X509_sign(certificate.get(), key, EVP_sha256()) > 0);
  return certificate;
}

const char* suite_name(RecordSuite suite) {
  constexpr std::array kNames{"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384",
                              "TLS_CHACHA20_POLY1305_SHA256"};
  return kNames[static_cast<std::size_t>(suite)];
}

SslCtxPtr make_ctx(const LibraryContext* library, TlsRole role, const Tls13Pair::Options& options) {
  const SSL_METHOD* method = role == TlsRole::kServer ? TLS_server_method() : TLS_client_method();
  SslCtxPtr ctx(library == nullptr ? SslCtxPtr(SSL_CTX_new(method)) : library->new_ssl_ctx(method));
  SSL_CTX_set_min_proto_version(ctx.get(), TLS1_3_VERSION);
  HG_CHECK(SSL_CTX_set_ciphersuites(ctx.get(), suite_name(options.suite)) == 1);
  if (role == TlsRole::kServer) {
    const PkeyPtr key = new_p256_key();
    const X509Ptr certificate = make_certificate(key.get());
    HG_CHECK(SSL_CTX_use_certificate(ctx.get(), certificate.get()) == 1);
    HG_CHECK(SSL_CTX_use_PrivateKey(ctx.get(), key.get()) == 1);
    SSL_CTX_set_num_tickets(ctx.get(), options.tickets);
  }
  return ctx;
}

/// Our end of the handshake: an SSL on memory. The test carries its bytes to and from the socket, and counts
/// those that it writes.
class PumpedHandshake {
 public:
  PumpedHandshake(SSL_CTX* ctx, TlsRole role, int fd) : ssl_(SSL_new(ctx)), fd_(fd) {
    SSL_set_bio(ssl_.get(), BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    role == TlsRole::kServer ? SSL_set_accept_state(ssl_.get()) : SSL_set_connect_state(ssl_.get());
  }

  /// Goes on with the bytes that have arrived. Returns true when the handshake is done.
  bool step() {
    std::array<unsigned char, 16384> bytes;
    for (ssize_t n; (n = ::read(fd_, bytes.data(), bytes.size())) > 0;) {
      HG_CHECK(BIO_write(SSL_get_rbio(ssl_.get()), bytes.data(), static_cast<int>(n)) == n);
    }
    const CapturingSecrets capturing(ssl_.get(), &secrets_);
    const bool done = SSL_do_handshake(ssl_.get()) == 1;
    written_.clear();
    for (int n; (n = BIO_read(SSL_get_wbio(ssl_.get()), bytes.data(), static_cast<int>(bytes.size()))) > 0;) {
      const auto* first = reinterpret_cast<const std::byte*>(bytes.data());
      written_.insert(written_.end(), first, first + n);
    }
    HG_CHECK(::write(fd_, written_.data(), written_.size()) == static_cast<ssize_t>(written_.size()));
    return done;
  }

  /// The number of records of the last step. Those of a server are its tickets, which have the application
  /// keys.
  [[nodiscard]] std::uint64_t records_of_last_step() const {
    std::uint64_t count = 0;
    for (std::span<const std::byte> rest(written_); !rest.empty();
         rest = rest.subspan(record_size_bytes(rest)))
      ++count;
    return count;
  }

  [[nodiscard]] std::vector<std::byte> unread() const {
    char* data = nullptr;
    const auto size = static_cast<std::size_t>(BIO_get_mem_data(SSL_get_rbio(ssl_.get()), &data));
    const auto* first = reinterpret_cast<const std::byte*>(data);
    return {first, first + size};
  }

  [[nodiscard]] SecretCapture& secrets() { return secrets_; }

 private:
  SecretCapture secrets_;
  SslPtr ssl_;
  int fd_;
  std::vector<std::byte> written_;
};

}  // namespace

SocketPair::SocketPair() {
  int fds[2];
  HG_CHECK(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) == 0);
  for (const int fd : fds) {
    const int room = 4 << 20;
    ::setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
  }
  ours = Fd(fds[0]);
  theirs = Fd(fds[1]);
}

Tls13Pair::Tls13Pair(const Options& options)
    : library(LibraryContext::make().value()),
      our_ctx(make_ctx(library.get(), options.our_role, options)),
      peer_ctx(make_ctx(nullptr, options.our_role == TlsRole::kServer ? TlsRole::kClient : TlsRole::kServer,
                        options)) {
  if (options.prepare_peer != nullptr) options.prepare_peer(peer_ctx.get());
  peer.reset(SSL_new(peer_ctx.get()));
  peer_fd = sockets_.theirs.number();
  SSL_set_fd(peer.get(), peer_fd);
  options.our_role == TlsRole::kServer ? SSL_set_connect_state(peer.get()) : SSL_set_accept_state(peer.get());

  PumpedHandshake ours(our_ctx.get(), options.our_role, sockets_.ours.number());
  bool peer_done = false;
  bool ours_done = false;
  for (int round = 0; round < 10 && !(peer_done && ours_done); ++round) {
    peer_done = SSL_do_handshake(peer.get()) == 1;
    if (!ours_done) ours_done = ours.step();
  }
  HG_CHECK(peer_done && ours_done && ours.secrets().complete());

  const bool server = options.our_role == TlsRole::kServer;
  SecretCapture& secrets = ours.secrets();
  state.socket = std::move(sockets_.ours);
  state.role = options.our_role;
  state.sending = {options.suite, std::move(server ? secrets.server : secrets.client),
                   server ? ours.records_of_last_step() : 0};
  state.receiving = {options.suite, std::move(server ? secrets.client : secrets.server), 0};
  state.received = ours.unread();
}

void Tls13Pair::peer_writes(std::span<const std::byte> bytes) {
  std::size_t written = 0;
  if (!bytes.empty()) {
    HG_CHECK(SSL_write_ex(peer.get(), bytes.data(), bytes.size(), &written) == 1 && written == bytes.size());
  }
}

std::vector<std::byte> Tls13Pair::peer_reads() {
  std::vector<std::byte> all;
  std::array<std::byte, 16384> part;
  for (std::size_t size = 0; SSL_read_ex(peer.get(), part.data(), part.size(), &size) == 1;) {
    all.insert(all.end(), part.begin(), part.begin() + static_cast<std::ptrdiff_t>(size));
  }
  return all;
}

void Tls13Pair::peer_updates_keys(KeyUpdateRequest request) {
  const int kind =
      request == KeyUpdateRequest::kRequested ? SSL_KEY_UPDATE_REQUESTED : SSL_KEY_UPDATE_NOT_REQUESTED;
  HG_CHECK(SSL_key_update(peer.get(), kind) == 1 && SSL_do_handshake(peer.get()) == 1);
  // AWS-LC sends it with the next bytes, or with none.
  std::size_t written = 0;
  static_cast<void>(SSL_write_ex(peer.get(), "", 0, &written));
}

}  // namespace headgate
