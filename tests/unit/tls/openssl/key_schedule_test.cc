#include "tls/openssl/key_schedule.h"

#include <array>
#include <string>

#include <gtest/gtest.h>

#include "tls/library/secret_capture.h"
#include "tls/openssl/library_objects.h"
#include "unit/tls/record/record_bytes.h"

namespace headgate {
namespace {

std::string provider_of(OSSL_LIB_CTX* library, const char* kdf_name, const char* properties) {
  const KdfPtr kdf(EVP_KDF_fetch(library, kdf_name, properties));
  return kdf == nullptr ? "none" : OSSL_PROVIDER_get0_name(EVP_KDF_get0_provider(kdf.get()));
}

/// The parameters of one derivation of TLS 1.3, and the values to which they point.
struct Asked {
  std::string digest = "SHA2-256";
  std::string prefix = "tls13 ";
  std::string label = "c ap traffic";
  int mode = EVP_KDF_HKDF_MODE_EXPAND_ONLY;
  ByteVector key = ByteVector(32, std::byte{7});
  std::size_t size = 32;

  int derive(OSSL_LIB_CTX* library, ByteVector& out) {
    const KdfPtr kdf(EVP_KDF_fetch(library, "TLS13-KDF", "provider=headgate"));
    const KdfCtxPtr context(EVP_KDF_CTX_new(kdf.get()));
    const std::array<OSSL_PARAM, 6> params{
        OSSL_PARAM_construct_int("mode", &mode),
        OSSL_PARAM_construct_utf8_string("digest", digest.data(), 0),
        OSSL_PARAM_construct_octet_string("key", key.data(), key.size()),
        OSSL_PARAM_construct_octet_string("prefix", prefix.data(), prefix.size()),
        OSSL_PARAM_construct_octet_string("label", label.data(), label.size()),
        OSSL_PARAM_construct_end()};
    out.assign(size, std::byte{0});
    return EVP_KDF_derive(context.get(), reinterpret_cast<unsigned char*>(out.data()), size, params.data());
  }
};

class KeyScheduleTest : public ::testing::Test {
 protected:
  std::unique_ptr<LibraryContext> library = LibraryContext::make().value();
};

TEST_F(KeyScheduleTest, IsFoundByWhoPrefersItAndNeverForFips) {
  EXPECT_STREQ(library->objects().key_schedule->properties(), "?provider=headgate");
  for (const char* name : {"TLS13-KDF", "TLS1-PRF"}) {
    EXPECT_EQ(
        provider_of(openssl_context(library.get()), name, library->objects().key_schedule->properties()),
        "headgate");
    EXPECT_EQ(provider_of(openssl_context(library.get()), name, "provider=default"), "default");
    EXPECT_EQ(provider_of(openssl_context(library.get()), name, "fips=yes"), "none");
  }
  EXPECT_EQ(
      provider_of(openssl_context(library.get()), "HKDF", library->objects().key_schedule->properties()),
      "default");
}

TEST_F(KeyScheduleTest, CapturesTheSecretsThatRemainOnThisThreadWhileAsked) {
  SecretCapture capture;
  ByteVector client;
  ByteVector server;
  ByteVector resumption;
  {
    const CapturingSecrets capturing(nullptr, &capture);
    ASSERT_EQ(Asked{.label = "c hs traffic"}.derive(openssl_context(library.get()), client), 1);
    EXPECT_TRUE(capture.client.empty());
    ASSERT_EQ(Asked{}.derive(openssl_context(library.get()), client), 1);
    EXPECT_FALSE(capture.complete());
    ASSERT_EQ(Asked{.label = "s ap traffic"}.derive(openssl_context(library.get()), server), 1);
    EXPECT_FALSE(capture.complete());
    ASSERT_EQ(Asked{.label = "res master"}.derive(openssl_context(library.get()), resumption), 1);
    EXPECT_TRUE(capture.complete());
  }
  ByteVector later;
  ASSERT_EQ(Asked{.key = ByteVector(32, std::byte{9})}.derive(openssl_context(library.get()), later), 1);
  EXPECT_NE(client, later);
  EXPECT_EQ(ByteVector(capture.client.bytes().begin(), capture.client.bytes().end()), client);
  EXPECT_EQ(ByteVector(capture.server.bytes().begin(), capture.server.bytes().end()), server);
  EXPECT_EQ(ByteVector(capture.resumption.bytes().begin(), capture.resumption.bytes().end()), resumption);
}

TEST_F(KeyScheduleTest, RefusesWhatNoHandshakeOfTls13AsksFor) {
  ByteVector out;
  EXPECT_EQ(Asked{.digest = "SHA2-512"}.derive(openssl_context(library.get()), out), 0);
  EXPECT_EQ(Asked{.digest = "MD5"}.derive(openssl_context(library.get()), out), 0);
  EXPECT_EQ(Asked{.prefix = "dtls13"}.derive(openssl_context(library.get()), out), 0);
  EXPECT_EQ(Asked{.label = std::string(250, 'l')}.derive(openssl_context(library.get()), out), 0);
  EXPECT_EQ(Asked{.mode = EVP_KDF_HKDF_MODE_EXTRACT_AND_EXPAND}.derive(openssl_context(library.get()), out),
            0);
  EXPECT_EQ(
      (Asked{.mode = EVP_KDF_HKDF_MODE_EXTRACT_ONLY, .size = 31}.derive(openssl_context(library.get()), out)),
      0);
  EXPECT_EQ(Asked{.key = {}}.derive(openssl_context(library.get()), out), 0);
  EXPECT_EQ(Asked{.size = 256 * 32}.derive(openssl_context(library.get()), out), 0);
}

}  // namespace
}  // namespace headgate
