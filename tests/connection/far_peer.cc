#include "connection/far_peer.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <vector>

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "base/check.h"
#include "net/plain_stream.h"
#include "net/socket.h"
#include "tls/certificate/self_signed.h"
#include "tls/handshake/tls_stream.h"
#include "tls/library/fatal_alert.h"
#include "tls/record/record_stream.h"
#include "unit/tls/record/record_bytes.h"

namespace headgate::test {
namespace {

constexpr int kSmallBufferBytes = 8192;

std::string text_of(std::span<const std::byte> bytes) {
  return string_of(bytes);
}

class PlainPeer final : public FarPeer {
 public:
  explicit PlainPeer(Fd socket) : FarPeer(std::move(socket)) {}

 private:
  std::string protect(std::string_view bytes) override { return std::string(bytes); }
  std::string close_notify_record() override { return {}; }
  std::string alert_record() override { return {}; }
  void open(std::string_view wire) override { received += wire; }
  bool is_tls() const override { return false; }
};

/// Speaks TLS 1.3 records under fixed keys.
class RecordPeer final : public FarPeer {
 public:
  static constexpr unsigned char kPeerFill = 1, kOurFill = 2;

  RecordPeer(Fd socket, AeadContexts& contexts, TlsRole role)
      : FarPeer(std::move(socket)),
        sealer_(contexts, test_direction(RecordSuite::kAes128GcmSha256, kPeerFill)),
        opener_(contexts, role, test_direction(RecordSuite::kAes128GcmSha256, kOurFill)) {}

 private:
  std::string protect(std::string_view bytes) override {
    std::string records;
    for (; !bytes.empty(); bytes.remove_prefix(std::min(bytes.size(), kMaxRecordContentBytes)))
      records += text_of(seal_data(sealer_, bytes.substr(0, kMaxRecordContentBytes)));
    return records;
  }
  std::string close_notify_record() override { return alert_of(Alert::kCloseNotify); }
  std::string alert_record() override { return alert_of(Alert::kInternalError); }
  std::string alert_of(Alert which) {
    ByteVector record(64);
    record.resize(sealer_.seal_alert(which, record));
    return text_of(record);
  }
  void open(std::string_view wire) override {
    kept_ += wire;
    if (close_notify || alert >= 0) return;
    ByteVector into(kept_.size() + kMaxRecordContentBytes);
    const auto opened = opener_.open(text_bytes(kept_), into);
    received += text_of(std::span(into).first(opened.produced_bytes));
    kept_.erase(0, opened.consumed_bytes);
    close_notify = opened.status == RecordOpener::Status::kEnded;
    if (opened.status == RecordOpener::Status::kPeerAlert) alert = static_cast<int>(opened.alert);
    HG_CHECK(opened.status != RecordOpener::Status::kProtocol);
  }

  RecordProtector sealer_;
  RecordOpener opener_;
  std::string kept_;
};

/// OpenSSL between memory BIOs.
class OpensslPeer final : public FarPeer {
 public:
  OpensslPeer(Fd socket, SslPtr ssl) : FarPeer(std::move(socket)), ssl_(std::move(ssl)) {
    SSL_set_bio(ssl_.get(), BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    BIO_set_mem_eof_return(SSL_get_rbio(ssl_.get()), -1);
    SSL_set_app_data(ssl_.get(), this);
    SSL_set_info_callback(ssl_.get(), [](const SSL* one, int where, int value) {
      if ((where & SSL_CB_ALERT) == 0 || (where & SSL_CB_READ) == 0) return;
      auto* peer = static_cast<OpensslPeer*>(SSL_get_app_data(one));
      const int number = value & 0xff;
      if (number == SSL_AD_CLOSE_NOTIFY) peer->close_notify = true;
      if (number != SSL_AD_CLOSE_NOTIFY) peer->alert = number;
    });
  }

  void handshake() {
    ERR_clear_error();
    SSL_do_handshake(ssl_.get());
    to_send_ += taken();
    turn();
    hear(1 << 16);
  }
  [[nodiscard]] bool is_ready() const { return SSL_is_init_finished(ssl_.get()) == 1; }

 private:
  std::string taken() {
    std::string bytes(BIO_ctrl_pending(SSL_get_wbio(ssl_.get())), '\0');
    if (!bytes.empty()) BIO_read(SSL_get_wbio(ssl_.get()), bytes.data(), static_cast<int>(bytes.size()));
    return bytes;
  }
  std::string protect(std::string_view bytes) override {
    HG_CHECK(SSL_write(ssl_.get(), bytes.data(), static_cast<int>(bytes.size())) > 0);
    return taken();
  }
  std::string close_notify_record() override {
    SSL_shutdown(ssl_.get());
    return taken();
  }
  std::string alert_record() override {
    write_fatal_alert(ssl_.get(), SSL_AD_INTERNAL_ERROR);
    ERR_clear_error();
    return taken();
  }
  void open(std::string_view wire) override {
    if (SSL_get_rbio(ssl_.get()) == nullptr) return;
    BIO_write(SSL_get_rbio(ssl_.get()), wire.data(), static_cast<int>(wire.size()));
    if (!is_ready()) return;
    std::vector<char> into(1 << 16);
    for (int size = 0; (size = SSL_read(ssl_.get(), into.data(), static_cast<int>(into.size()))) > 0;)
      received.append(into.data(), static_cast<std::size_t>(size));
    ERR_clear_error();
  }

  SslPtr ssl_;
};

/// Contexts of both ends, for one version.
struct OpensslContexts {
  explicit OpensslContexts(std::uint16_t version)
      : server(SSL_CTX_new(TLS_server_method())), client(SSL_CTX_new(TLS_client_method())) {
    const SelfSigned certificate = *SelfSigned::make("www.example.com");
    HG_CHECK(SSL_CTX_use_certificate_chain_file(server.get(), certificate.path().c_str()) == 1);
    HG_CHECK(SSL_CTX_use_PrivateKey_file(server.get(), certificate.path().c_str(), SSL_FILETYPE_PEM) == 1);
    SSL_CTX_set_num_tickets(server.get(), 0);
    for (SSL_CTX* context : {server.get(), client.get()}) {
      SSL_CTX_set_min_proto_version(context, version);
      SSL_CTX_set_max_proto_version(context, version);
      SSL_CTX_set_options(context, SSL_OP_IGNORE_UNEXPECTED_EOF | SSL_OP_NO_RENEGOTIATION);
    }
  }
  SslCtxPtr server, client;
};

Pair openssl_pair(std::uint16_t version, Side side, TcpPair sockets, Buffers& buffers) {
  static const OpensslContexts contexts[] = {OpensslContexts(TLS1_2_VERSION),
                                             OpensslContexts(TLS1_3_VERSION)};
  const OpensslContexts& both = contexts[version == TLS1_3_VERSION ? 1 : 0];
  const bool we_serve = side == Side::kClient;
  SslPtr ours(SSL_new((we_serve ? both.server : both.client).get()));
  SslPtr theirs(SSL_new((we_serve ? both.client : both.server).get()));
  we_serve ? SSL_set_accept_state(ours.get()) : SSL_set_connect_state(ours.get());
  we_serve ? SSL_set_connect_state(theirs.get()) : SSL_set_accept_state(theirs.get());
  auto extra = std::make_unique<SslExtraData>();
  HG_CHECK(attach_extra_data(ours.get(), extra.get()));
  SSL_set_msg_callback(ours.get(), record_message);
  auto stream = std::make_unique<TlsStream>(TlsStream::Parts{.ssl = std::move(ours),
                                                             .bio = *SocketBio::make_bio(),
                                                             .extra = std::move(extra),
                                                             .context = nullptr,
                                                             .secrets = nullptr},
                                            std::move(sockets.ours), buffers);
  auto peer = std::make_unique<OpensslPeer>(std::move(sockets.theirs), std::move(theirs));
  for (bool done = false; !done || !peer->is_ready();) {
    peer->handshake();
    if (!done) done = stream->handshake() == IoStatus::kDone;
    HG_CHECK(stream->failure().kind == FailureKind::kNone);
  }
  static_cast<void>(stream->flush());
  return {.stream = std::move(stream), .peer = std::move(peer)};
}

Pair record_pair(Side side, TcpPair sockets, StreamWorker worker) {
  const bool we_serve = side == Side::kClient;
  constexpr auto kSuite = RecordSuite::kAes128GcmSha256;
  RecordStreamState state{.socket = std::move(sockets.ours),
                          .role = we_serve ? TlsRole::kServer : TlsRole::kClient,
                          .sending = test_direction(kSuite, RecordPeer::kOurFill),
                          .receiving = test_direction(kSuite, RecordPeer::kPeerFill),
                          .received = {},
                          .unsent = {}};
  return {.stream = std::make_unique<RecordStream>(std::move(state), worker.buffers, worker.contexts),
          .peer = std::make_unique<RecordPeer>(std::move(sockets.theirs), worker.contexts,
                                               we_serve ? TlsRole::kClient : TlsRole::kServer)};
}

void set_buffer(int fd, int option, int bytes) {
  HG_CHECK(::setsockopt(fd, SOL_SOCKET, option, &bytes, sizeof bytes) == 0);
}

}  // namespace

std::ostream& operator<<(std::ostream& out, Layer layer) {
  constexpr const char* kNames[] = {"plain", "TLS 1.3 on our records", "TLS 1.3 on OpenSSL", "TLS 1.2"};
  return out << kNames[static_cast<int>(layer)];
}

TcpPair::TcpPair(bool is_slow) {
  const Fd listening(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  HG_CHECK(::bind(listening.number(), reinterpret_cast<sockaddr*>(&address), size) == 0);
  HG_CHECK(::listen(listening.number(), 1) == 0);
  HG_CHECK(::getsockname(listening.number(), reinterpret_cast<sockaddr*>(&address), &size) == 0);
  theirs = Fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (is_slow) set_buffer(theirs.number(), SO_RCVBUF, kSmallBufferBytes);
  HG_CHECK(::connect(theirs.number(), reinterpret_cast<sockaddr*>(&address), size) == 0);
  ours = Fd(::accept4(listening.number(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
  HG_CHECK(static_cast<bool>(ours));
  if (is_slow) set_buffer(ours.number(), SO_SNDBUF, kSmallBufferBytes);
  const int on = 1;
  for (const Fd* fd : {&ours, &theirs}) ::setsockopt(fd->number(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

void FarPeer::end_in_order() {
  to_send_ += close_notify_record();
  end_cut_short();
}

void FarPeer::leave() {
  if (ended_ || !socket_) return;
  to_send_.clear();
  end_cut_short();
}

void FarPeer::end_cut_short() {
  ended_ = true;
  send_all();
  send_end(socket_.number());
}

void FarPeer::end_in_a_record() {
  std::string record = protect("the last record");
  record.pop_back();
  to_send_ += record;
  end_cut_short();
}

void FarPeer::end_with_alert() {
  to_send_ += alert_record();
  send_all();
}

void FarPeer::end_with_a_bad_record() {
  std::string record = protect("a damaged record");
  record.back() = static_cast<char>(record.back() ^ 1);
  to_send_ += record;
  send_all();
}

// A reset destroys what the other kernel has not got.
void FarPeer::reset() {
  send_all();
  while (!is_delivered()) ::poll(nullptr, 0, 1);
  set_reset_on_close(socket_.number());
  socket_ = Fd();
}

void FarPeer::send_all() {
  while (!to_send_.empty()) {
    turn();
    HG_CHECK(!was_reset);
  }
}

void FarPeer::send_urgent(char byte) {
  ASSERT_EQ(::send(socket_.number(), &byte, 1, MSG_OOB | MSG_NOSIGNAL), 1);
}

void FarPeer::turn() {
  if (to_send_.empty() || !socket_) return;
  const ssize_t sent =
      ::send(socket_.number(), to_send_.data(), to_send_.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  if (sent > 0) to_send_.erase(0, static_cast<std::size_t>(sent));
  if (sent < 0 && errno != EAGAIN) to_send_.clear();
}

bool FarPeer::is_delivered() const {
  return to_send_.empty() && undelivered_bytes(socket_.number()) == 0;
}

void FarPeer::hear(std::size_t most_bytes) {
  if (most_bytes == 0 || is_over() || !socket_) return;
  std::string wire(most_bytes, '\0');
  const ssize_t size = ::recv(socket_.number(), wire.data(), wire.size(), MSG_DONTWAIT);
  if (size == 0) fin = true;
  if (size < 0) was_reset = was_reset || errno != EAGAIN;
  if (size > 0) open(std::string_view(wire).substr(0, static_cast<std::size_t>(size)));
}

Farewell FarPeer::seen() const {
  if (was_reset) return Farewell::kReset;
  if (!fin) return Farewell::kNothing;
  if (alert >= 0) return Farewell::kAlert;
  return !is_tls() || close_notify ? Farewell::kInOrder : Farewell::kCutShort;
}

Pair make_pair(Layer layer, Side side, bool is_slow, StreamWorker worker) {
  TcpPair sockets(is_slow);
  switch (layer) {
    case Layer::kPlain:
      return {.stream = std::make_unique<PlainStream>(std::move(sockets.ours)),
              .peer = std::make_unique<PlainPeer>(std::move(sockets.theirs))};
    case Layer::kRecords:
      return record_pair(side, std::move(sockets), worker);
    case Layer::kOpenssl13:
      return openssl_pair(TLS1_3_VERSION, side, std::move(sockets), worker.buffers);
    case Layer::kOpenssl12:
      break;
  }
  return openssl_pair(TLS1_2_VERSION, side, std::move(sockets), worker.buffers);
}

}  // namespace headgate::test
