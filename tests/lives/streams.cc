#include "lives/streams.h"

#include <array>
#include <cstring>
#include <optional>
#include <string>
#include <vector>

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "base/check.h"
#include "net/plain_stream.h"
#include "tls/certificate/self_signed.h"
#include "tls/handshake/tls_stream.h"
#include "tls/library/lasting_session.h"

namespace headgate::lives {
namespace {

constexpr std::array<std::uint16_t, 2> kVersions{TLS1_2_VERSION, TLS1_3_VERSION};

/// The secrets of TLS 1.3 that the script's end of a handshake has logged.
struct LoggedSecrets {
  std::vector<std::byte> client, server;
};

std::vector<std::byte> unhex(std::string_view digits) {
  std::vector<std::byte> bytes;
  for (; digits.size() >= 2; digits.remove_prefix(2)) {
    bytes.push_back(static_cast<std::byte>(std::stoi(std::string(digits.substr(0, 2)), nullptr, 16)));
  }
  return bytes;
}

void log_secret(const SSL* ssl, const char* line) {
  const std::string_view text(line);
  auto* secrets = static_cast<LoggedSecrets*>(SSL_get_app_data(ssl));
  const auto secret = [&] { return unhex(text.substr(text.rfind(' ') + 1)); };
  if (text.starts_with("CLIENT_TRAFFIC_SECRET_0 ")) secrets->client = secret();
  if (text.starts_with("SERVER_TRAFFIC_SECRET_0 ")) secrets->server = secret();
}

SslCtxPtr make_context(bool server, std::uint16_t version, const SelfSigned& certificate) {
  SslCtxPtr context(SSL_CTX_new(server ? TLS_server_method() : TLS_client_method()));
  SSL_CTX_set_min_proto_version(context.get(), version);
  SSL_CTX_set_max_proto_version(context.get(), version);
  HG_CHECK(SSL_CTX_set_ciphersuites(context.get(), "TLS_AES_128_GCM_SHA256") == 1);
  HG_CHECK(SSL_CTX_set_cipher_list(context.get(), "ECDHE-ECDSA-AES128-GCM-SHA256") == 1);
  if (!server) return context;
  const std::string path = certificate.path();
  HG_CHECK(SSL_CTX_use_certificate_file(context.get(), path.c_str(), SSL_FILETYPE_PEM) == 1);
  HG_CHECK(SSL_CTX_use_PrivateKey_file(context.get(), path.c_str(), SSL_FILETYPE_PEM) == 1);
  return context;
}

/// The script's SSL in the handshake: its bytes come from and go to `tcp`.
bool step(SSL* ssl, Tcp& tcp) {
  const std::string taken = tcp.peer_takes(1 << 20);
  if (!taken.empty()) BIO_write(SSL_get_rbio(ssl), taken.data(), static_cast<int>(taken.size()));
  ERR_clear_error();
  const bool done = SSL_do_handshake(ssl) == 1;
  std::array<char, 16384> bytes;
  for (int size; (size = BIO_read(SSL_get_wbio(ssl), bytes.data(), static_cast<int>(bytes.size()))) > 0;) {
    tcp.peer_sends({bytes.data(), static_cast<std::size_t>(size)});
  }
  return done;
}

DirectionState direction(std::span<const std::byte> secret) {
  return {.suite = RecordSuite::kAes128GcmSha256, .secret = TrafficSecret(secret), .sequence_number = 0};
}

std::vector<std::byte> random_secret(Chance& chance) {
  std::vector<std::byte> secret(32);
  for (std::byte& byte : secret) byte = static_cast<std::byte>(chance.below(256));
  return secret;
}

}  // namespace

std::string_view name(Kind kind) {
  static constexpr std::array<std::string_view, kKindCount> kNames{"plain", "records", "tls13", "tls12"};
  return kNames[static_cast<std::size_t>(kind)];
}

/// One version with Headgate in one role. Its contexts have the options of the program's own that matter
/// after a handshake.
struct Streams::OpensslPair {
  OpensslPair(TlsRole our_role, std::uint16_t protocol, const SelfSigned& certificate)
      : role(our_role),
        version(protocol),
        ours(make_context(role == TlsRole::kServer, version, certificate)),
        theirs(make_context(role != TlsRole::kServer, version, certificate)) {
    SSL_CTX_set_options(ours.get(), SSL_OP_NO_RENEGOTIATION | SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_CTX_set_mode(ours.get(), SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_msg_callback(ours.get(), record_message);
    SSL_CTX_set_keylog_callback(theirs.get(), log_secret);
    SSL_CTX* const client = role == TlsRole::kServer ? theirs.get() : ours.get();
    SSL_CTX_set_app_data(client, this);
    SSL_CTX_set_session_cache_mode(client, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(client, keep_session);
  }

  /// Keeps the first session of the client's.
  static int keep_session(SSL* ssl, SSL_SESSION* session) {
    auto* pair = static_cast<OpensslPair*>(SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl)));
    if (pair->session == nullptr) pair->session = lasting_session(session);
    return 0;
  }

  TlsRole role;
  std::uint16_t version;
  SslCtxPtr ours, theirs;
  SessionPtr session;  // that a client of later lives resumes
};

Streams::Streams() {
  const auto certificate = SelfSigned::make("lives.test");
  HG_CHECK(certificate.has_value());
  Buffers buffers;
  for (const TlsRole role : {TlsRole::kServer, TlsRole::kClient}) {
    for (const std::uint16_t version : kVersions) {
      auto& pair = pairs_[role == TlsRole::kServer ? 0 : 1][version == TLS1_3_VERSION ? 1 : 0];
      pair = std::make_unique<OpensslPair>(role, version, *certificate);
      Tcp tcp;
      static_cast<void>(with_openssl(*pair, tcp, buffers));
      SSL_CTX_set_num_tickets(role == TlsRole::kServer ? pair->ours.get() : pair->theirs.get(),
                              role == TlsRole::kServer ? 1 : 0);
    }
  }
}

Streams::~Streams() = default;

StreamAndPeer Streams::make(Kind kind, TlsRole role, Tcp& tcp, Buffers& buffers, Chance& chance) {
  const std::size_t of_role = role == TlsRole::kServer ? 0 : 1;
  switch (kind) {
    case Kind::kPlain:
      return {std::make_unique<PlainStream>(tcp.descriptor()), nullptr};
    case Kind::kRecords:
      return with_records(role, tcp, buffers, chance);
    case Kind::kTls12:
      return with_openssl(*pairs_[of_role][0], tcp, buffers);
    case Kind::kTls13:
      return with_openssl(*pairs_[of_role][1], tcp, buffers);
  }
  return {};
}

StreamAndPeer Streams::with_records(TlsRole role, Tcp& tcp, Buffers& buffers, Chance& chance) {
  const std::vector<std::byte> from_us = random_secret(chance), from_peer = random_secret(chance);
  RecordStreamState state;
  state.socket = tcp.descriptor();
  state.role = role;
  state.sending = direction(from_us);
  state.receiving = direction(from_peer);
  const TlsRole other = role == TlsRole::kServer ? TlsRole::kClient : TlsRole::kServer;
  return {std::make_unique<RecordStream>(std::move(state), buffers, contexts_),
          std::make_unique<Tls13Records>(contexts_, other, direction(from_peer), direction(from_us))};
}

StreamAndPeer Streams::with_openssl(OpensslPair& pair, Tcp& tcp, Buffers& buffers) {
  const bool server = pair.role == TlsRole::kServer;
  LoggedSecrets secrets;
  SslPtr ours(SSL_new(pair.ours.get()));
  const SslPtr theirs(SSL_new(pair.theirs.get()));
  SSL_set_app_data(theirs.get(), &secrets);
  SSL_set_bio(theirs.get(), BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
  BIO_set_mem_eof_return(SSL_get_rbio(theirs.get()), -1);
  const bool is_first = pair.session == nullptr;
  if (!is_first) {
    // A copy: OpenSSL makes the session of a connection that breaks unusable.
    const SessionPtr session = lasting_session(pair.session.get());
    SSL_set_session(server ? theirs.get() : ours.get(), session.get());
  }
  server ? SSL_set_accept_state(ours.get()) : SSL_set_connect_state(ours.get());
  server ? SSL_set_connect_state(theirs.get()) : SSL_set_accept_state(theirs.get());
  auto extra = std::make_unique<SslExtraData>();
  HG_CHECK(attach_extra_data(ours.get(), extra.get()));
  auto stream = std::make_unique<TlsStream>(TlsStream::Parts{.ssl = std::move(ours),
                                                             .bio = *SocketBio::make_bio(),
                                                             .extra = std::move(extra),
                                                             .context = nullptr,
                                                             .secrets = nullptr},
                                            tcp.descriptor(), buffers);
  bool we_are_done = false, they_are_done = false;
  for (int round = 0; round < 8 && !(we_are_done && they_are_done); ++round) {
    if (!they_are_done) they_are_done = step(theirs.get(), tcp);
    if (!we_are_done) we_are_done = stream->handshake() == IoStatus::kDone;
    tcp.tick();
  }
  HG_CHECK(we_are_done && they_are_done);
  if (is_first) {
    // AWS-LC sends its tickets with the first bytes.
    const std::array<std::byte, 1> first{};
    server ? static_cast<void>(stream->write(first))
           : static_cast<void>(SSL_write(theirs.get(), first.data(), 1));
    static_cast<void>(stream->flush());
    tcp.tick();
    step(theirs.get(), tcp);
    tcp.tick();
    std::array<std::byte, 1 << 15> room;
    server ? static_cast<void>(SSL_read(theirs.get(), room.data(), 1))
           : static_cast<void>(stream->read(room));
    HG_CHECK(pair.session != nullptr && SSL_SESSION_is_resumable(pair.session.get()) == 1);
  }
  if (pair.version == TLS1_2_VERSION)
    return {std::move(stream), std::make_unique<Tls12Records>(theirs.get())};
  DirectionState client = direction(secrets.client), other = direction(secrets.server);
  return {std::move(stream), server ? std::make_unique<Tls13Records>(contexts_, TlsRole::kClient,
                                                                     std::move(client), std::move(other))
                                    : std::make_unique<Tls13Records>(contexts_, TlsRole::kServer,
                                                                     std::move(other), std::move(client))};
}

}  // namespace headgate::lives
