#include "tls/library/aead_context.h"

#include <algorithm>
#include <utility>
#include <vector>

#include <openssl/aead.h>
#include <openssl/err.h>

#include "base/check.h"
#include "tls/octets.h"

namespace headgate {
namespace {

const EVP_AEAD* aead_of(RecordSuite suite) {
  switch (suite) {
    case RecordSuite::kAes128GcmSha256:
      return EVP_aead_aes_128_gcm();
    case RecordSuite::kAes256GcmSha384:
      return EVP_aead_aes_256_gcm();
    case RecordSuite::kChacha20Poly1305Sha256:
      return EVP_aead_chacha20_poly1305();
  }
  return EVP_aead_aes_128_gcm();
}

/// The key lies in it, so it is wiped with it.
class AwslcContext final : public AeadContext {
 public:
  explicit AwslcContext(const EVP_AEAD* aead) : aead_(aead) { EVP_AEAD_CTX_zero(&key_); }
  ~AwslcContext() override { wipe(); }

  void set_key(AeadUse use, const TrafficKeys& keys) override;
  [[nodiscard]] bool seal(const Nonce& nonce, std::span<const std::byte> header,
                          std::span<const std::byte> content, std::byte type, std::byte* into) override;
  [[nodiscard]] bool open(const Nonce& nonce, std::span<const std::byte> header,
                          std::span<const std::byte> body, std::span<std::byte> into,
                          std::byte& last) override;

 private:
  void wipe() {
    EVP_AEAD_CTX_cleanup(&key_);
    OPENSSL_cleanse(&key_, sizeof key_);
  }

  const EVP_AEAD* aead_;
  EVP_AEAD_CTX key_;
};

void AwslcContext::set_key(AeadUse, const TrafficKeys& keys) {
  wipe();
  HG_CHECK(EVP_AEAD_CTX_init(&key_, aead_, as_octets(keys.key.data()), EVP_AEAD_key_length(aead_), kTagBytes,
                             nullptr) == 1);
}

bool AwslcContext::seal(const Nonce& nonce, std::span<const std::byte> header,
                        std::span<const std::byte> content, std::byte type, std::byte* into) {
  const auto type_octet = std::to_integer<unsigned char>(type);
  unsigned char* sealed = as_octets(into);
  std::size_t written = 0;
  return EVP_AEAD_CTX_seal_scatter(&key_, sealed, sealed + content.size(), &written, 1 + kTagBytes,
                                   nonce.data(), nonce.size(), as_octets(content.data()), content.size(),
                                   &type_octet, 1, as_octets(header.data()), header.size()) == 1;
}

bool AwslcContext::open(const Nonce& nonce, std::span<const std::byte> header,
                        std::span<const std::byte> body, std::span<std::byte> into, std::byte& last) {
  const std::size_t inner = body.size() - kTagBytes;
  // AWS-LC opens a record as a whole. So one whose last byte has no room goes by way of a place of its own.
  std::vector<unsigned char> whole(into.size() < inner ? inner : 0);
  unsigned char* opened = whole.empty() ? as_octets(into.data()) : whole.data();
  const bool authentic =
      EVP_AEAD_CTX_open_gather(&key_, opened, nonce.data(), nonce.size(), as_octets(body.data()), inner,
                               as_octets(body.data() + inner), kTagBytes, as_octets(header.data()),
                               header.size()) == 1;
  if (!authentic) ERR_clear_error();
  if (!authentic || whole.empty()) return authentic;
  std::ranges::copy(std::as_bytes(std::span(whole).first(into.size())), into.begin());
  last = static_cast<std::byte>(whole.back());
  OPENSSL_cleanse(whole.data(), whole.size());
  return true;
}

class AwslcAlgorithm final : public AeadAlgorithm {
 public:
  explicit AwslcAlgorithm(const EVP_AEAD* aead) : aead_(aead) {}

  [[nodiscard]] std::unique_ptr<AeadContext> new_context(AeadUse) const override {
    return std::make_unique<AwslcContext>(aead_);
  }

 private:
  const EVP_AEAD* aead_;
};

}  // namespace

std::unique_ptr<AeadAlgorithm> find_aead(const LibraryContext*, RecordSuite suite) {
  return std::make_unique<AwslcAlgorithm>(aead_of(suite));
}

}  // namespace headgate
