#include "tls/library/aead_context.h"

#include <gtest/gtest.h>

#include "tls/openssl/library_objects.h"

namespace headgate {
namespace {

TEST(FindAead, FindsNothingInALibraryWithoutCiphers) {
  auto objects = std::make_unique<LibraryObjects>();
  objects->context.reset(OSSL_LIB_CTX_new());
  OSSL_PROVIDER* null_provider = OSSL_PROVIDER_load(objects->context.get(), "null");
  ASSERT_NE(null_provider, nullptr);
  const LibraryContext library(std::move(objects));
  EXPECT_EQ(find_aead(&library, RecordSuite::kAes128GcmSha256), nullptr);
  EXPECT_EQ(find_aead(&library, RecordSuite::kChacha20Poly1305Sha256), nullptr);
  OSSL_PROVIDER_unload(null_provider);
}

}  // namespace
}  // namespace headgate
