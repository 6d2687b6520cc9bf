#include "tls/handshake/tls_stream.h"

#include <sys/socket.h>

#include <gtest/gtest.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

namespace headgate {
namespace {

// OpenSSL's error queue belongs to the thread, and SSL_get_error() looks into it: an entry that another
// connection left there must not be taken for this one's.
TEST(TlsStream, AStaleErrorOfAnotherConnectionDoesNotTurnNotYetIntoAFailure) {
  int ends[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
  const Fd peer(ends[1]);
  const SslCtxPtr context(SSL_CTX_new(TLS_server_method()));
  SslPtr ssl(SSL_new(context.get()));
  SSL_set_accept_state(ssl.get());
  Buffers buffers;
  TlsStream stream({.ssl = std::move(ssl),
                    .bio = *SocketBio::make_bio(),
                    .extra = std::make_unique<SslExtraData>(),
                    .context = nullptr,
                    .secrets = nullptr},
                   Fd(ends[0]), buffers);
  ERR_put_error(ERR_LIB_SSL, 0, SSL_R_BAD_LENGTH, __FILE__, __LINE__);
  EXPECT_EQ(stream.handshake(), IoStatus::kWantRead);
  ERR_put_error(ERR_LIB_SSL, 0, SSL_R_BAD_LENGTH, __FILE__, __LINE__);
  EXPECT_EQ(stream.handshake(), IoStatus::kWantRead);
}

}  // namespace
}  // namespace headgate
