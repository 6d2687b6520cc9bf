#include "tls/library/openssl_call.h"

#include <gtest/gtest.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include "tls/library/openssl_types.h"

namespace headgate {
namespace {

TEST(CallsIntoOpenssl, GiveTheReasonOfTheCallThatFailedAndNotThatOfAnEarlierOne) {
  const SslCtxPtr context(SSL_CTX_new(TLS_server_method()));
  ERR_put_error(ERR_LIB_SSL, 0, SSL_R_BAD_LENGTH, __FILE__, __LINE__);
  const auto answer = call_openssl(ErrorKind::kInvalid, "setting ciphers",
                                   [&] { return SSL_CTX_set_cipher_list(context.get(), "no_such_cipher"); });
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().kind, ErrorKind::kInvalid);
  EXPECT_EQ(answer.error().what, "setting ciphers: no cipher match (SSL routines)");
  EXPECT_EQ(ERR_peek_error(), 0UL);
}

TEST(CallsIntoOpenssl, GiveTheOwnerOfWhatTheCallMade) {
  const auto made = call_openssl(ErrorKind::kSystem, "making a context",
                                 [] { return SslCtxPtr(SSL_CTX_new(TLS_server_method())); });
  ASSERT_TRUE(made);
  EXPECT_NE(made->get(), nullptr);
  EXPECT_FALSE(call_openssl(ErrorKind::kSystem, "making nothing", [] { return SslCtxPtr(); }));
}

TEST(CallsIntoOpenssl, LeaveNoReasonBehindWhereAFailureIsAnAnswer) {
  const SslCtxPtr context(SSL_CTX_new(TLS_server_method()));
  EXPECT_NE(ask_openssl([&] { return SSL_CTX_set1_groups_list(context.get(), "no_such_group"); }), 1);
  EXPECT_EQ(ERR_peek_error(), 0UL);
}

TEST(CallsIntoOpenssl, MayBeAChainThatEndsAtTheFirstCallThatFails) {
  const SslCtxPtr context(SSL_CTX_new(TLS_server_method()));
  const auto answer = call_openssl(ErrorKind::kInvalid, "setting ciphers", [&] {
    return SSL_CTX_set_num_tickets(context.get(), 0) == 1 &&
           SSL_CTX_set_cipher_list(context.get(), "no_such_cipher") == 1;
  });
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().what, "setting ciphers: no cipher match (SSL routines)");
}

}  // namespace
}  // namespace headgate
