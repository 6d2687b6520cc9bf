#include "tls/openssl/offloaded_keys.h"

#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>
#include <openssl/async.h>
#include <openssl/err.h>
#include <openssl/rsa.h>

#include "tls/library/key_use.h"
#include "tls/library/offloading_keys.h"
#include "tls/library/openssl_call.h"
#include "tls/openssl/library_objects.h"

namespace headgate::test {
namespace {

const std::string kMessage = "what a handshake signs";

/// An RSA key of `home`, and the key that stands for it in `library`.
class OffloadedKeyTest : public testing::Test {
 protected:
  OffloadedKeyTest() : home(*LibraryContext::make()), library(*LibraryContext::make()) {
    real.reset(EVP_PKEY_Q_keygen(openssl_context(home.get()), nullptr, "RSA", std::size_t{2048}));
    EVP_PKEY_up_ref(real.get());
    auto made = offload_key(PkeyPtr(real.get()), home, *library);
    if (!made) ADD_FAILURE() << made.error().what;
    key = *std::move(made);
  }

  /// Returns an RSA-PSS signature by `key`, made as TLS 1.3 makes it; empty when OpenSSL refuses.
  [[nodiscard]] std::vector<unsigned char> sign() const {
    const DigestCtxPtr context(EVP_MD_CTX_new());
    EVP_PKEY_CTX* parameters = nullptr;
    const auto* message = reinterpret_cast<const unsigned char*>(kMessage.data());
    std::size_t size = 0;
    if (EVP_DigestSignInit_ex(context.get(), &parameters, "SHA256", openssl_context(library.get()),
                              library->objects().key_schedule->properties(), key.get(), nullptr) != 1 ||
        EVP_PKEY_CTX_set_rsa_padding(parameters, RSA_PKCS1_PSS_PADDING) <= 0 ||
        EVP_PKEY_CTX_set_rsa_pss_saltlen(parameters, RSA_PSS_SALTLEN_DIGEST) <= 0 ||
        EVP_DigestSign(context.get(), nullptr, &size, message, kMessage.size()) != 1) {
      ADD_FAILURE() << fail_openssl(ErrorKind::kInvalid, "making a signature").value().what;
      return {};
    }
    std::vector<unsigned char> signature(size);
    if (EVP_DigestSign(context.get(), signature.data(), &size, message, kMessage.size()) != 1) size = 0;
    signature.resize(size);
    return signature;
  }
  [[nodiscard]] bool verifies(const std::vector<unsigned char>& signature) const {
    const DigestCtxPtr context(EVP_MD_CTX_new());
    EVP_PKEY_CTX* parameters = nullptr;
    return EVP_DigestVerifyInit_ex(context.get(), &parameters, "SHA256", openssl_context(home.get()), nullptr,
                                   real.get(), nullptr) == 1 &&
           EVP_PKEY_CTX_set_rsa_padding(parameters, RSA_PKCS1_PSS_PADDING) > 0 &&
           EVP_DigestVerify(context.get(), signature.data(), signature.size(),
                            reinterpret_cast<const unsigned char*>(kMessage.data()), kMessage.size()) == 1;
  }

  std::shared_ptr<const LibraryContext> home;
  std::unique_ptr<LibraryContext> library;
  PkeyPtr real, key;
};

TEST_F(OffloadedKeyTest, SignsAtOnceWhereNobodyOffloads) {
  EXPECT_TRUE(verifies(sign()));
}

TEST_F(OffloadedKeyTest, HasTheSizeAndThePublicNumbersOfTheRealKey) {
  EXPECT_EQ(EVP_PKEY_get_size(key.get()), 256);
  EXPECT_EQ(EVP_PKEY_get_bits(key.get()), 2048);
  EXPECT_EQ(EVP_PKEY_is_a(key.get(), "RSA"), 1);
  EXPECT_EQ(EVP_PKEY_eq(real.get(), key.get()), 1);
  const PkeyPtr other(EVP_PKEY_Q_keygen(openssl_context(home.get()), nullptr, "RSA", std::size_t{2048}));
  EXPECT_NE(EVP_PKEY_eq(other.get(), key.get()), 1);
}

/// One signature in a job of OpenSSL's, as SSL_MODE_ASYNC runs a handshake.
class SignatureJob {
 public:
  explicit SignatureJob(std::function<std::vector<unsigned char>()> sign) : sign_(std::move(sign)) {}
  ~SignatureJob() { ASYNC_WAIT_CTX_free(wait_); }
  SignatureJob(const SignatureJob&) = delete;
  SignatureJob& operator=(const SignatureJob&) = delete;

  /// Returns the answer of ASYNC_start_job(): ASYNC_PAUSE or ASYNC_FINISH.
  int run() {
    SignatureJob* self = this;
    int result = 0;
    const OffloadingKeys offloading(&operation);
    return ASYNC_start_job(
        &job_, wait_, &result,
        [](void* data) {
          auto* one = *static_cast<SignatureJob**>(data);
          one->signature = one->sign_();
          return 1;
        },
        &self, sizeof self);
  }

  std::shared_ptr<PrivateKeyOperation> operation;
  std::vector<unsigned char> signature;

 private:
  std::function<std::vector<unsigned char>()> sign_;
  ASYNC_JOB* job_ = nullptr;
  ASYNC_WAIT_CTX* wait_ = ASYNC_WAIT_CTX_new();
};

TEST_F(OffloadedKeyTest, PausesUntilAnotherThreadHasPerformedTheOperation) {
  SignatureJob job([this] { return sign(); });
  ASSERT_EQ(job.run(), ASYNC_PAUSE);
  ASSERT_NE(job.operation, nullptr);
  EXPECT_FALSE(job.operation->is_finished());
  std::thread([operation = job.operation] { operation->perform(); }).join();
  ASSERT_EQ(job.run(), ASYNC_FINISH);
  EXPECT_TRUE(verifies(job.signature));
}

TEST_F(OffloadedKeyTest, GivesNoSignatureWhenThePausedHandshakeIsAbandoned) {
  SignatureJob job([this] { return sign(); });
  ASSERT_EQ(job.run(), ASYNC_PAUSE);
  const auto operation = job.operation;
  ASSERT_EQ(job.run(), ASYNC_FINISH);
  EXPECT_TRUE(job.signature.empty());
  std::thread([operation] { operation->perform(); }).join();  // it still owns all that it uses
  EXPECT_TRUE(operation->is_finished());
}

TEST_F(OffloadedKeyTest, TheOperationOutlivesKeyAndLibraryContext) {
  SignatureJob job([this] { return sign(); });
  ASSERT_EQ(job.run(), ASYNC_PAUSE);
  const auto operation = job.operation;
  ASSERT_EQ(job.run(), ASYNC_FINISH);
  key.reset();
  real.reset();
  library.reset();
  home.reset();
  std::thread([operation] { operation->perform(); }).join();
  EXPECT_TRUE(operation->is_finished());
}

TEST_F(OffloadedKeyTest, IsNotPreferredForKeysOfOthers) {
  const PkeyPtr plain(EVP_PKEY_Q_keygen(openssl_context(library.get()), nullptr, "RSA", std::size_t{2048}));
  ASSERT_NE(plain, nullptr);
  const OSSL_PROVIDER* provider = EVP_PKEY_get0_provider(plain.get());
  EXPECT_STREQ(OSSL_PROVIDER_get0_name(provider), "default");
}

}  // namespace
}  // namespace headgate::test
