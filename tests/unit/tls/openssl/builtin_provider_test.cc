#include "tls/openssl/builtin_provider.h"

#include <gtest/gtest.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

namespace headgate {
namespace {

int refuse_to_start(const OSSL_CORE_HANDLE*, const OSSL_DISPATCH*, const OSSL_DISPATCH**, void**) {
  return 0;
}

TEST(BuiltinProvider, GivesItsOwnReasonWhenItCannotBeLoaded) {
  const LibCtxPtr library(OSSL_LIB_CTX_new());
  ERR_raise(ERR_LIB_SSL, SSL_R_BAD_DATA);
  const auto provider = load_builtin_provider(library.get(), "refused", refuse_to_start);
  ASSERT_FALSE(provider);
  EXPECT_EQ(provider.error().what,
            "OpenSSL could not load the provider refused: init fail (common libcrypto routines)");
  EXPECT_EQ(ERR_peek_error(), 0UL);
}

}  // namespace
}  // namespace headgate
